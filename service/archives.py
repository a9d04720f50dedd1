"""Unpacks archives that nobody vouches for: zip, tar, or tar in gzip, told by their first bytes.

Every limit is held against the bytes that come out, never against what a header announces, and only
regular files come out: links, devices, sparse files, encrypted or repeated members, and names that
lead elsewhere make the whole archive refused. The caller gives a fresh folder and removes it on
error. Synchronous: run it in a thread.
"""

from __future__ import annotations

import gzip
import io
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, cast

CHUNK_BYTES: Final = 1 << 20
NAME_BYTES: Final = 255  # of one part of a path: what file systems take
# Small archives of repetitive files may be packed tighter than any ratio that makes sense for all.
RATIO_FREE_BYTES: Final = 1 << 20
_HEADER_BYTES: Final = 1 << 16  # of one tar member, extended headers included
_BLOCK_BYTES: Final = 512  # of a tar
_DIRECTORY_BYTES: Final = 512  # of one zip member in the list of members, on average
_ZIP_MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06")
_ZIP_ENTRY_MAGIC: Final = b"PK\x01\x02"
_GZIP_MAGIC: Final = b"\x1f\x8b"
_ENCRYPTED: Final = 1  # bit of a zip member's flags


class ArchiveError(Exception):
    """The archive is refused; `str(error)` says why and is safe to show."""


class NotAnArchive(ArchiveError):
    """The bytes are no archive of a kind that is accepted."""


class ArchiveTooLarge(ArchiveError):
    """More comes out of the archive than the limits allow."""


class Stopped(Exception):
    """The caller does not want the files any more."""


@dataclass(frozen=True, kw_only=True)
class UnpackLimits:
    """What may come out of one archive."""

    max_bytes: int
    max_ratio: float  # bytes that come out for each byte of the archive
    max_members: int
    max_depth: int  # parts of a path


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """What came out."""

    files: int
    size_bytes: int
    ignored: int
    """Files that were not wanted."""


@dataclass(frozen=True, kw_only=True)
class _Member:
    name: str
    size_bytes: int  # announced
    oddity: str | None  # what it is, if neither file nor folder
    is_folder: bool
    open: Callable[[], IO[bytes]]


def unpack(
    archive: Path,
    folder: Path,
    limits: UnpackLimits,
    *,
    wanted: Callable[[PurePosixPath], bool] = lambda path: True,
    stopped: Callable[[], bool] = lambda: False,
    before_writing: Callable[[int], None] = lambda size_bytes: None,
) -> Unpacked:
    """Write the wanted files of `archive` below `folder`, which must be empty.

    `before_writing` is told how many bytes come next, and may raise. Raises ArchiveError, Stopped
    once `stopped()` is true, and OSError if they cannot be written. A tar in gzip is first unzipped
    beside `archive`.
    """
    with archive.open("rb") as file:
        head = file.read(_BLOCK_BYTES)
    budget = _Budget(limits, archive.stat().st_size, stopped, before_writing)
    if head.startswith(_ZIP_MAGIC):
        return _write(_zip_members(archive, limits), folder, limits, budget, wanted)
    if head.startswith(_GZIP_MAGIC):
        archive = _gunzip(archive, limits, stopped, before_writing)
        with archive.open("rb") as file:
            head = file.read(_BLOCK_BYTES)
    if not _is_tar_header(head):
        raise NotAnArchive(
            f"The archive begins with {head[:8].hex(' ') or 'nothing'}; expected zip, tar or tar "
            "in gzip (.zip, .tar, .tar.gz)."
        )
    return _write(_tar_members(archive), folder, limits, budget, wanted)


class _Budget:
    """Bytes and members that may still come out."""

    def __init__(
        self,
        limits: UnpackLimits,
        packed_bytes: int,
        stopped: Callable[[], bool],
        before_writing: Callable[[int], None],
    ) -> None:
        by_ratio = max(RATIO_FREE_BYTES, int(limits.max_ratio * packed_bytes))
        self._limit = min(limits.max_bytes, by_ratio)
        self._why = (
            f"more than {limits.max_ratio:g} times its own size"
            if by_ratio < limits.max_bytes
            else f"more than {limits.max_bytes} bytes"
        )
        self._stopped = stopped
        self._before_writing = before_writing
        self.spent = 0

    def spend(self, size_bytes: int) -> None:
        if self._stopped():
            raise Stopped
        self.spent += size_bytes
        if self.spent > self._limit:
            raise ArchiveTooLarge(f"The archive unpacks to {self._why}; nothing was kept.")
        self._before_writing(size_bytes)


