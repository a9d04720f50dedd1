"""Decodes pictures for a model and cuts long lists of them into batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from dgnet.arrays import Pixels
from dgnet.model.data.batches import decode_pictures as decode_to_tensor


class PictureSize(Protocol):
    """Whatever takes pictures of one size, in pixels."""

    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...


def decode_pictures(paths: Sequence[Path], size: PictureSize) -> Pixels:
    """Files as uint8 (B, height, width, 3)."""
    return decode_to_tensor(paths, size.height, size.width).numpy()


def batches(count: int, batch_size: int) -> Iterator[slice]:
    """Slices of at most `batch_size` rows that together are `count` rows."""
    return (slice(start, min(start + batch_size, count)) for start in range(0, count, batch_size))
