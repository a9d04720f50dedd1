"""Finds composites that look like one that was kept: the difference hash (dHash), 64 bits.

A picture is shrunk to 9 x 8 gray values; each bit says whether a value is larger than its left
neighbor. Only composites of the same appearance person are compared: one scene in other clothes is
what the data set is for.

Legend: H x W pixels.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from PIL import Image

from dgnet.arrays import Pixels

SIDE = 8


def difference_hash(pixels: Pixels) -> int:
    """64 bits of an RGB picture (H, W, 3)."""
    gray = Image.fromarray(pixels).convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BILINEAR)
    values = np.asarray(gray)
    return int.from_bytes(np.packbits(values[:, 1:] > values[:, :-1]).tobytes(), "big")


class NearDuplicates:
    """Remembers what was kept, by person."""

    def __init__(self, most_bits: int) -> None:
        self._most_bits = most_bits
        self._kept: defaultdict[int, list[int]] = defaultdict(list)

    def admits(self, person_id: int, pixels: Pixels) -> bool:
        """Whether no kept composite of the person is so near; if so, this one is kept too."""
        new = difference_hash(pixels)
        if any((new ^ old).bit_count() <= self._most_bits for old in self._kept[person_id]):
            return False
        self._kept[person_id].append(new)
        return True
