"""Any folder whose paths a regular expression of the user explains.

The expression describes the whole path of a picture below the data set (below the split's folder
where there are splits), with `/` between folders, with or without its ending. The group `person` is
needed, `camera` and `frame` may be there; `dgnet.model.data.expressions` says what it may hold.
Persons that are all numbers keep them, -1 and 0 meaning junk and distractors as in Market-1501;
else they are names and get ids from 1.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dgnet.model.data.expressions import NOT_TAKEN, UserPattern
from dgnet.model.data.files import is_folder_to_read, is_picture_name
from dgnet.model.data.layouts.dataset import DataSet, SplitName
from dgnet.model.data.layouts.numbering import number_names
from dgnet.model.data.names import others
from dgnet.model.data.picture import (
    DISTRACTOR_PERSON_ID,
    JUNK_PERSON_ID,
    NO_CAMERA,
    DatasetError,
    Picture,
)

_GROUPS = ("person", "camera", "frame")
_SPLIT_FOLDERS: dict[SplitName, tuple[str, ...]] = {
    "train": ("train", "bounding_box_train", "image_train"),
    "query": ("query", "image_query"),
    "gallery": ("gallery", "bounding_box_test", "image_test"),
}
_PERSON_NUMBER = re.compile(r"-1|\d{1,18}", re.ASCII)
_CAMERA_NUMBER = re.compile(r"\d{1,18}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What the expression found in one path."""

    split: SplitName
    path: Path
    person: str
    camera: str | None


def compile_pattern(pattern: str) -> UserPattern:
    """The user's expression, checked: it compiles and has the right groups."""
    try:
        compiled = UserPattern(pattern)
    except ValueError as error:
        raise DatasetError(
            f"pattern {pattern!r} is no regular expression: {error} ({NOT_TAKEN}); "
            r"an example: (?P<person>\d+)_c(?P<camera>\d+)_.*"
        ) from error
    groups = set(compiled.groupindex)
    if "person" not in groups:
        raise DatasetError(
            f"pattern {pattern!r} lacks the group person; write (?P<person>...) around the part of "
            "a path that tells who it is"
        )
    unknown = sorted(groups - set(_GROUPS))
    if unknown:
        raise DatasetError(
            f"pattern {pattern!r} has the groups {', '.join(unknown)}; known are "
            f"{', '.join(_GROUPS)} (a part without meaning is written (?:...))"
        )
    return compiled


def read_pattern(root: Path, pattern: str) -> DataSet:
    """Reads the folders of splits that are there, or all of `root` as training pictures."""
    compiled = compile_pattern(pattern)
    found = [
        match
        for split, folder in (_split_folders(root) or {"train": root}).items()
        for match in _matches(compiled, split, folder)
    ]
    numeric = all(_PERSON_NUMBER.fullmatch(match.person) for match in found)
    persons = (
        {match.person: int(match.person) for match in found}
        if numeric
        else number_names(match.person for match in found)
    )
    cameras = _camera_numbers({match.camera for match in found if match.camera is not None})
    pictures: dict[SplitName, tuple[Picture, ...]] = {
        split: tuple(
            Picture(
                path=match.path,
                person_id=persons[match.person],
                camera_id=NO_CAMERA if match.camera is None else cameras[match.camera],
            )
            for match in found
            if match.split == split
        )
        for split in _SPLIT_FOLDERS
    }
    return DataSet(
        layout="pattern",
        root=root,
        person_names={} if numeric else {number: name for name, number in persons.items()},
        warnings=_warnings(persons) if numeric else (),
        **pictures,
    )


def _split_folders(root: Path) -> dict[SplitName, Path]:
    present: dict[SplitName, Path] = {}
    for split, names in _SPLIT_FOLDERS.items():
        folders = [root / name for name in names if (root / name).is_dir()]
        if len(folders) > 1:
            raise DatasetError(
                f"{root}: {' and '.join(folder.name for folder in folders)} are both the {split} "
                "split; name one of them otherwise"
            )
        if folders:
            present[split] = folders[0]
    return present


def _matches(pattern: UserPattern, split: SplitName, folder: Path) -> list[_Found]:
    found: list[_Found] = []
    wrong: list[str] = []
    for path in _walk(folder):
        relative = path.relative_to(folder)
        without_ending = relative.with_suffix("").as_posix()
        match = pattern.fullmatch(without_ending) or pattern.fullmatch(relative.as_posix())
        if match is None or not match["person"]:
            wrong.append(without_ending)
            continue
        camera = match["camera"] if "camera" in pattern.groupindex else None
        found.append(_Found(split=split, path=path, person=match["person"], camera=camera or None))
    if wrong:
        raise DatasetError(
            f"{folder}: the pattern {pattern.pattern!r} finds no person in {wrong[0]!r}"
            f"{others(len(wrong) - 1)}; it must describe the whole path below {folder}"
        )
    if not found:
        raise DatasetError(f"{folder}: holds no picture, nor do the folders in it")
    return found


def _walk(folder: Path) -> Iterator[Path]:
    """All pictures below a folder in the order of their names."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if is_folder_to_read(Path(parent, name)))
        yield from (Path(parent, name) for name in sorted(files) if is_picture_name(name))


def _camera_numbers(cameras: set[str]) -> dict[str, int]:
    if all(_CAMERA_NUMBER.fullmatch(camera) for camera in cameras):
        return {camera: int(camera) for camera in cameras}
    return number_names(cameras)


def _warnings(persons: dict[str, int]) -> tuple[str, ...]:
    special = {DISTRACTOR_PERSON_ID: "distractors", JUNK_PERSON_ID: "junk"}
    return tuple(
        f"pictures of person {name} count as {special[number]}, as in Market-1501; if that is a "
        "person, number persons from 1 or let the pattern take a letter into the group person"
        for name, number in sorted(persons.items())
        if number in special
    )
