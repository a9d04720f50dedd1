"""Draws the pictures that evaluation puts together, from a seed, so that a report repeats.

N pictures, P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dgnet.arrays import Integers
from dgnet.model.data.picture import DatasetError, Picture


def draw_pairs(
    pictures: Sequence[Picture], count: int, seed: int
) -> tuple[Integers, Integers, Integers]:
    """Rows of `count` appearance, structure and other-structure pictures.

    The structure shows another person than the appearance; the other structure is a picture of
    another person than the structure.
    """
    persons = person_ids(pictures)
    if len(np.unique(persons)) < 2:
        raise DatasetError(
            f"cross-identity pairs need pictures of at least 2 persons, got "
            f"{len(np.unique(persons))} in {len(pictures)} pictures"
        )
    random = np.random.Generator(np.random.PCG64(seed))

    def draw_avoiding(avoid: Integers) -> Integers:
        rows = random.integers(0, len(persons), size=count)
        while (clash := persons[rows] == avoid).any():
            rows[clash] = random.integers(0, len(persons), size=int(clash.sum()))
        return rows

    appearances = random.integers(0, len(persons), size=count)
    structures = draw_avoiding(persons[appearances])
    return appearances, structures, draw_avoiding(persons[structures])


def draw_person_pairs(
    persons: Integers, *, per_person: int, persons_at_most: int, seed: int
) -> tuple[Integers, Integers]:
    """Pairs (P, 2) of different rows of one person, and whose pair each is (P,).

    `persons` (N,) says whom each row shows. Every person with two rows takes part, unless there are
    more than `persons_at_most`, with all its pairs, unless there are more than `per_person`; then
    they are drawn. The lower row of a pair stands first, pairs of a person stand together.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    found, counts = np.unique(persons, return_counts=True)
    able = found[counts > 1]
    if len(able) > persons_at_most:
        able = np.sort(random.choice(able, persons_at_most, replace=False))
    pairs: list[Integers] = []
    for person in able:
        rows = np.flatnonzero(persons == person)
        possible = len(rows) * (len(rows) - 1) // 2
        numbers = np.sort(random.choice(possible, min(per_person, possible), replace=False))
        # Pairs numbered (0, 1), (0, 2), (1, 2), (0, 3), ...
        later = ((1 + np.sqrt(1 + 8 * numbers)) // 2).astype(np.int64)
        earlier = numbers - later * (later - 1) // 2
        pairs.append(np.stack([rows[earlier], rows[later]], axis=1))
    if not pairs:
        return np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=np.int64)
    drawn = np.concatenate(pairs)
    return drawn, persons[drawn[:, 0]]


def person_ids(pictures: Sequence[Picture]) -> Integers:
    """Whom each picture shows, (N,)."""
    return np.array([picture.person_id for picture in pictures], dtype=np.int64)
