"""Upper clothes of one person, lower clothes of another: two composites of one structure picture,
cut at the waist.

Persons fill the pictures of a Re-ID data set, so their waist is about half way down; both
composites have the same pose, so one cut serves both. It is the better way of those that were tried
(docs/experiments.md): cells of the upper half of one appearance picture and of the lower half of
another in one look-up show the waist of the structure's pose nowhere.

B pictures of H x W pixels, uint8 (B, H, W, 3) RGB.
"""

from __future__ import annotations

import numpy as np

from dgnet.arrays import Doubles, Pixels

WAIST = 0.5
"""Of the height, from above."""
BLENDED = 0.05
"""Of the height, around the waist, over which one picture turns into the other."""


def lower_shares(height: int) -> Doubles:
    """(H,): share of the picture that gives the lower clothes in each row."""
    rows = (np.arange(height) + 0.5) / height
    return np.clip((rows - WAIST) / BLENDED + 0.5, 0, 1)


def joined_at_waist(upper: Pixels, lower: Pixels) -> Pixels:
    """Rows of `upper` above the waist, of `lower` below; pixels that both share stay."""
    shares = lower_shares(upper.shape[1])[:, None, None]
    return np.rint(upper * (1 - shares) + lower * shares).astype(np.uint8)
