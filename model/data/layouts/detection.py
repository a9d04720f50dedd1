"""Tells the layout of a data set from its folders and the names of its pictures.

A few names decide, not the first alone: one wrong name must lead to the reader's error that names
it, not to a layout that was never meant.
"""

from collections.abc import Iterator
from pathlib import Path

from dgnet.model.data.files import folders_in, pictures_in
from dgnet.model.data.layouts.dataset import LayoutName
from dgnet.model.data.layouts.imagefolder import IMAGEFOLDER_SPLITS
from dgnet.model.data.layouts.mars import MARS_FOLDERS, looks_like_mars
from dgnet.model.data.layouts.msmt17 import LISTS
from dgnet.model.data.layouts.prcc import FORM, looks_like_prcc
from dgnet.model.data.layouts.prepared import looks_prepared
from dgnet.model.data.layouts.split_folders import SPLIT_FOLDER_LAYOUTS
from dgnet.model.data.layouts.two_cameras import TWO_CAMERA_LAYOUTS
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
    if looks_like_mars(root):
        return "mars"
    if looks_like_prcc(root):
        return "prcc"
    for layout in TWO_CAMERA_LAYOUTS:
        if layout.looks_alike(root):
            return layout.layout
    if looks_prepared(root):
        return "prepared"
    if _looks_like_imagefolder(root):
        return "imagefolder"
    raise DatasetError(_undetected(root))


def _layout_of_names(root: Path) -> LayoutName | None:
    """The layout whose rule most of the pictures in its own folders follow.

    A rule that takes the names of others too comes last and must explain twice as many.
    """
    best: LayoutName | None = None
    most = 0
    for layout in SPLIT_FOLDER_LAYOUTS:
        folders = [
            folder for base in layout.bases(root) for folder in layout.present(base).values()
        ]
        inside = [] if layout.inside is None else [root / layout.inside]
        names = [path for folder in folders or [root, *inside] for path in _some_pictures(folder)]
        count = sum(layout.rule.resembles(path) for path in names)
        if count > (2 * most if layout.layout == "personx" else most):
            best, most = layout.layout, count
    return best


def _looks_like_imagefolder(root: Path) -> bool:
    """Folders of pictures that are not the folders of splits of another layout."""
    splits = [root / split for split in IMAGEFOLDER_SPLITS if (root / split).is_dir()]
    bases = splits or [root]
    stray = sum(len(pictures_in(base)) for base in bases)
    persons = [person for base in bases for person in folders_in(base)]
    if any(person.name in _SPLIT_FOLDER_NAMES for person in persons):
        return False
    if not stray:
        return any(_some_pictures(person) for person in persons)
    return sum(len(pictures_in(person)) for person in persons) > stray


def _some_pictures(folder: Path) -> list[Path]:
    return pictures_in(folder)[:_NAMES_PER_FOLDER] if folder.is_dir() else []


def _undetected(root: Path) -> str:
    sought = [
        f"{', '.join(layout.folders.values()) or layout.inside} with {layout.rule.form} "
        f"({layout.rule.data_set})"
        for layout in SPLIT_FOLDER_LAYOUTS
    ]
    sought += [f"{layout.form} ({layout.data_set})" for layout in TWO_CAMERA_LAYOUTS]
    sought += [
        f"{', '.join(MARS_FOLDERS.values())} (MARS)",
        f"{FORM} (PRCC)",
        f"{', '.join(LISTS)} (MSMT17)",
        "a folder of pictures a person (imagefolder)",
    ]
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
