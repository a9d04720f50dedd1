"""Draws what recipe 3 prints on chests and backs: lettering, numbers, shapes, pictures of two inks.

Ink up to 1 is the fabric's third paint; from there to 2, its second.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from dgnet.people.arrays import Floats
from dgnet.people.materials import PRINT_PIXELS, Motif
from dgnet.people.randomness import choose_from

KINDS = {
    "lettering": 5, "number": 2, "shape": 3, "picture": 4, "framed": 2, "bars": 1.5, "badge": 1.5,
}  # fmt: skip
SECOND_INK = 2.0
SEGMENTS = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")
"""Lit segments of the ten digits, a at the top and on clockwise, g in the middle."""
BARS = {
    "a": (0, 3, 0, 10), "b": (0, 11, 7, 10), "c": (10, 22, 7, 10), "d": (19, 22, 0, 10),
    "e": (10, 22, 0, 3), "f": (0, 11, 0, 3), "g": (9, 12, 0, 10),
}  # fmt: skip
"""Rows and columns that a segment fills."""


def draw_print(random: np.random.Generator) -> Motif:
    """Large in the middle, small on the left of the chest, or all over the front."""
    kind = choose_from(random, KINDS)
    bitmap = _bitmap(random, kind)
    uniform = random.uniform
    draw = random.random()
    on_back = bool(random.random() < 0.22)
    if kind == "badge" or draw < 0.2:
        size = float(uniform(0.4, 0.8))
        side = 1 if random.random() < 0.75 else -1
        x, y = side * float(uniform(0.6, 0.9)), float(uniform(3.3, 4.0))
        return Motif(bitmap=bitmap, x=x, y=y, width=size, height=size)
    width = float(uniform(1.3, 2.5)) if draw < 0.8 else float(uniform(2.4, 3.2))
    height = width * float(uniform(0.35, 0.6) if kind == "lettering" else uniform(0.7, 1.25))
    y = float(uniform(2.5, 3.6))
    return Motif(bitmap=bitmap, x=0.0, y=y, width=width, height=height, on_back=on_back)


def _bitmap(random: np.random.Generator, kind: str) -> Floats:
    n = PRINT_PIXELS
    bitmap = np.zeros((n, n), np.float32)
    row, column = (grid / (n - 1) * 2 - 1 for grid in np.mgrid[:n, :n])  # -1 to 1
    match kind:
        case "lettering":
            _write(random, bitmap)
        case "number":
            for left, digit in zip((1, 13), random.integers(10, size=2), strict=True):
                for bar in SEGMENTS[int(digit)]:
                    top, bottom, first, last = BARS[bar]
                    bitmap[top + 1 : bottom + 1, left + first : left + last] = 1
        case "shape" | "badge":
            bitmap[_shape(random, row, column)] = 1
            if random.random() < 0.5:
                bitmap[_shape(random, row * 1.9, column * 1.9)] = SECOND_INK
        case "picture":
            bitmap = _picture(random)
        case "framed":
            bitmap = _picture(random)
            edge = np.maximum(np.abs(row), np.abs(column))
            bitmap[edge > 0.85] = float(random.choice([1.0, SECOND_INK]))
        case _:  # bars
            count = int(random.integers(2, 5))
            turned = row if random.random() < 0.6 else row * 0.7 + column * 0.7
            place = ((turned + 1) / 2 * count) % 1
            bitmap[place < random.uniform(0.3, 0.7)] = 1
            bitmap[place > 0.85] = SECOND_INK
    return bitmap


def _write(random: np.random.Generator, bitmap: Floats) -> None:
    """Rows of strokes that look like words from afar."""
    n = PRINT_PIXELS
    lines = int(random.integers(1, 4))
    high = n // lines - 2
    for line in range(lines):
        top = 1 + line * (n // lines)
        ink = SECOND_INK if random.random() < 0.25 else 1.0
        wide = 3 + int(random.integers(4 if lines > 1 else 6))
        left = int(random.integers(0, 4))
        while left + wide <= n - int(random.integers(0, 3)):
            letter = random.random((3, 3)) < 0.68
            letter[:, 0] |= random.random() < 0.7
            cell = Image.fromarray(letter.astype(np.float32)).resize((wide - 1, high), 0)
            bitmap[top : top + high, left : left + wide - 1] = ink * np.asarray(cell)
            left += wide + int(random.random() < 0.15) * 2


def _shape(
    random: np.random.Generator, row: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    column: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:  # fmt: skip
    """A disc, ring, diamond, triangle, heart or star."""
    radius, angle = np.hypot(row, column), np.arctan2(column, -row)
    match int(random.integers(6)):
        case 0:
            return radius < 0.95
        case 1:
            return (radius < 0.95) & (radius > 0.6)
        case 2:
            return np.abs(row) + np.abs(column) < 1
        case 3:
            return (row > 2 * np.abs(column) - 0.9) & (row < 0.9)
        case 4:
            high = -row * 1.15 + 0.1
            return (column**2 + high**2 - 0.6) ** 3 < column**2 * high**3
        case _:
            points = int(random.integers(4, 8))
            return radius < 0.68 + 0.3 * np.cos(points * angle)


def _picture(random: np.random.Generator) -> Floats:
    """Blotches of two inks, like a photograph seen from afar."""
    n, cells = PRINT_PIXELS, int(random.integers(3, 8))

    def field() -> Floats:
        coarse = Image.fromarray(random.random((cells, cells)).astype(np.float32))
        return np.asarray(coarse.resize((n, n), Image.Resampling.BICUBIC))

    bitmap = (field() > 0.48).astype(np.float32)
    bitmap[field() > 0.62] = SECOND_INK
    return bitmap