class _MeteredFile(io.FileIO):
    """What a library reads as headers is bounded: it would hold it in memory, however much is
    announced. `allowance` is None while the contents of members are read.
    """

    def __init__(self, path: Path, allowance: int, max_entries: int) -> None:
        super().__init__(path)
        self.allowance: int | None = allowance
        self._entries_left = max_entries

    def read(self, size: int | None = -1, /) -> bytes:
        whole = size is None or size < 0
        if self.allowance is None:
            return super().read(-1 if whole else size) or b""
        most = self.allowance + 1
        data = super().read(most if whole else min(size or 0, most)) or b""
        self.allowance -= len(data)
        if self.allowance < 0:
            raise ArchiveTooLarge("The archive's own headers are longer than any data set needs.")
        # Each member of a zip becomes an object of a kilobyte before it can be counted elsewhere.
        self._entries_left -= data.count(_ZIP_ENTRY_MAGIC)
        if self._entries_left < 0:
            raise ArchiveTooLarge(_too_many())
        return data


def _too_many() -> str:
    return "The archive has more members than are accepted; send fewer pictures."


@contextmanager
def _reading() -> Generator[None]:
    """Whatever a library says of the archive within becomes an ArchiveError: it was damaged, or
    made to damage. Libraries say it in any exception, OSError for a seek before the first byte
    among them, so nothing but the archive itself may be touched within.
    """
    try:
        yield
    except (ArchiveError, Stopped):
        raise
    except Exception as error:
        raise ArchiveError(
            f"The archive is damaged or incomplete: {error or type(error).__name__}."
        ) from error


def _write(
    members: Generator[_Member],
    folder: Path,
    limits: UnpackLimits,
    budget: _Budget,
    wanted: Callable[[PurePosixPath], bool],
) -> Unpacked:
    files = ignored = number = 0
    with closing(members):
        while (member := _next(members)) is not None:
            number += 1
            if number > limits.max_members:
                raise ArchiveTooLarge(_too_many())
            budget.spend(0)
            path = _checked_path(member, limits)
            if member.is_folder:
                continue
            if not wanted(path):
                ignored += 1
                continue
            _write_file(member, folder / path, budget)
            files += 1
    return Unpacked(files=files, size_bytes=budget.spent, ignored=ignored)


def _next(members: Generator[_Member]) -> _Member | None:
    with _reading():
        return next(members, None)


def _write_file(member: _Member, target: Path, budget: _Budget) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = target.open("xb")
    except (FileExistsError, NotADirectoryError) as error:
        raise ArchiveError(f"{_shown(member.name)} is in the archive twice.") from error
    before = budget.spent
    with file:
        for chunk in _chunks(member.open):
            budget.spend(len(chunk))
            file.write(chunk)
    if budget.spent - before != member.size_bytes:
        raise ArchiveError(
            f"{_shown(member.name)} announces {member.size_bytes} bytes and has "
            f"{budget.spent - before}: the archive is damaged."
        )


def _chunks(open_source: Callable[[], IO[bytes]]) -> Generator[bytes]:
    """What comes out; between two chunks nothing that goes wrong is the archive's fault."""
    with _reading():
        source = open_source()
    with closing(source):
        while True:
            with _reading():
                chunk = source.read(CHUNK_BYTES)
            if not chunk:
                return
            yield chunk


