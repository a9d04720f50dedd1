"""Draws what is printed on shirts: lines of text, blobs, discs, bars."""

from __future__ import annotations

import numpy as np
from PIL import Image

from dgnet.people.arrays import Floats
from dgnet.people.materials import PRINT_PIXELS, Motif


def draw_motif(random: np.random.Generator) -> Motif:
    """A large picture in the middle or a small one on the left of the chest."""
    bitmap = _bitmap(random)
    on_back = random.random() < 0.15
    if random.random() < 0.7:
        return Motif(
            bitmap=bitmap,
            x=0.0,
            y=float(random.uniform(2.6, 3.7)),
            width=float(random.uniform(1.2, 2.4)),
            height=float(random.uniform(0.8, 2.2)),
            on_back=on_back,
        )
    return Motif(bitmap=bitmap, x=0.72, y=3.6, width=0.5, height=0.5, on_back=on_back)


def _bitmap(random: np.random.Generator) -> Floats:
    n = PRINT_PIXELS
    kind = int(random.integers(4))
    bitmap = np.zeros((n, n), np.float32)
    if kind == 0:  # lines of text
        for line in range(int(random.integers(1, 4))):
            top = 4 + 6 * line
            for left in range(1, n - 2, 3):
                if random.random() < 0.9:
                    bottom = top + int(random.integers(3, 5))
                    bitmap[top:bottom, left : left + 2] = random.random() > 0.15
    elif kind == 1:  # a blotchy picture
        coarse = Image.fromarray(random.random((5, 5)).astype(np.float32))
        smooth = np.asarray(coarse.resize((n, n), Image.Resampling.BICUBIC))
        bitmap = (smooth > 0.5).astype(np.float32)
    elif kind == 2:  # a disc or a ring
        row, column = np.mgrid[:n, :n]
        distance = np.hypot(column - 11.5, row - 11.5)
        hole = (0, 0, 6)[int(random.integers(3))]
        bitmap = ((distance < 11) & (distance > hole)).astype(np.float32)
    else:  # a bar
        bitmap[8:16] = 1
    return bitmap
