"""How sharp composites are beside the true pictures: the spread of the Laplacian of their luma.

Sums are of whole numbers (luma in thousandths of a level), so that figures do not depend on how
triples were cut into batches.

B triples of H x W pixels, uint8 (B, H, W, 3) RGB.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dgnet.arrays import Integers, Pixels
from dgnet.model.evaluation.composites.measures import require_same_shape
from dgnet.model.evaluation.composites.truth import changed_pixels

# ITU-R 601, in thousandths.
_LUMA = np.array([299, 587, 114], dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Sharpness:
    """Standard deviation of the Laplacian over that of the true pictures, pooled over the pixels
    of all triples: 1 is as sharp as the truth, 0 is plain; noise may be above 1.

    `inside` the region that has to change and `outside` of it; None where the true pictures are
    plain there.
    """

    inside: float | None
    outside: float | None


class SharpnessTally:
    """Adds up Laplacians a batch of triples at a time."""

    def __init__(self) -> None:
        self._composite = (_Spread(), _Spread())  # inside, outside
        self._truth = (_Spread(), _Spread())

    def add(self, composite: Pixels, structure: Pixels, truth: Pixels) -> None:
        """Composites of some triples beside their structure pictures and true pictures."""
        require_same_shape(composite, truth)
        changed = changed_pixels(structure, truth)[:, 1:-1, 1:-1]
        for spreads, pictures in ((self._composite, composite), (self._truth, truth)):
            values = luma_laplacian(pictures)
            spreads[0].add(values[changed])
            spreads[1].add(values[~changed])

    def sharpness(self) -> Sharpness:
        """The figures of all triples so far."""
        inside, outside = (
            made.deviation() / true.deviation() if true.deviation() else None
            for made, true in zip(self._composite, self._truth, strict=True)
        )
        return Sharpness(inside=inside, outside=outside)


def luma_laplacian(pictures: Pixels) -> Integers:
    """(B, H - 2, W - 2): the four neighbors of each pixel minus four times itself, in thousandths
    of a level.
    """
    luma = pictures.astype(np.int64) @ _LUMA  # (B, H, W)
    middle = luma[:, 1:-1, 1:-1]
    beside = luma[:, 1:-1, :-2] + luma[:, 1:-1, 2:]
    return luma[:, :-2, 1:-1] + luma[:, 2:, 1:-1] + beside - 4 * middle


class _Spread:
    """Standard deviation of whole numbers, exact until the last division."""

    def __init__(self) -> None:
        self._count = self._sum = self._squares = 0

    def add(self, values: Integers) -> None:
        self._count += values.size
        self._sum += int(values.sum())
        self._squares += int((values * values).sum())

    def deviation(self) -> float:
        if not self._count:
            return 0.0
        # Python's own whole numbers: the products are beyond 64 bits.
        spread = self._count * self._squares - self._sum * self._sum
        return (spread / (self._count * self._count)) ** 0.5
