"""Puts folders where they are found: whole, in one step, safe from a power cut.

A folder is filled under a name that nobody looks for, brought to the disk and renamed. A job's
folder is locked while a process works in it, and the lock ends with the process.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from dgnet.files import replaced_directory, sync
from dgnet.jobs.generation.errors import GenerationError


class FolderBusy(GenerationError):
    """Another process works in the folder."""


@contextmanager
def published_folder(directory: Path) -> Generator[Path]:
    """A temporary folder to fill, which then takes the place of `directory` in one step.

    FileNotFoundError, before the first file or at the latest in place of the last step, if the
    folder around it is gone.
    """
    with replaced_directory(directory) as folder:
        yield folder
        sync_file_system(folder)
    sync(directory.parent)


def make_below(top: Path, folder: Path) -> None:
    """Make `folder` and what is missing between it and `top`, but never `top`."""
    if folder != top:
        make_below(top, folder.parent)
        folder.mkdir(exist_ok=True)


def sync_file_system(folder: Path) -> None:
    """Bring everything written so far on the folder's file system to the disk.

    One call for thousands of small pictures: an fsync of each would take longer than making them.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        if syncfs is None or syncfs(descriptor) != 0:
            os.sync()
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Nobody else works in the folder meanwhile; FolderBusy if somebody does already."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderBusy(
                f"another process is generating into {folder}: wait for it or choose another folder"
            ) from None
        yield
    finally:
        os.close(descriptor)


def remove_unpublished(folder: Path, pattern: str) -> None:
    """Remove what killed processes left half done: hidden entries that fit the pattern."""
    for entry in folder.glob(f".{pattern}") if folder.is_dir() else ():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
