"""How different the pictures of one person are: a measure over pairs, averaged person by person.

Pairs are known before the pictures come by, in the order of their rows; a picture is kept only
until the last pair that needs it is measured.

P pairs, B pictures at a time, uint8 (B, H, W, 3) RGB.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from dgnet.arrays import AnyFloats, Doubles, Integers, Pixels
from dgnet.model.evaluation.generation.distribution import Distribution

PairMeasure = Callable[[Pixels, Pixels], AnyFloats]
"""One figure (B,) for each pair of pictures."""


@dataclass(frozen=True, kw_only=True)
class Diversity:
    """How unlike pictures of one person are: of each person the mean over its pairs.

    `persons` is the distribution of these means.
    """

    pairs: int
    persons: Distribution


class PairScores:
    """Measures pairs (P, 2), the lower row first, while their pictures come by."""

    def __init__(self, pairs: Integers, measures: Mapping[str, PairMeasure]) -> None:
        self._measures = measures
        self._scores = {name: np.full(len(pairs), np.nan) for name in measures}
        # Of each later row its earlier rows with the pair's number; and until when a row is needed.
        self._partners: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        self._needed_until: dict[int, int] = {}
        for number, (earlier, later) in enumerate(pairs.tolist()):
            self._partners[later].append((earlier, number))
            self._needed_until[earlier] = max(later, self._needed_until.get(earlier, 0))
        self._waiting: dict[int, Pixels] = {}

    @property
    def waiting(self) -> int:
        """Pictures that are kept at the moment."""
        return len(self._waiting)

    def add(self, start: int, pictures: Pixels) -> None:
        """The pictures of rows start, start + 1, ... (B, H, W, 3)."""
        left: list[Pixels] = []
        right: list[Pixels] = []
        numbers: list[int] = []
        for row, picture in enumerate(pictures, start):
            for earlier, number in self._partners.pop(row, ()):
                left.append(self._waiting[earlier])
                right.append(picture)
                numbers.append(number)
            if row in self._needed_until:
                self._waiting[row] = picture.copy()  # a view would keep the whole batch
        if numbers:
            pair = np.stack(left), np.stack(right)
            for name, measure in self._measures.items():
                self._scores[name][numbers] = measure(*pair)
        end = start + len(pictures)
        done = [row for row in self._waiting if self._needed_until[row] < end]
        for row in done:
            del self._waiting[row]

    def scores(self) -> dict[str, Doubles]:
        """(P,) of every measure, in the order of the pairs."""
        return self._scores


def diversity(scores: Doubles, persons: Integers) -> Diversity | None:
    """From scores (P,) and whose pair each is (P,); None without any pair."""
    if not len(scores):
        return None
    _, group, counts = np.unique(persons, return_inverse=True, return_counts=True)
    means = np.bincount(group, weights=scores) / counts  # (persons,)
    return Diversity(pairs=len(scores), persons=Distribution.of(means))
