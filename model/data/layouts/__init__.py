"""Data sets for person re-identification as their publishers lay them out, read into one form.

One layout a file; `read_dataset` finds out which it is. Only names are read, no picture is opened:
what the pictures are like is the matter of `dgnet.model.data.check`. docs/data.md shows the
layouts.
"""

from dataclasses import replace
from pathlib import Path
from typing import get_args

from dgnet.model.data.layouts.dataset import SPLITS, DataSet, LayoutName, SplitName
from dgnet.model.data.layouts.detection import detect_layout
from dgnet.model.data.layouts.imagefolder import read_imagefolder
from dgnet.model.data.layouts.msmt17 import read_msmt17
from dgnet.model.data.layouts.pattern import read_pattern
from dgnet.model.data.layouts.split_folders import SPLIT_FOLDER_LAYOUTS
from dgnet.model.data.picture import DatasetError
from dgnet.paths import local_path

__all__ = ["SPLITS", "DataSet", "LayoutName", "SplitName", "detect_layout", "read_dataset"]

_SPLIT_FOLDERS = {layout.layout: layout for layout in SPLIT_FOLDER_LAYOUTS}


def read_dataset(
    directory: str | Path, layout: LayoutName | None = None, pattern: str | None = None
) -> DataSet:
    """Reads a data set; without `layout` its folders and names tell which it is.

    `pattern` is the regular expression of the layout of that name, see `layouts.pattern`.
    """
    if layout is not None and layout not in get_args(LayoutName):
        raise DatasetError(
            f"layout {layout!r} is not known; expected {', '.join(get_args(LayoutName))}"
        )
    if pattern is not None and layout not in (None, "pattern"):
        raise DatasetError(f"a pattern was given for the layout {layout}, which needs none")
    if pattern is None and layout == "pattern":
        raise DatasetError("the layout pattern needs a pattern with a group (?P<person>...)")
    directory = local_path(directory)
    if not directory.is_dir():
        raise DatasetError(f"{directory}: no such folder; expected the folder of a data set")
    dataset = _read(directory, layout, pattern)
    return replace(dataset, warnings=(*dataset.warnings, *_camera_warnings(dataset)))


def _read(directory: Path, layout: LayoutName | None, pattern: str | None) -> DataSet:
    if pattern is not None:
        return read_pattern(directory, pattern)
    chosen = layout or detect_layout(directory)
    if chosen == "msmt17":
        return read_msmt17(directory)
    if chosen == "imagefolder":
        return read_imagefolder(directory)
    return _SPLIT_FOLDERS[chosen].read(directory)


def _camera_warnings(dataset: DataSet) -> tuple[str, ...]:
    known = [picture.has_camera for split in dataset.splits.values() for picture in split]
    missing = known.count(False)
    if not missing:
        return ()
    which = (
        "the cameras are not known"
        if missing == len(known)
        else (f"the camera of {missing} of {len(known)} pictures is not known")
    )
    return (
        f"{which}: evaluation cannot leave out pictures of the query's own camera, so that figures "
        "look better than where it can",
    )
