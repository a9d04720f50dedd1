"""A folder a person, as common classifiers of pictures read them.

`DIR/PERSON/*.jpg`, or `DIR/train/PERSON/*.jpg` with `query` and `gallery` beside it. A person's
name is any text and the same person in every split; ids count from 1 in the order of the names.
Cameras are not known, and no name means junk or distractor unless the user says so.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dgnet.model.data.files import folders_in, pictures_below, pictures_in
from dgnet.model.data.layouts.dataset import DataSet, SplitName
from dgnet.model.data.layouts.entries import KINDS, Entry, dataset_of
from dgnet.model.data.layouts.numbering import NO_SPECIALS, USUAL_SPECIALS, Specials
from dgnet.model.data.layouts.prepared import carries_a_camera
from dgnet.model.data.picture import PICTURE_SUFFIXES, DatasetError

IMAGEFOLDER_SPLITS: tuple[SplitName, ...] = ("train", "query", "gallery")


@dataclass(kw_only=True)
class _Found:
    """What a reader met."""

    entries: list[Entry] = field(default_factory=list[Entry])
    skipped: list[Path] = field(default_factory=list[Path])
    empty: list[Path] = field(default_factory=list[Path])


def read_imagefolder(root: Path, specials: Specials | None = None) -> DataSet:
    """Reads the splits that are there, or all of `root` as training pictures."""
    folders: dict[SplitName, Path] = {
        split: root / split for split in IMAGEFOLDER_SPLITS if (root / split).is_dir()
    }
    beside = [path.name for path in folders_in(root) if path not in folders.values()]
    warnings = (
        [f"folders beside {', '.join(folders)} are passed over: {', '.join(beside)}"]
        if folders and beside
        else []
    )
    found = _Found()
    for split, folder in (folders or {"train": root}).items():
        _read_split(split, folder, found)
    if found.empty:
        names = ", ".join(path.relative_to(root).as_posix() for path in found.empty[:3])
        warnings.append(f"{len(found.empty)} folders of persons hold no picture: {names}")
    with_camera = [entry.path for entry in found.entries if carries_a_camera(entry.path)]
    if with_camera:
        warnings.append(
            f"{len(with_camera):,} names seem to tell the camera, such as {with_camera[0].name}, "
            "which this layout does not read: give the layout prepared, or a pattern"
        )
    return dataset_of(
        "imagefolder",
        root,
        found.entries,
        specials or NO_SPECIALS,
        as_names=True,
        skipped=found.skipped,
        expected="PERSON/PICTURE.jpg",
        warnings=warnings,
        notes=() if specials else tuple(_notes(found.entries)),
    )


def _read_split(split: SplitName, folder: Path, found: _Found) -> None:
    """Adds what one folder of persons holds.

    Raises DatasetError, which names the first, unless most pictures lie directly in the folder of a
    person, and most folders hold some.
    """
    persons = folders_in(folder)
    stray = pictures_in(folder)
    if not persons and not stray:
        raise DatasetError(f"{folder}: holds no folder of a person; expected PERSON/PICTURE.jpg")
    read = [(person, pictures_in(person)) for person in persons]
    right = sum(len(paths) for _, paths in read)
    deep = [path for person, _ in read for path in _deeper(person)]
    misplaced = len(stray) + len(deep)
    if misplaced and misplaced >= right:
        raise DatasetError(_misplaced(folder, stray, deep))
    empty = [person for person, paths in read if not paths]
    if empty and 2 * len(empty) >= len(persons):
        raise DatasetError(
            f"{empty[0]}: holds no picture; expected files ending in "
            f"{', '.join(sorted(PICTURE_SUFFIXES))}"
        )
    found.skipped += [*stray, *deep]
    found.empty += empty
    found.entries += (
        Entry(split=split, path=path, person=person.name)
        for person, paths in read
        for path in paths
    )


def _deeper(person: Path) -> list[Path]:
    """Pictures in folders inside the folder of a person."""
    return [path for folder in folders_in(person) for path in pictures_below(folder)]


def _misplaced(folder: Path, stray: list[Path], deep: list[Path]) -> str:
    if stray:
        return (
            f"{stray[0]}: a picture outside the folder of a person; expected {folder}/PERSON/"
            f"{stray[0].name}, or name the layout of {folder}"
        )
    inner = deep[0].parent
    return (
        f"{inner}: a folder inside the folder of a person; pictures must be directly in "
        f"{folder}/PERSON, or give a pattern that says what the folders mean"
    )


def _notes(entries: Iterable[Entry]) -> Iterator[str]:
    """Folders that are persons here and mean nobody elsewhere."""
    usual = USUAL_SPECIALS
    for name in sorted({entry.person for entry in entries}):
        special = usual.id_of(name)
        if special is not None:
            yield (
                f"the folder {name} is a person; if it holds {KINDS[special]}, give "
                f"--{KINDS[special]} {name}"
            )
