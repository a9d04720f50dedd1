"""Tells the layout of a data set from its folders and the names of its pictures.

A few names decide, not the first alone: one wrong name must lead to the reader's error that names
it, not to a layout that was never meant.
"""

from collections.abc import Iterator
from pathlib import Path

from dgnet.model.data.files import folders_in, pictures_in
from dgnet.model.data.layouts.dataset import LayoutName
from dgnet.model.data.layouts.imagefolder import IMAGEFOLDER_SPLITS
from dgnet.model.data.layouts.msmt17 import LISTS
from dgnet.model.data.layouts.split_folders import CUHK03_VERSIONS, SPLIT_FOLDER_LAYOUTS
from dgnet.model.data.picture import DatasetError
from dgnet.paths import local_path

_NAMES_PER_FOLDER = 200
_SHOWN = 5
_SPLIT_FOLDER_NAMES = {name for layout in SPLIT_FOLDER_LAYOUTS for name in layout.folders.values()}


def detect_layout(root: str | Path) -> LayoutName:
    """The layout of `root`; a folder that follows none is an error that lists what was sought."""
    root = local_path(root)
    if any((root / name).is_file() for name in LISTS):
        return "msmt17"
    named = _layout_of_names(root)
    if named is not None:
        return named
    if _looks_like_imagefolder(root):
        return "imagefolder"
    raise DatasetError(_undetected(root))


def _layout_of_names(root: Path) -> LayoutName | None:
    """The layout whose rule most of the pictures in its own folders follow."""
    follow: dict[LayoutName, int] = {}
    for layout in SPLIT_FOLDER_LAYOUTS:
        versions = CUHK03_VERSIONS if layout.layout == "cuhk03" else ()
        bases = [root, *(root / name for name in versions)]
        folders = [folder for base in bases for folder in layout.present(base).values()]
        names = [path for folder in folders or [root] for path in _some_pictures(folder)]
        follow[layout.layout] = sum(layout.rule.matches(path) for path in names)
    best = max(follow, key=lambda layout: follow[layout])
    return best if follow[best] else None


def _looks_like_imagefolder(root: Path) -> bool:
    """Folders of pictures that are not the folders of splits of another layout."""
    splits = [root / split for split in IMAGEFOLDER_SPLITS if (root / split).is_dir()]
    bases = splits or [root]
    if any(pictures_in(base) for base in bases):
        return False
    persons = [person for base in bases for person in folders_in(base)]
    if any(person.name in _SPLIT_FOLDER_NAMES for person in persons):
        return False
    return any(_some_pictures(person) for person in persons)


def _some_pictures(folder: Path) -> list[Path]:
    return pictures_in(folder)[:_NAMES_PER_FOLDER] if folder.is_dir() else []


def _undetected(root: Path) -> str:
    sought = [
        f"{', '.join(layout.folders.values())} with {layout.rule.form} ({layout.rule.data_set})"
        for layout in SPLIT_FOLDER_LAYOUTS
    ]
    sought += [f"{', '.join(LISTS)} (MSMT17)", "a folder of pictures a person (imagefolder)"]
    found = [*_seen(root), *(name for folder in folders_in(root) for name in _seen(folder, root))]
    shown = ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
    return (
        f"{root}: no layout that is known here. Sought: {'; '.join(sought)}. Found: "
        f"{shown or 'nothing'}. Name the layout, or give a pattern that explains the file names"
    )


def _seen(folder: Path, root: Path | None = None) -> Iterator[str]:
    """A folder's folders and its first picture, by their names."""
    below = root or folder
    yield from (f"{path.relative_to(below).as_posix()}/" for path in folders_in(folder))
    yield from (path.relative_to(below).as_posix() for path in pictures_in(folder)[:1])
