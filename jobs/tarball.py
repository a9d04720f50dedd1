"""A folder as a tar that nobody has to write down first: its size is known before its first byte.

The same folder gives the same bytes: names in order, no times, no owners. So any range of it can be
sent, and a download that broke off goes on where it stopped. Synchronous: run it in a thread.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CHUNK_BYTES: Final = 1 << 18
_BLOCK_BYTES: Final = 512
_END: Final = bytes(2 * _BLOCK_BYTES)


@dataclass(frozen=True)
class TarEntry:
    """A file on the disk and its name in the tar."""

    name: str
    path: Path
    size_bytes: int


def files_below(
    folder: Path, wanted: Callable[[str], bool] = lambda name: True, prefix: str = ""
) -> Iterator[TarEntry]:
    """Regular files in the order of their names, folder by folder; hidden ones and links are left
    out. Memory: the names of the folders on the way down.
    """
    for name in sorted(os.listdir(folder)):
        path = folder / name
        if name.startswith(".") or path.is_symlink():
            continue
        if path.is_dir():
            yield from files_below(path, wanted, f"{prefix}{name}/")
        elif path.is_file() and wanted(f"{prefix}{name}"):
            yield TarEntry(f"{prefix}{name}", path, path.stat().st_size)


def tar_size(entries: Iterator[TarEntry]) -> int:
    """Bytes of the whole tar."""
    return sum(_packed_size(entry) for entry in entries) + len(_END)


def tar_range(entries: Iterator[TarEntry], start: int, stop: int) -> Generator[bytes]:
    """Bytes `start` to `stop` of the tar; files before and behind are not opened.

    Raises ValueError if a file has become shorter than its entry says.
    """
    position = 0
    for entry in entries:
        size = _packed_size(entry)
        if position + size > start:
            header = _header(entry)
            yield from _cut(header, position, start, stop)
            data = position + len(header)
            first, last = max(start - data, 0), min(stop - data, entry.size_bytes)
            yield from file_range(entry.path, first, last)
            end = data + entry.size_bytes
            yield from _cut(bytes(position + size - end), end, start, stop)
        position += size
        if position >= stop:
            return
    yield from _cut(_END, position, start, stop)


def file_range(path: Path, start: int, stop: int) -> Generator[bytes]:
    """Bytes `start` to `stop` of a file, in chunks; raises ValueError if it is shorter."""
    if stop <= start:
        return
    with path.open("rb") as file:
        file.seek(start)
        left = stop - start
        while left:
            chunk = file.read(min(CHUNK_BYTES, left))
            if not chunk:
                raise ValueError(f"{path.name} has become shorter while it was sent")
            left -= len(chunk)
            yield chunk


def _cut(data: bytes, position: int, start: int, stop: int) -> Iterator[bytes]:
    """The part of `data`, which stands at `position`, that lies between `start` and `stop`."""
    part = data[max(start - position, 0) : max(stop - position, 0)]
    if part:
        yield part


def _packed_size(entry: TarEntry) -> int:
    return len(_header(entry)) + -(-entry.size_bytes // _BLOCK_BYTES) * _BLOCK_BYTES


def _header(entry: TarEntry) -> bytes:
    info = tarfile.TarInfo(entry.name)
    info.size = entry.size_bytes
    info.mode = 0o644
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
