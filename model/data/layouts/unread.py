"""What lies in a data set's folder and is read by nobody: counted and named, in every layout.

Pictures that no reader took are a warning, for somebody meant them for something; files that are no
pictures, and what archives bring along unseen, are a note.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dgnet.model.data.files import is_picture_name, is_text, walk
from dgnet.model.data.layouts.dataset import DataSet
from dgnet.model.data.picture import PICTURE_SUFFIXES, DatasetError

_SHOWN = 3


@dataclass(kw_only=True)
class Unread:
    """Paths below the data set."""

    pictures: list[str] = field(default_factory=list[str])
    undecodable: list[str] = field(default_factory=list[str])
    """Names that are not UTF-8, of pictures and of folders."""
    undecodable_pictures: int = 0
    files: list[str] = field(default_factory=list[str])
    """Without a picture's ending, and hidden files and folders."""


def find_unread(dataset: DataSet) -> Unread:
    """Looks through all folders below the data set."""
    known = {str(picture.path) for split in dataset.splits.values() for picture in split}
    known.update(map(str, (*dataset.skipped, *dataset.lists)))
    unread = Unread()
    root = dataset.root
    for entries in walk(root):
        below = "" if entries.folder == root else f"{entries.folder.relative_to(root).as_posix()}/"
        for name in entries.files:
            if not is_text(name):
                unread.undecodable.append(below + name)
                unread.undecodable_pictures += Path(name).suffix.lower() in PICTURE_SUFFIXES
            elif str(entries.folder / name) not in known:
                kind = unread.pictures if is_picture_name(name) else unread.files
                kind.append(below + name)
        for name in entries.left:
            if is_text(name):
                unread.files.append(f"{below}{name}/")
            else:
                unread.undecodable.append(f"{below}{name}/")
                unread.undecodable_pictures += _pictures_below(entries.folder / name)
    return unread


def unread_warnings(dataset: DataSet, unread: Unread) -> Iterator[str]:
    """Raises DatasetError where most pictures have names that cannot be written down."""
    read = sum(map(len, dataset.splits.values()))
    if unread.undecodable:
        message = (
            f"{len(unread.undecodable)} names are not UTF-8 and are not read, with "
            f"{unread.undecodable_pictures} pictures: {_some(unread.undecodable)}; rename them, "
            "for example by convmv -r -f latin1 -t utf8 --notest"
        )
        if unread.undecodable_pictures >= max(1, read):
            raise DatasetError(f"{dataset.root}: {message}")
        yield message
    if unread.pictures:
        folders = Counter(path.rpartition("/")[0].partition("/")[0] for path in unread.pictures)
        places = [
            f"{count:,} in {folder or 'the data set itself'}" for folder, count in folders.items()
        ]
        yield (
            f"{len(unread.pictures):,} pictures are not read, since the layout {dataset.layout} "
            f"has no place for them: {_some(places)}; such as {_some(unread.pictures)}"
        )


def unread_notes(unread: Unread) -> Iterator[str]:
    """What is passed over as it should be."""
    if unread.files:
        yield (
            f"{len(unread.files):,} files and folders that are hidden or no pictures by their "
            f"ending are passed over: {_some(unread.files)}"
        )


def _pictures_below(folder: Path) -> int:
    return sum(
        Path(name).suffix.lower() in PICTURE_SUFFIXES
        for entries in walk(folder)
        for name in entries.files
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
