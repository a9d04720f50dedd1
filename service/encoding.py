"""Writes composites and embeddings in the format the client asked for.

Shapes: composites (H, W, 3) uint8, embeddings (N, D) float32.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dgnet.arrays import Pixels
from dgnet.jobs.media_types import JPEG, NPY, PNG, WEBP
from dgnet.pictures.encoding import FileFormat, encode_picture
from dgnet.service.settings import ServiceSettings

_FORMATS: Final[dict[str, FileFormat]] = {PNG: "PNG", JPEG: "JPEG", WEBP: "WEBP"}


def encode_composite(
    composite: Pixels,
    media_type: str,
    settings: ServiceSettings,
    *,
    size: tuple[int, int] | None = None,
) -> bytes:
    """A composite as a file; `size` (width, height) resizes it first (bicubic)."""
    if size is not None and size != (composite.shape[1], composite.shape[0]):
        resized = Image.fromarray(composite).resize(size, Image.Resampling.BICUBIC)
        composite = np.asarray(resized)
    if media_type == NPY:
        return encode_npy(composite)
    return encode_picture(
        composite,
        _FORMATS[media_type],
        quality=settings.jpeg_quality if media_type == JPEG else settings.webp_quality,
        png_level=settings.png_compress_level,
    )


def encode_npz(**arrays: NDArray[Any]) -> bytes:
    """Arrays as a .npz file, not compressed and never pickled."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def encode_zip(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Files by their names; stored, for pictures are compressed already. The same files always give
    the same bytes.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def encode_npy(array: NDArray[Any]) -> bytes:
    """An array as a .npy file, C order, never pickled."""
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(array), allow_pickle=False)
    return file.getvalue()
