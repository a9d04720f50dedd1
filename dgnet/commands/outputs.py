"""Writes what commands produce: whole or not at all.

A file appears under its name only when complete, so that an interrupted command never leaves half a
picture behind, nor destroys the one that was there.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgnet.arrays import Pixels
from dgnet.commands.failures import InputError
from dgnet.files import write_file, write_json
from dgnet.pictures.encoding import FileFormat, encode_picture

PICTURE_FORMATS: dict[str, FileFormat] = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
}


def write_bytes(path: Path, data: bytes) -> None:
    """Create or replace `path` in one step; makes the folders above it."""
    write_file(path, data, make_parents=True)


def write_figures(path: Path, figures: dict[str, Any], model_version: str, precision: str) -> None:
    """What was measured as JSON, with which weights and arithmetic."""
    card = {"model_version": model_version, "precision": precision, **figures}
    write_json(path, card, make_parents=True)


def picture_format(path: Path) -> FileFormat:
    """The format that a name's ending asks for; checked before any work is done."""
    try:
        return PICTURE_FORMATS[path.suffix.lower()]
    except KeyError:
        raise InputError(
            f"cannot tell the picture format of {path}: expected a name ending in "
            f"{', '.join(PICTURE_FORMATS)}"
        ) from None


def write_picture(path: Path, pixels: Pixels) -> None:
    """RGB pixels (H, W, 3) to a file of the format that its name asks for."""
    write_bytes(path, encode_picture(pixels, picture_format(path)))


def write_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    """Named arrays to an .npz file."""
    file = io.BytesIO()
    save: Any = np.savez  # typed as if an array could be meant for its other parameters
    save(file, **arrays)
    write_bytes(path, file.getvalue())
