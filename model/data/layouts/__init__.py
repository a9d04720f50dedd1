"""Data sets for person re-identification as their publishers lay them out, read into one form.

One layout a file; `read_dataset` finds out which it is. Only names are read, no picture is opened:
what the pictures are like is the matter of `dgnet.model.data.check`. docs/data.md shows the
layouts.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from dgnet.model.data.files import is_text
from dgnet.model.data.layouts.dataset import SPLITS, DataSet, LayoutName, SplitName
from dgnet.model.data.layouts.detection import detect_layout
from dgnet.model.data.layouts.entries import nobody_warnings
from dgnet.model.data.layouts.imagefolder import read_imagefolder
from dgnet.model.data.layouts.mars import read_mars
from dgnet.model.data.layouts.msmt17 import read_msmt17
from dgnet.model.data.layouts.numbering import Specials
from dgnet.model.data.layouts.pattern import read_pattern
from dgnet.model.data.layouts.prcc import read_prcc
from dgnet.model.data.layouts.prepared import read_prepared
from dgnet.model.data.layouts.split_folders import SPLIT_FOLDER_LAYOUTS
from dgnet.model.data.layouts.two_cameras import TWO_CAMERA_LAYOUTS
from dgnet.model.data.layouts.unread import find_unread, unread_notes, unread_warnings
from dgnet.model.data.picture import DatasetError, writable
from dgnet.paths import local_path

__all__ = ["SPLITS", "DataSet", "LayoutName", "SplitName", "detect_layout", "read_dataset"]

_Reader = Callable[[Path, Specials | None], DataSet]

_READERS: dict[LayoutName, _Reader] = {
    **{layout.layout: layout.read for layout in SPLIT_FOLDER_LAYOUTS},
    **{layout.layout: layout.read for layout in TWO_CAMERA_LAYOUTS},
    "mars": read_mars,
    "prcc": read_prcc,
    "prepared": read_prepared,
    "imagefolder": read_imagefolder,
}


def read_dataset(
    directory: str | Path,
    layout: LayoutName | None = None,
    pattern: str | None = None,
    *,
    junk: Sequence[str] | None = None,
    distractors: Sequence[str] | None = None,
) -> DataSet:
    """Reads a data set; without `layout` its folders and names tell which it is.

    `pattern` is the regular expression of the layout of that name, see `layouts.pattern`. `junk`
    and `distractors` are what the data set calls them, where that is not -1 and 0; `none` for
    nobody.
    """
    directory = local_path(directory)
    if layout is not None and layout not in get_args(LayoutName):
        raise DatasetError(
            f"layout {layout!r} is not known; expected {', '.join(get_args(LayoutName))}"
        )
    if pattern is not None and layout not in (None, "pattern"):
        raise DatasetError(f"a pattern was given for the layout {layout}, which needs none")
    if pattern is None and layout == "pattern":
        raise DatasetError("the layout pattern needs a pattern with a group (?P<person>...)")
    if not is_text(f"{directory}{directory.resolve().name}"):
        raise DatasetError(f"{directory}: the folder's name is not UTF-8; rename it")
    specials = Specials.of(junk, distractors)
    try:
        if not directory.is_dir():
            raise DatasetError(f"{directory}: no such folder; expected the folder of a data set")
        dataset = _read(directory, layout, pattern, specials)
        unread = find_unread(dataset)
    except OSError as error:
        raise DatasetError(
            f"{directory}: {error.filename or 'a folder in it'} cannot be read ({error.strerror})"
        ) from error
    warnings = (
        *dataset.warnings,
        *(() if dataset.layout == "pattern" else nobody_warnings(dataset)),
        *_camera_warnings(dataset),
        *unread_warnings(dataset, unread),
    )
    return replace(
        dataset,
        warnings=tuple(map(writable, warnings)),
        notes=tuple(map(writable, (*dataset.notes, *unread_notes(unread)))),
    )


def _read(
    directory: Path, layout: LayoutName | None, pattern: str | None, specials: Specials | None
) -> DataSet:
    if pattern is not None:
        return read_pattern(directory, pattern, specials)
    chosen = layout or detect_layout(directory)
    if chosen == "msmt17":
        if specials is not None:
            raise DatasetError("MSMT17 has neither junk nor distractors; none can be named")
        return read_msmt17(directory)
    return _READERS[chosen](directory, specials)


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
