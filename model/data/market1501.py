"""Reads folders of person crops whose names follow Market-1501.

A name such as `0002_c1s1_000451_03.jpg` says: person 2, camera 1, sequence 1, frame 451,
detection 3. Person -1 marks junk (ignored by evaluation) and person 0 marks distractors (they count
as wrong). Which of them a task wants is left to that task; `PersonIndex` turns ids into labels.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

TRAIN_SPLIT = "bounding_box_train"
QUERY_SPLIT = "query"
GALLERY_SPLIT = "bounding_box_test"

JUNK_PERSON_ID = -1
DISTRACTOR_PERSON_ID = 0

# The published folders also hold Thumbs.db: files that are no pictures are passed over.
PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})

_NAME = re.compile(r"(?P<person>-1|\d+)_c(?P<camera>\d+)s\d+_\d+_\d+")


class DatasetError(ValueError):
    """A folder or file does not look like the dataset that was asked for."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One crop of one person, known by its path; nothing is decoded yet."""

    path: Path
    person_id: int
    camera_id: int

    @property
    def is_junk(self) -> bool:
        return self.person_id == JUNK_PERSON_ID

    @property
    def is_distractor(self) -> bool:
        return self.person_id == DISTRACTOR_PERSON_ID


def parse_name(path: Path) -> Picture:
    """The person and the camera that a picture's name states."""
    match = _NAME.fullmatch(path.stem)
    if match is None:
        raise DatasetError(
            f"{path}: the name does not follow Market-1501; expected PERSON_cCAMERAsSEQUENCE_FRAME_"
            "DETECTION such as 0002_c1s1_000451_03.jpg (-1 junk, 0000 distractor)"
        )
    return Picture(path=path, person_id=int(match["person"]), camera_id=int(match["camera"]))


def read_split(directory: Path) -> list[Picture]:
    """The pictures of one folder (`bounding_box_train`, `query`, ...), sorted by name."""
    if not directory.is_dir():
        raise DatasetError(
            f"{directory}: no such folder; a Market-1501 dataset has the folders "
            f"{TRAIN_SPLIT}, {QUERY_SPLIT} and {GALLERY_SPLIT}"
        )
    paths = sorted(path for path in directory.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    if not paths:
        raise DatasetError(
            f"{directory}: holds no picture; expected files ending in "
            f"{', '.join(sorted(PICTURE_SUFFIXES))}"
        )
    return [parse_name(path) for path in paths]


@dataclass(frozen=True)
class PersonIndex:
    """Contiguous identity labels 0..len-1 for the sorted ids of the persons trained on."""

    person_ids: tuple[int, ...]

    @classmethod
    def of(cls, pictures: Iterable[Picture]) -> "PersonIndex":
        """Junk and distractors are nobody's identity and get no label."""
        known = {p.person_id for p in pictures if not p.is_junk and not p.is_distractor}
        return cls(tuple(sorted(known)))

    def __len__(self) -> int:
        return len(self.person_ids)

    def __contains__(self, person_id: object) -> bool:
        return person_id in self._label_of

    def label(self, person_id: int) -> int:
        if person_id not in self._label_of:
            raise DatasetError(
                f"person {person_id} is none of the {len(self)} persons with a training label"
            )
        return self._label_of[person_id]

    @cached_property
    def _label_of(self) -> dict[int, int]:
        return {person_id: label for label, person_id in enumerate(self.person_ids)}
