"""Files and folders that appear whole or not at all, and the two formats that models are kept in.

Tensors are safetensors, what is known of them is JSON: nothing is ever unpickled. What the names
inside mean is left to `checkpoints` and to `training.state`.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


class TensorFileError(ValueError):
    """A file does not hold tensors; the message says what is wrong with it."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file, on the CPU."""
    try:
        return safetensors.load_file(path)  # pyright: ignore[reportUnknownMemberType]
    except SafetensorError as error:
        raise TensorFileError(f"{path} is not a safetensors file: {error}") from error


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Tensors to a safetensors file, wherever they live and however they are laid out."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    safetensors.save_file(plain, path)  # pyright: ignore[reportUnknownMemberType]
    path.chmod(0o644)  # the library writes 0600, which a container's own user could not read


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor with a value that is no finite number."""
    return next(
        (
            name
            for name, tensor in tensors.items()
            if tensor.is_floating_point() and not bool(tensor.isfinite().all())
        ),
        None,
    )


def file_sha256(path: Path) -> str:
    """In hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, values: object) -> None:
    """Readable JSON with a final newline, put in place in one step."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(values, indent=2) + "\n")
    part.replace(path)


@contextmanager
def replaced_directory(directory: Path, *, make_parents: bool = True) -> Generator[Path]:
    """A temporary folder to fill, which then takes the place of `directory` in one step.

    When the block fails nothing is left behind and what was there stays. Without `make_parents`
    nothing is made where the parent is gone: FileNotFoundError.
    """
    if make_parents:
        directory.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        folder.chmod(0o755)
        yield folder
        if directory.exists():
            _exchange(folder, directory)
        else:
            folder.rename(directory)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _exchange(new: Path, old: Path) -> None:
    """Let two folders change names: both names exist at every moment, so a kill loses neither.

    Where kernel or file system cannot, in two steps: a kill between them leaves the old folder
    under another name.
    """
    exchange = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    names = (os.fsencode(new), os.fsencode(old))
    if exchange and exchange(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return
    aside = new.with_name(f"{new.name}.old")
    old.rename(aside)
    new.rename(old)
    aside.rename(new)
