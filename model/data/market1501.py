"""Reads folders of person crops whose names follow Market-1501.

A name such as `0002_c1s1_000451_03.jpg` says: person 2, camera 1, sequence 1, frame 451,
detection 3. Person -1 marks junk (ignored by evaluation) and person 0 marks distractors (they count
as wrong). One folder at a time; whole data sets, of this and other layouts, are `layouts`' matter.
"""

import logging
from pathlib import Path

from dgnet.model.data.files import some_pictures_in
from dgnet.model.data.names import MARKET1501_NAME
from dgnet.model.data.persons import PersonIndex
from dgnet.model.data.picture import (
    DISTRACTOR_PERSON_ID,
    JUNK_PERSON_ID,
    PICTURE_SUFFIXES,
    DatasetError,
    Picture,
)

__all__ = [
    "DISTRACTOR_PERSON_ID",
    "GALLERY_SPLIT",
    "JUNK_PERSON_ID",
    "PICTURE_SUFFIXES",
    "QUERY_SPLIT",
    "TRAIN_SPLIT",
    "DatasetError",
    "PersonIndex",
    "Picture",
    "parse_name",
    "read_split",
]

_log = logging.getLogger(__name__)

TRAIN_SPLIT = "bounding_box_train"
QUERY_SPLIT = "query"
GALLERY_SPLIT = "bounding_box_test"


def parse_name(path: Path) -> Picture:
    """The person and the camera that a picture's name states."""
    return MARKET1501_NAME.parse(path)


def read_split(directory: Path) -> list[Picture]:
    """The pictures of one folder (`bounding_box_train`, `query`, ...), sorted by name.

    A few that are named otherwise are left out and logged.
    """
    if not directory.is_dir():
        raise DatasetError(
            f"{directory}: no such folder; a Market-1501 dataset has the folders "
            f"{TRAIN_SPLIT}, {QUERY_SPLIT} and {GALLERY_SPLIT}"
        )
    right, wrong = MARKET1501_NAME.followers(some_pictures_in(directory))
    if wrong:
        _log.warning(
            "%s: %d pictures that do not follow Market-1501's naming are left out, such as %s",
            directory, len(wrong), wrong[0].name,
        )  # fmt: skip
    return [parse_name(path) for path in right]
