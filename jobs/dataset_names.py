"""Which files of an archive belong to a data set, told by their names alone.

Pictures and the lists of MSMT17 and MARS; the readers of data sets (docs/data.md) pass over the
rest.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

from dgnet.pictures import PICTURE_SUFFIXES as PICTURE_SUFFIXES

# Of `dgnet.model.data`, which the front end cannot import; a test compares them.
MARS_FILES: Final = frozenset({"test_name.txt", "tracks_test_info.mat", "query_IDX.mat"})
LIST_NAMES: Final = frozenset(
    {"list_train.txt", "list_val.txt", "list_query.txt", "list_gallery.txt"}
)
# A lone folder of such a name means something; any other is only the archive's wrapping.
SPLIT_FOLDERS: Final = frozenset(
    {
        "train", "query", "gallery", "test",
        "bounding_box_train", "bounding_box_test", "gt_bbox",
        "image_train", "image_query", "image_test",
        "bbox_train", "bbox_test", "train_all", "val", "multi-query",
        "randperson_subset", "campus", "rgb", "cam_a", "cam_b", "cam1", "cam2",
    }
)  # fmt: skip


def is_wanted(path: PurePosixPath) -> bool:
    """Whether readers of data sets would look at a file."""
    if any(part.startswith(".") or part == "__MACOSX" for part in path.parts):
        return False
    return path.suffix.lower() in PICTURE_SUFFIXES or path.name in LIST_NAMES | MARS_FILES


def dataset_root(folder: Path) -> Path:
    """`folder`, or the lone folder in it that only wraps the data set."""
    entries = list(folder.iterdir())
    if len(entries) == 1 and entries[0].is_dir() and entries[0].name not in SPLIT_FOLDERS:
        return entries[0]
    return folder
