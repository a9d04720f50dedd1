"""Folders of persons whose pictures keep their published names: `query/0001/0001_c1s1_....jpg`.

The preparation script of DG-Net's and many other authors makes them (`DIR/pytorch/train_all`,
`train`, `val`, `query`, `gallery`, `multi-query`). The names tell person and camera, the folders
`-1` and `0000` of the gallery hold junk and distractors as ever. `train_all` is `train` and `val`
together.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from dgnet.model.data.files import folders_in, pictures_in
from dgnet.model.data.layouts.dataset import DataSet, SplitName
from dgnet.model.data.layouts.entries import Entry, dataset_of
from dgnet.model.data.layouts.numbering import USUAL_SPECIALS, Specials, means
from dgnet.model.data.names import (
    CUHK03_NAME,
    DUKE_NAME,
    MARKET1501_NAME,
    MARS_NAME,
    VERI776_NAME,
    NameRule,
    is_composite,
    others,
)
from dgnet.model.data.picture import DatasetError

PREPARED_FOLDERS: dict[SplitName, tuple[str, ...]] = {
    "train": ("train_all", "train", "val"),
    "query": ("query",),
    "gallery": ("gallery",),
    "multi_query": ("multi-query",),
}
_RULES = (MARKET1501_NAME, DUKE_NAME, CUHK03_NAME, VERI776_NAME, MARS_NAME)
_WHOLE = "train_all"
_INSIDE = "pytorch"
_PICTURES_LOOKED_AT = 200


def rule_of(path: Path) -> NameRule | None:
    """The rule by which a picture's name tells a camera and the person of its folder."""
    for rule in _RULES:
        match = rule.match(path)
        if match is not None and means(path.parent.name, match["person"]):
            return rule
    return None


def carries_a_camera(path: Path) -> bool:
    """Whether a picture in a person's folder is named as in a published data set with cameras."""
    return not is_composite(path) and any(rule.matches(path) for rule in _RULES)


def looks_prepared(root: Path) -> bool:
    """Whether most of the first pictures tell a camera and their folder's person."""
    folders = [folder for folders in _folders(root).values() for folder in folders] or [_base(root)]
    some = [path for folder in folders for path in islice(_pictures(folder), _PICTURES_LOOKED_AT)]
    # Folders of composites are folders of persons like any other.
    real = sum(rule_of(path) is not None and not is_composite(path) for path in some)
    return real * 2 > len(some)


def read_prepared(root: Path, specials: Specials | None = None) -> DataSet:
    """Reads the splits that are there, or all of `root` as training pictures."""
    entries: list[Entry] = []
    skipped: list[Path] = []
    rules: Counter[str] = Counter()
    for split, folders in (_folders(root) or {"train": [_base(root)]}).items():
        right: list[Entry] = []
        wrong: list[Path] = []
        for path in (path for folder in folders for path in _pictures(folder)):
            rule = rule_of(path)
            match = None if rule is None else rule.match(path)
            if rule is None or match is None:
                wrong.append(path)
                continue
            rules[rule.data_set] += 1
            right.append(
                Entry(split=split, path=path, person=match["person"], camera=match["camera"])
            )
        if not right or len(wrong) >= len(right):
            first = wrong[0] if wrong else folders[0]
            raise DatasetError(
                f"{first}: expected a folder a person with pictures that are named as Market-1501 "
                "and others name them, and tell the folder's person: "
                f"0001/0001_c1s1_001051_00.jpg{others(len(wrong) - 1)}"
            )
        entries += right
        skipped += wrong
    named = ", ".join(f"{count:,} as in {name}" for name, count in rules.most_common())
    return dataset_of(
        "prepared",
        root,
        entries,
        specials or USUAL_SPECIALS,
        skipped=skipped,
        expected="PERSON/PERSON_cCAMERA..., such as 0001/0001_c1s1_001051_00.jpg",
        notes=(f"persons and cameras are read from the names of pictures: {named}",),
    )


def _base(root: Path) -> Path:
    """`root`, or the folder that the script puts into it."""
    return root / _INSIDE if (root / _INSIDE).is_dir() else root


def _folders(root: Path) -> dict[SplitName, list[Path]]:
    """The folders of each split that is there."""
    root = _base(root)
    present: dict[SplitName, list[Path]] = {}
    for split, names in PREPARED_FOLDERS.items():
        folders = [root / name for name in names if (root / name).is_dir()]
        if folders:
            present[split] = folders[:1] if folders[0].name == _WHOLE else folders
    return present


def _pictures(folder: Path) -> Iterator[Path]:
    """Pictures of persons' folders; others are counted as not read."""
    for person in folders_in(folder):
        yield from pictures_in(person)
