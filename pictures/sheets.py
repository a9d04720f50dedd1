"""Many pictures on one, to look at.

Legend: H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dgnet.arrays import Pixels


def grid(rows: Sequence[Sequence[Pixels | None]], *, gap: int, margin: int = 0) -> Pixels:
    """Rows of pictures (H, W, 3) of one size on white; None, or the end of a row, leaves a place
    free. `gap` pixels lie between pictures, `margin` around all.
    """
    height, width = next(one.shape[:2] for row in rows for one in row if one is not None)
    columns = max(len(row) for row in rows)
    size = [
        count * (side + gap) - gap + 2 * margin
        for count, side in ((len(rows), height), (columns, width))
    ]
    sheet = np.full((*size, 3), 255, np.uint8)
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            if picture is not None:
                top, left = margin + r * (height + gap), margin + c * (width + gap)
                sheet[top : top + height, left : left + width] = picture
    return sheet


def lines(pictures: Sequence[Pixels], *, across: int) -> list[list[Pixels | None]]:
    """Rows of `across` places each for `grid`; the end of the last may stay free."""
    free = [None] * (-len(pictures) % across)
    places = [*pictures, *free]
    return [places[start : start + across] for start in range(0, len(places), across)]
