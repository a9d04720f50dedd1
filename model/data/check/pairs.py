"""How many pairs a generation job could make of a split, without laying out its plan.

A person's pairs are those in which they give the appearance; the plan's own arithmetic
(`dgnet.generation.pairing.plan`) gives the same numbers, and a test compares them.

Legend: P persons, C cameras.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dgnet.arrays import Integers
from dgnet.model.data.picture import Picture


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Of one pairing."""

    all: int
    fewest_of_a_person: int


def pairs_of(pictures: Sequence[Picture]) -> dict[str, Pairs]:
    """By the pairing's name; those that these pictures do not allow are left out."""
    people = [picture for picture in pictures if picture.shows_a_person]
    if len(people) < 2:
        return {}
    persons = np.unique([picture.person_id for picture in people], return_inverse=True)[1]
    cameras = np.unique([picture.camera_id for picture in people], return_inverse=True)[1]
    counts = np.zeros((persons.max() + 1, cameras.max() + 1), dtype=np.int64)  # (P, C)
    np.add.at(counts, (persons, cameras), 1)
    own = counts.sum(axis=1)
    found = {"full_grid": own * (len(people) - 1)}
    if len(own) > 1:
        of_others = found["cross_identity"] = own * (len(people) - own)
        if all(picture.has_camera for picture in people):
            same = (counts * (counts.sum(axis=0) - counts)).sum(axis=1)
            found |= {"same_camera": same, "cross_camera": of_others - same}
    return {name: _pairs(per_person) for name, per_person in found.items()}


def _pairs(per_person: Integers) -> Pairs:
    return Pairs(all=int(per_person.sum()), fewest_of_a_person=int(per_person.min()))
