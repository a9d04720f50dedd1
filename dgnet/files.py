"""Files and folders that appear whole or not at all, and what a file's bytes are known by.

Whatever is written lies beside its place under a hidden name until it is complete, and takes the
place in one step. What a killed process leaves under such a name is nobody's: `.*.part`.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

PART = ".part"
"""Ending of a file that is being written."""

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def write_file(
    path: Path, data: bytes, *, make_parents: bool = False, durable: bool = False
) -> None:
    """Create or replace a file; see `replaced_file`."""
    with replaced_file(path, make_parents=make_parents, durable=durable) as part:
        part.write_bytes(data)


def write_json(path: Path, values: object, *, make_parents: bool = False) -> None:
    """Readable JSON with a final newline; as `write_file`."""
    write_file(path, (json.dumps(values, indent=2) + "\n").encode(), make_parents=make_parents)


@contextmanager
def replaced_file(
    path: Path, *, make_parents: bool = False, durable: bool = False
) -> Generator[Path]:
    """The name of a file to write, which then takes the place of `path` in one step.

    When the block fails nothing is left behind and what was there stays. `durable` brings the bytes
    to the disk first, so that after a power cut, too, there is a whole file or none. Without
    `make_parents` nothing is made where the folder is gone: FileNotFoundError.
    """
    if make_parents:
        path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART}")
    try:
        yield part
        if durable:
            sync(part)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def replaced_directory(directory: Path, *, make_parents: bool = False) -> Generator[Path]:
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


def sync(path: Path) -> None:
    """Bring a file's bytes, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_sha256(path: Path) -> str:
    """In hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
