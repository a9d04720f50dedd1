"""Receives an archive into a file as it arrives: raw, or as the one file of a form.

Memory holds a few chunks, however large the upload is; writing happens in a thread. The limit of
the body is the middleware's; what stays free on the disk and how long a client may be silent is
seen to here.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Final, TypeVar

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from dgnet.jobs.media_types import ARCHIVES, FORM, media_type_of
from dgnet.jobs.storage import is_full
from dgnet.service.problems import (
    BAD_REQUEST,
    MISSING_PART,
    STORAGE_FULL,
    UNSUPPORTED_CONTENT_TYPE,
    UPLOAD_STALLED,
    Problem,
)
from dgnet.service.settings import ServiceSettings

ARCHIVE_PART: Final = "archive"
_WRITE_BYTES: Final = 1 << 20
T = TypeVar("T")


def is_upload(content_type: str | None) -> bool:
    """Whether a body of this type is received into a file."""
    return media_type_of(content_type) in (*ARCHIVES, FORM)


async def receive_archive(request: Request, target: Path, settings: ServiceSettings) -> None:
    """Write the archive of a request to `target`, a new file; raises a Problem or ClientDisconnect.

    Whatever was written stays for the caller to remove.
    """
    content_type = request.headers.get("content-type")
    file = _SpoolFile(target, settings.min_free_bytes)
    with file:
        async with aclosing(_chunks(request, settings.upload_idle_seconds)) as chunks:
            if media_type_of(content_type) == FORM:
                await _receive_form(chunks, content_type, file)
            else:
                async for chunk in chunks:
                    file.add(chunk)
                    await file.write_if_due()
        await file.write_rest()


async def _chunks(request: Request, idle_seconds: float) -> AsyncGenerator[bytes]:
    async with aclosing(request.stream()) as stream:
        while True:
            try:
                async with asyncio.timeout(idle_seconds):
                    chunk = await anext(stream, None)
            except TimeoutError as error:
                raise Problem(
                    UPLOAD_STALLED,
                    f"Nothing arrived for {idle_seconds:g} s; send the archive again.",
                ) from error
            if chunk is None:
                return
            yield chunk


async def _receive_form(
    chunks: AsyncGenerator[bytes], content_type: str | None, file: _SpoolFile
) -> None:
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise Problem(
            UNSUPPORTED_CONTENT_TYPE, "Content-Type is multipart/form-data without a boundary."
        )
    form = _ArchiveForm(file)
    try:
        parser = MultipartParser(boundary, form.callbacks)  # pyright: ignore[reportArgumentType]
        async for chunk in chunks:
            parser.write(chunk)
            await file.write_if_due()
        parser.finalize()
    except FormParserError as error:
        raise Problem(BAD_REQUEST, f"The multipart body cannot be read: {error}") from error
    if not form.is_complete:
        raise Problem(
            MISSING_PART,
            f"The form has no file {ARCHIVE_PART!r}; expected one part of that name.",
        )


class _ArchiveForm:
    """Callbacks of the parser: the bytes of the one part go to the file, all else is refused."""

    def __init__(self, file: _SpoolFile) -> None:
        self.is_complete = False
        self._file = file
        self._field = bytearray()
        self._value = bytearray()
        self._name: bytes | None = None
        self.callbacks: dict[str, Callable[..., None]] = {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
        }

    def _begin(self) -> None:
        self._name = None

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if bytes(self._field).lower() == b"content-disposition":
            self._name = parse_options_header(bytes(self._value))[1].get(b"name")
        self._field.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        if self._name != ARCHIVE_PART.encode() or self.is_complete:
            arrived = (self._name or b"").decode("utf-8", "replace")[:100]
            raise Problem(
                BAD_REQUEST,
                f"The form has a part {arrived!r}; expected one part {ARCHIVE_PART!r} and no other "
                "(layout and pattern go into the address).",
            )

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._file.add(data[start:end])

    def _part_end(self) -> None:
        self.is_complete = True


class _SpoolFile:
    """Collects a mebibyte, then writes it in a thread."""

    def __init__(self, path: Path, min_free_bytes: int) -> None:
        self._path = path
        self._min_free_bytes = min_free_bytes
        self._waiting = bytearray()

    def __enter__(self) -> _SpoolFile:
        self._file = self._path.open("xb")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, data: bytes) -> None:
        self._waiting += data

    async def write_if_due(self) -> None:
        if len(self._waiting) >= _WRITE_BYTES:
            await self.write_rest()

    async def write_rest(self) -> None:
        data, self._waiting = self._waiting, bytearray()
        await to_the_end(lambda: self._write(data))

    def _write(self, data: bytearray) -> None:
        check_free_space(self._path.parent, self._min_free_bytes, len(data))
        with storage_problems():
            self._file.write(data)
            self._file.flush()


def check_free_space(folder: Path, min_free_bytes: int, wanted_bytes: int) -> None:
    """Raises a Problem unless so much can be written and enough stays free."""
    free = shutil.disk_usage(folder).free
    if free - wanted_bytes < min_free_bytes:
        raise _storage_full()


@contextmanager
def storage_problems() -> Generator[None]:
    """Turns a full disk or quota within the block into a Problem."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise _storage_full() from error
        raise


def _storage_full() -> Problem:
    return Problem(
        STORAGE_FULL,
        "The server has no room for this data set; delete others or ask its operator for more.",
    )


async def to_the_end(work: Callable[[], T], *, stop: Callable[[], None] = lambda: None) -> T:
    """Run `work` in a thread. If this task is cancelled, `stop` is called and the thread awaited:
    whatever it works on can be removed afterwards.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop()
        await asyncio.wait([running])
        raise
