"""Finds and reads pictures for commands, and tiles them on a sheet.

Pictures go through the door that data sets and the front end use (`pictures`), so that a command
and a server make the same composite of the same two files.

Legend: B pictures, H x W pixels, RGB uint8.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import typer

from dgnet.arrays import Pixels
from dgnet.commands.failures import InputError
from dgnet.commands.talk import first_named
from dgnet.pictures import PICTURE_SUFFIXES, PictureRefused, open_file
from dgnet.pictures.sheets import grid, lines

ENDINGS: Final = tuple(sorted(PICTURE_SUFFIXES))
GAP_PIXELS: Final = 4
NAMED: Final = 5
"""Of what is passed over."""


def find_pictures(paths: Sequence[Path]) -> list[Path]:
    """Files as they are given; of a folder its pictures, sorted by name, not of folders within."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            visible = sorted(
                entry
                for entry in path.iterdir()
                if entry.is_file() and not entry.name.startswith(".")
            )
            inside = [entry for entry in visible if entry.suffix.lower() in ENDINGS]
            others = [entry.name for entry in visible if entry.suffix.lower() not in ENDINGS]
            if not inside:
                raise InputError(f"{path} holds no picture ({', '.join(ENDINGS)})")
            if others:
                typer.echo(
                    f"dgnet: {path}: passed over what has no picture's ending: "
                    f"{first_named(others, NAMED)}",
                    err=True,
                )
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise InputError(f"{path} does not exist: expected a picture or a folder of pictures")
    return found


def read_picture(path: Path, *, height: int, width: int) -> Pixels:
    """One picture at the model's size, (H, W, 3); InputError if it is none."""
    with _input(path):
        return open_file(path).prepare(height=height, width=width).pixels


@contextmanager
def _input(path: Path) -> Generator[None]:
    try:
        yield
    except PictureRefused as refused:
        raise InputError(f"{path} {refused.what}") from refused
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error})") from error


def read_pictures(paths: Sequence[Path], *, height: int, width: int) -> Pixels:
    """Several pictures at the model's size, (B, H, W, 3)."""
    return np.stack([read_picture(path, height=height, width=width) for path in paths])


def tile(pictures: Pixels, *, across: int) -> Pixels:
    """Pictures (B, H, W, 3) in lines of `across`, on white; the last line may stay short."""
    return grid(lines(list(pictures), across=across), gap=GAP_PIXELS)
