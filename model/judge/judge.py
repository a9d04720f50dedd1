"""What a judge is: pictures of any size in, embeddings out, and a name for exactly these weights.

B pictures of H x W pixels, uint8 (B, H, W, 3) RGB; D embedding values.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from PIL import Image

from dgnet.arrays import Embeddings, Pixels


class JudgeError(ValueError):
    """A judge cannot be loaded or asked; the message says what to change."""


class Judge(Protocol):
    """An embedding network that had no part in making what it judges."""

    @property
    def name(self) -> str:
        """How people call it: folder or file."""
        ...

    @property
    def version(self) -> str:
        """First digits of the weights' sha256."""
        ...

    @property
    def height(self) -> int:
        """Height of the pictures it works on, in pixels."""
        ...

    @property
    def width(self) -> int: ...

    def embed(self, images: Pixels) -> Embeddings:
        """(B, D), of length 1. Pictures are brought to the judge's own size."""
        ...


def resized(images: Pixels, height: int, width: int) -> Pixels:
    """Pictures (B, H, W, 3), bicubic where their size differs."""
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or not len(images):
        raise JudgeError(
            f"pictures are {images.dtype} {images.shape}; expected uint8 (B, H, W, 3), at least one"
        )
    if images.shape[1:3] == (height, width):
        return images
    return np.stack(
        [
            np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
            for image in images
        ]
    )
