"""How far composites are from the true pictures, where a perfect renderer drew those.

Sums are of whole numbers, so that figures do not depend on how triples were cut into batches.

B triples of H x W pixels, uint8 (B, H, W, 3) RGB. Errors are in levels of 0..255.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from dgnet.arrays import Bools, Integers, Pixels
from dgnet.model.data.picture import DatasetError
from dgnet.model.evaluation.composites.measures import require_same_shape

# A pixel belongs to the changed region when a channel of structure and truth differs by more.
CHANGED_THRESHOLD = 24

_CHANNELS = 3


@dataclass(frozen=True, kw_only=True)
class TruthErrors:
    """Distance from the true pictures, pooled over the pixels and channels of all triples.

    `changed_ratio`: mean |composite - truth| over the changed region, divided by mean |structure
    picture - truth| there: 0 is perfect, 1 is no better than the structure picture itself.
    `changed_error` is the numerator, `outside_error` the same mean over all other pixels and
    `mean_error` over all pixels, in levels. `changed_share`: part of all pixels that changed.
    `mean_triple_ratio`: the ratio of each triple, averaged; small regions weigh as much as large
    ones there.
    """

    changed_ratio: float
    changed_error: float
    outside_error: float
    mean_error: float
    changed_share: float
    mean_triple_ratio: float


class TruthTally:
    """Adds up errors a batch of triples at a time."""

    def __init__(self) -> None:
        self._composite_changed = self._composite_outside = self._structure_changed = 0
        self._changed = self._pixels = 0
        self._ratios: list[float] = []

    def add(self, composite: Pixels, structure: Pixels, truth: Pixels) -> None:
        """Composites of some triples beside their structure pictures and true pictures."""
        require_same_shape(composite, truth)
        require_same_shape(structure, truth)
        difference = _absolute_difference(structure, truth)  # (B, H, W, 3)
        changed = changed_pixels(structure, truth)  # (B, H, W)
        structure_error = difference.sum(axis=3)  # (B, H, W)
        composite_error = _absolute_difference(composite, truth).sum(axis=3)
        made = (composite_error * changed).sum(axis=(1, 2))  # (B,)
        copied = (structure_error * changed).sum(axis=(1, 2))
        self._composite_changed += int(made.sum())
        self._composite_outside += int((composite_error * ~changed).sum())
        self._structure_changed += int(copied.sum())
        self._changed += int(changed.sum())
        self._pixels += changed.size
        self._ratios += (made[copied > 0] / copied[copied > 0]).tolist()

    def errors(self) -> TruthErrors:
        """The errors of all triples so far."""
        outside = self._pixels - self._changed
        if not self._changed or not outside:
            raise DatasetError(
                "structure pictures and true pictures "
                + ("differ" if self._changed else "agree")
                + f" everywhere (threshold {CHANGED_THRESHOLD} levels); expected pictures that "
                "differ in the clothes alone"
            )
        whole = self._composite_changed + self._composite_outside
        return TruthErrors(
            changed_ratio=self._composite_changed / self._structure_changed,
            changed_error=self._composite_changed / (self._changed * _CHANNELS),
            outside_error=self._composite_outside / (outside * _CHANNELS),
            mean_error=whole / (self._pixels * _CHANNELS),
            changed_share=self._changed / self._pixels,
            mean_triple_ratio=float(np.mean(self._ratios)),
        )


def changed_pixels(structure: Pixels, truth: Pixels) -> Bools:
    """(B, H, W): the changed region, where structure pictures and true pictures differ."""
    difference = _absolute_difference(structure, truth)
    return cast("Bools", difference.max(axis=3) > CHANGED_THRESHOLD)


def truth_errors(composite: Pixels, structure: Pixels, truth: Pixels) -> TruthErrors:
    """Compares composites with what a perfect renderer drew for the same triples."""
    tally = TruthTally()
    tally.add(composite, structure, truth)
    return tally.errors()


def _absolute_difference(left: Pixels, right: Pixels) -> Integers:
    return np.abs(left.astype(np.int64) - right.astype(np.int64))
