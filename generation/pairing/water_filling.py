"""Shares out a number as evenly as capacities allow: like water in basins of different depth.

Shares only grow when the number grows, so that a longer plan contains the shorter one.
"""

from __future__ import annotations

import numpy as np

from dgnet.arrays import Integers


def fill(capacities: Integers, amount: int) -> Integers:
    """Shares that add up to `amount` and differ by at most one where no basin is full.

    The ones that are left over go to the first basins that are not full.
    """
    total = int(capacities.sum())
    if not 0 <= amount <= total:
        raise ValueError(f"amount is {amount}; expected 0 to {total}, what all basins hold")
    level, highest = 0, int(capacities.max(initial=0))
    while level < highest:  # the highest level that takes no more than the amount
        middle = (level + highest + 1) // 2
        if int(np.minimum(capacities, middle).sum()) <= amount:
            level = middle
        else:
            highest = middle - 1
    shares = np.minimum(capacities, level)
    left = amount - int(shares.sum())
    shares[np.flatnonzero(capacities > level)[:left]] += 1
    return shares
