"""Turns the person ids of a training split into the labels of a classifier."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from dgnet.model.data.picture import DatasetError, Picture


@dataclass(frozen=True)
class PersonIndex:
    """Contiguous identity labels 0..len-1 for the sorted ids of the persons trained on."""

    person_ids: tuple[int, ...]

    @classmethod
    def of(cls, pictures: Iterable[Picture]) -> "PersonIndex":
        """Junk and distractors are nobody's identity and get no label."""
        return cls(tuple(sorted({p.person_id for p in pictures if p.shows_a_person})))

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