def _checked_path(member: _Member, limits: UnpackLimits) -> PurePosixPath:
    """Where a member may be written, relative; an ArchiveError for every other name."""
    name = member.name
    parts = [part for part in name.split("/") if part not in ("", ".")]
    problem = None
    if member.oddity is not None:
        problem = f"is {member.oddity}; only files and folders are accepted"
    elif name.startswith("/") or re.match(r"[A-Za-z]:", name):
        problem = "is an absolute path; expected paths below the data set"
    elif ".." in parts:
        problem = "leads out of the archive"
    elif "\\" in name or not name.isprintable():
        problem = "has characters that a path in an archive must not have"
    elif member.size_bytes < 0 or (not parts and not member.is_folder):
        problem = "has no sensible name or size"
    elif len(parts) > limits.max_depth:
        problem = f"lies {len(parts)} levels deep; at most {limits.max_depth} are accepted"
    elif any(len(part.encode()) > NAME_BYTES for part in parts):
        problem = f"has a part of more than {NAME_BYTES} bytes"
    if problem:
        raise ArchiveError(f"{_shown(name)} {problem}.")
    return PurePosixPath(*parts)


def _shown(name: str) -> str:
    return f"Member {name[:100]!r}"


def _zip_members(archive: Path, limits: UnpackLimits) -> Generator[_Member]:
    allowance = _DIRECTORY_BYTES * limits.max_members + (1 << 18)  # and comments at the end
    with (
        _MeteredFile(archive, allowance, limits.max_members) as file,
        zipfile.ZipFile(file) as zip_file,
    ):
        file.allowance = None
        for info in zip_file.infolist():
            yield _Member(
                name=info.filename,
                size_bytes=info.file_size,
                oddity=_zip_oddity(info),
                is_folder=info.is_dir(),
                open=lambda info=info: zip_file.open(info),
            )


def _zip_oddity(info: zipfile.ZipInfo) -> str | None:
    if info.flag_bits & _ENCRYPTED:
        return "encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # LZMA and bzip2 can ask for any amount of memory or time.
        return f"packed by method {info.compress_type}, neither stored nor deflated"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a link" if kind == stat.S_IFLNK else "a device or the like"
    return None


def _tar_members(archive: Path) -> Generator[_Member]:
    with (
        _MeteredFile(archive, _HEADER_BYTES, max_entries=_HEADER_BYTES) as file,
        tarfile.TarFile(fileobj=file, errors="strict") as tar,
    ):
        end = 0
        kept: Any = tar  # its lists are missing from the types
        while (info := tar.next()) is not None:
            file.allowance = None
            yield _Member(
                name=info.name,
                size_bytes=info.size,
                oddity=_tar_oddity(info),
                is_folder=info.isdir(),
                open=lambda info=info: _extracted(tar, info),
            )
            end = info.offset_data + -(-info.size // _BLOCK_BYTES) * _BLOCK_BYTES
            # Neither all members nor global headers are kept: nobody asks for them again.
            kept.members = []
            kept.pax_headers = {}
            file.allowance = _HEADER_BYTES
        file.allowance = None
        file.seek(end)
        if file.read(_BLOCK_BYTES) != bytes(_BLOCK_BYTES):
            raise ArchiveError("The archive is incomplete: a tar ends with a block of zeros.")


def _tar_oddity(info: tarfile.TarInfo) -> str | None:
    if info.issym() or info.islnk():
        return "a link"
    if info.issparse():
        return "a sparse file"
    if not (info.isreg() or info.isdir()):
        return "a device or the like"
    return None


def _extracted(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = tar.extractfile(info)
    assert file is not None, "only regular files are opened"
    return file


def _is_tar_header(head: bytes) -> bool:
    """Whether a block's checksum is right; an empty tar begins with zeros."""
    if head == bytes(_BLOCK_BYTES):
        return True
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    return True


def _gunzip(
    archive: Path,
    limits: UnpackLimits,
    stopped: Callable[[], bool],
    before_writing: Callable[[int], None],
) -> Path:
    """The tar inside: seeking in gzip would mean unzipping from the start again and again."""
    plain = archive.with_name(f"{archive.name}.tar")
    padding = 3 * _BLOCK_BYTES * limits.max_members
    room = UnpackLimits(
        max_bytes=limits.max_bytes + padding,
        max_ratio=limits.max_ratio,
        max_members=limits.max_members,
        max_depth=limits.max_depth,
    )
    budget = _Budget(room, archive.stat().st_size, stopped, before_writing)
    with plain.open("xb") as target:
        for chunk in _chunks(lambda: cast("IO[bytes]", gzip.GzipFile(archive))):
            budget.spend(len(chunk))
            target.write(chunk)
    return plain
