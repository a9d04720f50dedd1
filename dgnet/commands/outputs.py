"""Writes what commands produce: whole or not at all.

A file appears under its name only when complete, so that an interrupted command never leaves half a
picture behind, nor destroys the one that was there.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dgnet.arrays import Pixels
from dgnet.commands.failures import InputError
from dgnet.files import write_file

PICTURE_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def write_bytes(path: Path, data: bytes) -> None:
    """Create or replace `path` in one step; makes the folders above it."""
    write_file(path, data, make_parents=True)


def write_figures(path: Path, figures: dict[str, Any], model_version: str, precision: str) -> None:
    """What was measured as JSON, with which weights and arithmetic."""
    card = {"model_version": model_version, "precision": precision, **figures}
    write_bytes(path, (json.dumps(card, indent=2) + "\n").encode())


def picture_format(path: Path) -> str:
    """The Pillow format that a name's ending asks for; checked before any work is done."""
    try:
        return PICTURE_FORMATS[path.suffix.lower()]
    except KeyError:
        raise InputError(
            f"cannot tell the picture format of {path}: expected a name ending in "
            f"{', '.join(PICTURE_FORMATS)}"
        ) from None


def encode_picture(pixels: Pixels, path: Path) -> bytes:
    """RGB pixels (H, W, 3) as a file of the format that the name of `path` asks for."""
    file = io.BytesIO()
    kind = picture_format(path)
    quality: dict[str, Any] = {} if kind == "PNG" else {"quality": 95}
    if kind == "JPEG":
        quality["subsampling"] = 0  # halved color planes blur clothes at these sizes
    Image.fromarray(pixels).save(file, kind, **quality)
    return file.getvalue()


def write_picture(path: Path, pixels: Pixels) -> None:
    """RGB pixels (H, W, 3) to a file, whole or not at all."""
    write_bytes(path, encode_picture(pixels, path))


def write_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    """Named arrays to an .npz file."""
    file = io.BytesIO()
    save: Any = np.savez  # typed as if an array could be meant for its other parameters
    save(file, **arrays)
    write_bytes(path, file.getvalue())
