"""What the rows of a manifest come to: counts, and scores in bins of fixed width.

A row is looked at once and not kept, so that memory does not grow with the job.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from dgnet.jobs.contract import Scene
from dgnet.jobs.generation.manifest import SCORES, Row, Score

BINS = 1000


class Histogram:
    """Numbers between two bounds, counted in `BINS` bins of equal width."""

    def __init__(self, low: float, high: float) -> None:
        self.low = low
        self.high = high
        self.bins = [0] * BINS
        self.count = 0
        self.smallest = float("inf")
        self.largest = float("-inf")
        self._total = 0.0

    def add(self, value: float) -> None:
        """A value that rounding put beyond a bound counts in the last bin."""
        place = int((value - self.low) / (self.high - self.low) * BINS)
        self.bins[min(max(place, 0), BINS - 1)] += 1
        self.count += 1
        self.smallest = min(self.smallest, value)
        self.largest = max(self.largest, value)
        self._total += value

    @property
    def mean(self) -> float:
        return self._total / self.count

    def quantile(self, share: float) -> float:
        """The value that this share (0 to 1) of the numbers do not exceed, to within a bin."""
        wanted = share * self.count
        below = 0
        for place, count in enumerate(self.bins):
            if count and below + count >= wanted:
                within = place + (wanted - below) / count
                value = self.low + (self.high - self.low) * within / BINS
                return min(max(value, self.smallest), self.largest)
            below += count
        return self.largest


@dataclass
class Summary:
    """Of all rows, in any order."""

    planned: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter[str])
    persons: Counter[int] = field(default_factory=Counter[int])
    """Kept composites by the person of the appearance."""
    tried: set[int] = field(default_factory=set[int])
    """Persons who were to give the appearance of some."""
    cameras: Counter[int | None] = field(default_factory=Counter[int | None])
    """Kept composites by the camera of the structure."""
    kept_shares: dict[Scene, Histogram] = field(default_factory=dict[Scene, Histogram])
    """Of the kept composites, by what became of the scene."""
    scores: dict[Score, Histogram] = field(default_factory=dict[Score, Histogram])
    """Of all that were made, dropped ones too."""
    unreadable: dict[str, str] = field(default_factory=dict[str, str])
    """Source pictures that could not be read, and why."""
    changed: set[str] = field(default_factory=set[str])
    """Source pictures that were replaced while the set was made."""

    def add(self, row: Row) -> None:
        self.planned += 1
        self.tried.add(row.appearance.person)
        for name, value in row.scores.items():
            if name not in self.scores:
                self.scores[name] = Histogram(*SCORES[name])
            self.scores[name].add(value)
        if row.dropped is not None:
            self.dropped[row.dropped] += 1
            return
        self.kept += 1
        self.persons[row.appearance.person] += 1
        self.cameras[row.structure.camera] += 1
        if row.scene is not None and row.kept_share is not None:
            self.kept_shares.setdefault(row.scene, Histogram(0, 1)).add(row.kept_share)

    @property
    def persons_without(self) -> list[int]:
        """Those whose every composite was dropped, sorted."""
        return sorted(self.tried - self.persons.keys())

    @property
    def known_cameras(self) -> list[int]:
        """Sorted."""
        return sorted(camera for camera in self.cameras if camera is not None)
