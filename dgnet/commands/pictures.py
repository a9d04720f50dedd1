"""Finds and reads pictures for local commands, and tiles them on a sheet.

Pictures go through the front end's own decoding and resizing (`dgnet.service.pictures`), so that a
command and a server make the same composite of the same two files.

Legend: B pictures, H x W pixels, RGB uint8.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from dgnet.commands.failures import InputError
from dgnet.jobs.contract import UInt8Array

ENDINGS: Final = (".jpg", ".jpeg", ".png", ".webp")
GAP_PIXELS: Final = 4


def find_pictures(paths: Sequence[Path]) -> list[Path]:
    """Files as they are given; of a folder its pictures, sorted by name, not of folders within."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(
                entry
                for entry in path.iterdir()
                if entry.suffix.lower() in ENDINGS and not entry.name.startswith(".")
            )
            if not inside:
                raise InputError(f"{path} holds no picture ({', '.join(ENDINGS)})")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise InputError(f"{path} does not exist: expected a picture or a folder of pictures")
    return found


def read_picture(path: Path, *, height: int, width: int) -> UInt8Array:
    """One picture at the model's size, (H, W, 3); InputError if a server would refuse it."""
    from dgnet.service.pictures import open_picture
    from dgnet.service.problems import Problem
    from dgnet.service.settings import ServiceSettings

    try:
        picture = open_picture(path.read_bytes(), ServiceSettings(), label=str(path))
        return picture.prepare(height=height, width=width).pixels
    except (Problem, OSError) as error:
        raise InputError(str(error)) from error


def read_pictures(paths: Sequence[Path], *, height: int, width: int) -> UInt8Array:
    """Several pictures at the model's size, (B, H, W, 3)."""
    return np.stack([read_picture(path, height=height, width=width) for path in paths])


def tile(pictures: UInt8Array, *, across: int) -> UInt8Array:
    """Pictures (B, H, W, 3) in lines of `across`, on white; the last line may stay short."""
    count, height, width, channels = pictures.shape
    lines = -(-count // across)
    cell_height, cell_width = height + GAP_PIXELS, width + GAP_PIXELS
    cells = np.full((lines * across, cell_height, cell_width, channels), 255, np.uint8)
    cells[:count, :height, :width] = pictures
    grid = cells.reshape(lines, across, cell_height, cell_width, channels).swapaxes(1, 2)
    sheet = grid.reshape(lines * cell_height, across * cell_width, channels)
    return sheet[:-GAP_PIXELS, :-GAP_PIXELS]
