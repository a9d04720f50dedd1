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


def crossed(top: Pixels, left: Pixels, cells: Pixels, *, gap: int = 3, apart: int = 9) -> Pixels:
    """Pictures `top` (C, H, W, 3) over columns and `left` (R, H, W, 3) before rows of `cells`
    (R, C, H, W, 3), `gap` pixels around each, and `apart` more between them and the cells.
    """
    rows, columns, height, width, _ = cells.shape
    down, across = height + gap, width + gap
    first_row, first_column = down + gap + apart, across + gap + apart
    size = first_row + rows * down, first_column + columns * across
    sheet = np.full((*size, 3), 255, np.uint8)

    def lay(picture: Pixels, y: int, x: int) -> None:
        sheet[y : y + height, x : x + width] = picture

    for column, picture in enumerate(top):
        lay(picture, gap, first_column + column * across)
    for row, picture in enumerate(left):
        lay(picture, first_row + row * down, gap)
        for column, cell in enumerate(cells[row]):
            lay(cell, first_row + row * down, first_column + column * across)
    return sheet


def lines(pictures: Sequence[Pixels], *, across: int) -> list[list[Pixels | None]]:
    """Rows of `across` places each for `grid`; the end of the last may stay free."""
    free = [None] * (-len(pictures) % across)
    places = [*pictures, *free]
    return [places[start : start + across] for start in range(0, len(places), across)]
