"""MSMT17, V1 and V2: lists of `PATH PERSON` lines, one folder of pictures a half.

Both halves, train and test, number their persons from 0, so person 0 of train is somebody else than
person 0 of test, and neither is a distractor. Hence ids of our own: train's number + 1, test's
number + 100,001; `person_names` keeps `train/0000` and `test/0000`. The camera is the third part of
the file's name: `0000_000_01_0303morning_0008_0.jpg` is from camera 1. `list_val.txt` are training
persons, held out only to choose settings; with `list_train.txt` they make the 32,621 training
pictures of the paper.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dgnet.model.data.layouts.dataset import DataSet, SplitName
from dgnet.model.data.layouts.entries import skipped_warning
from dgnet.model.data.names import MOST_DIGITS, others
from dgnet.model.data.picture import DatasetError, Picture

LISTS: dict[str, SplitName] = {
    "list_train.txt": "train",
    "list_val.txt": "train",
    "list_query.txt": "query",
    "list_gallery.txt": "gallery",
}
_FOLDERS = {"train": ("train", "mask_train_v2"), "test": ("test", "mask_test_v2")}
_FIRST_PERSON = {"train": 1, "test": 100_001}

# The real data set has 3,060 persons in its larger half; beyond this, ids of the halves would meet.
_PERSONS_PER_HALF = 100_000

_NAME = re.compile(rf"[^_]+_[^_]+_(?P<camera>\d{{1,{MOST_DIGITS}}})_.+", re.ASCII)
_FORM = "PERSON_NUMBER_CAMERA_... such as 0000_000_01_0303morning_0008_0.jpg"
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """One line of a list."""

    place: str
    path: Path
    number: int
    camera_id: int


def read_msmt17(root: Path) -> DataSet:
    """Reads the lists that are there; a split without a list is empty."""
    lists = [name for name in LISTS if (root / name).is_file()]
    if not lists:
        raise DatasetError(f"{root}: no list of an MSMT17 data set; expected {', '.join(LISTS)}")
    pictures: dict[SplitName, dict[Path, Picture]] = {"train": {}, "query": {}, "gallery": {}}
    names: dict[int, str] = {}
    numbers: dict[Path, int] = {}
    repeated = 0
    skipped: list[Path] = []
    for name in lists:
        split = LISTS[name]
        half = "train" if split == "train" else "test"
        entries, wrong = _read_list(root / name, _folder(root, half))
        skipped += wrong
        for entry in entries:
            known = numbers.setdefault(entry.path, entry.number)
            if known != entry.number:
                raise DatasetError(
                    f"{entry.place}: {entry.path.name} is person {entry.number} here and person "
                    f"{known} earlier; a picture shows one person: correct the lists"
                )
            person_id = entry.number + _FIRST_PERSON[half]
            names[person_id] = f"{half}/{entry.number:04d}"
            repeated += entry.path in pictures[split]
            pictures[split][entry.path] = Picture(
                path=entry.path, person_id=person_id, camera_id=entry.camera_id
            )
    warning = f"{repeated} lines of the lists repeat a picture of their split; each counts once"
    return DataSet(
        layout="msmt17",
        root=root,
        train=_sorted(pictures["train"]),
        query=_sorted(pictures["query"]),
        gallery=_sorted(pictures["gallery"]),
        person_names=names,
        warnings=(*((warning,) if repeated else ()), *skipped_warning(root, skipped, _FORM)),
        lists=tuple(root / name for name in lists),
        skipped=tuple(skipped),
    )


def _sorted(pictures: dict[Path, Picture]) -> tuple[Picture, ...]:
    return tuple(pictures[path] for path in sorted(pictures))


def _folder(root: Path, half: str) -> Path:
    for name in _FOLDERS[half]:
        if (root / name).is_dir():
            return root / name
    raise DatasetError(
        f"{root}: lists {half} pictures and has no folder of them; expected "
        f"{' (V1) or '.join(_FOLDERS[half])} (V2)"
    )


def _read_list(file: Path, folder: Path) -> tuple[list[_Entry], list[Path]]:
    """The pictures of a list, and those few whose names do not tell a camera."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DatasetError(f"{file}: not text in UTF-8 ({error}); expected PATH PERSON") from error
    entries: list[_Entry] = []
    wrong: list[str] = []
    skipped: list[Path] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{file}, line {number}"
        relative, person = _parse_line(place, line, folder)
        match = _NAME.fullmatch(relative.stem)
        if match is None:
            wrong.append(f"{place}: {relative.name}")
            skipped.append(folder / relative)
            continue
        entries.append(
            _Entry(
                place=place,
                path=folder / relative,
                number=person,
                camera_id=int(match["camera"]),
            )
        )
    if wrong and len(wrong) >= len(entries):
        raise DatasetError(
            f"{wrong[0]} does not follow MSMT17{others(len(wrong) - 1)}; expected {_FORM}"
        )
    if not entries:
        raise DatasetError(f"{file}: holds no line; expected PATH PERSON, one picture a line")
    missing = [entry for entry in entries if not entry.path.is_file()]
    if missing:
        raise DatasetError(
            f"{missing[0].place}: {missing[0].path} does not exist{others(len(missing) - 1)}; "
            "unpack the pictures again or take the line out"
        )
    return entries, skipped


def _parse_line(place: str, line: str, folder: Path) -> tuple[PurePosixPath, int]:
    """Path below the folder, and person."""
    path, _, number = line.strip().rpartition(" ")
    relative = PurePosixPath(path.strip())
    if (
        not _NUMBER.fullmatch(number)
        or not path.strip()
        or relative.is_absolute()
        or ".." in relative.parts
    ):
        raise DatasetError(
            f"{place}: {line.strip()!r} is not PATH PERSON; expected a path below {folder.name} "
            "and a number, such as 0000/0000_000_01_0303morning_0008_0.jpg 0"
        )
    if int(number) >= _PERSONS_PER_HALF:
        raise DatasetError(f"{place}: person {number}; expected a number below {_PERSONS_PER_HALF}")
    return relative, int(number)
