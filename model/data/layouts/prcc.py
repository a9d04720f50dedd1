"""PRCC: people who change their clothes, before three cameras.

`rgb/train/001/A_cropped_rgb001.jpg` and `rgb/val` (the same people) are for training;
`rgb/test/A/002/cropped_rgb001.jpg` is person 2 before camera A. A and B see the same clothes, C
others. As in the paper, A is the gallery and B and C search it: clothes tell them apart.
"""

import re
from pathlib import Path

from dgnet.model.data.files import pictures_below
from dgnet.model.data.layouts.dataset import DataSet, SplitName
from dgnet.model.data.layouts.entries import Entry, dataset_of
from dgnet.model.data.layouts.numbering import NO_SPECIALS, Specials
from dgnet.model.data.names import others
from dgnet.model.data.picture import DatasetError

CAMERAS = {"A": "1", "B": "2", "C": "3"}
CLOTHES = {"A": "1", "B": "1", "C": "2"}
"""Of a person, by camera."""

FORM = "train/PERSON/CAMERA_... and test/CAMERA/PERSON/... with the cameras A, B and C"

_TRAIN = re.compile(r"(?:train|val)/(?P<person>\d{1,18})/(?P<camera>[ABC])_[^/]+", re.ASCII)
_TEST = re.compile(r"test/(?P<camera>[ABC])/(?P<person>\d{1,18})/[^/]+", re.ASCII)
_SPLITS: dict[str, SplitName] = {"A": "gallery", "B": "query", "C": "query"}
_FOLDERS = ("train", "val", "test")


def looks_like_prcc(root: Path) -> bool:
    """Whether the folders of cameras are there."""
    return all((_base(root) / "test" / camera).is_dir() for camera in CAMERAS)


def read_prcc(root: Path, specials: Specials | None = None) -> DataSet:
    """Reads `rgb`, or a folder that holds the same folders; sketches are not read."""
    base = _base(root)
    entries: list[Entry] = []
    skipped: list[Path] = []
    for name in _FOLDERS:
        if not (base / name).is_dir():
            continue
        found: list[Entry] = []
        wrong: list[Path] = []
        for path in pictures_below(base / name):
            entry = _entry(path, base)
            if entry is None:
                wrong.append(path)
            else:
                found.append(entry)
        if wrong and len(wrong) >= len(found):
            raise DatasetError(f"{wrong[0]}: expected {FORM}{others(len(wrong) - 1)}")
        entries += found
        skipped += wrong
    if not entries:
        raise DatasetError(f"{base}: no folder of a PRCC data set; expected {FORM}")
    return dataset_of(
        "prcc", root, entries, specials or NO_SPECIALS, skipped=skipped, expected=FORM
    )


def _base(root: Path) -> Path:
    return root / "rgb" if (root / "rgb").is_dir() else root


def _entry(path: Path, base: Path) -> Entry | None:
    below = path.relative_to(base).as_posix()
    match = _TRAIN.fullmatch(below)
    split: SplitName = "train"
    if match is None:
        match = _TEST.fullmatch(below)
        if match is None:
            return None
        split = _SPLITS[match["camera"]]
    camera = match["camera"]
    return Entry(
        split=split,
        path=path,
        person=match["person"],
        camera=CAMERAS[camera],
        clothes=CLOTHES[camera],
    )
