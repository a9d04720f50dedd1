"""Answers whole or in part (RFC 9110, section 14): one range of bytes, checked against an ETag.

Several ranges at once are answered whole, as the RFC allows. Bytes come from an iterator that is
run in a thread, chunk by chunk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from dgnet.jobs.tarball import file_range
from dgnet.service.problems import RANGE_NOT_SATISFIABLE, Problem

_ONE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z")


def ranged_response(
    request: Request,
    *,
    size_bytes: int,
    etag: str,
    media_type: str,
    filename: str,
    read: Callable[[int, int], Generator[bytes]],
) -> Response:
    """200 or 206 with bytes that `read(start, stop)` gives; raises the Problem of a wrong range."""
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Content-Disposition": _attachment(filename),
        "X-Content-Type-Options": "nosniff",
    }
    wanted = request.headers.get("range")
    if wanted is not None and request.headers.get("if-range", etag) == etag:
        part = _part(wanted, size_bytes)
    else:
        part = None
    start, stop = part or (0, size_bytes)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size_bytes}"
    headers["Content-Length"] = str(stop - start)
    return _PulledResponse(
        read(start, stop),
        status_code=200 if part is None else 206,
        media_type=media_type,
        headers=headers,
    )


def file_response(request: Request, path: Path, *, media_type: str, filename: str) -> Response:
    """A file that does not change any more."""
    facts = path.stat()
    return ranged_response(
        request,
        size_bytes=facts.st_size,
        etag=f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"',
        media_type=media_type,
        filename=filename,
        read=partial(file_range, path),
    )


class _PulledResponse(StreamingResponse):
    """Bytes of an iterator that is closed, with the file that it reads, as soon as nobody wants
    them: left to the garbage collection, files of clients that are gone would stay open.
    """

    def __init__(self, chunks: Generator[bytes], **options: Any) -> None:
        super().__init__(chunks, **options)
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            # No thread runs it any more: Starlette waits for those that do, cancelled or not.
            self._chunks.close()


def _attachment(filename: str) -> str:
    """RFC 6266: plain ASCII for all, and the name itself where it is more than that."""
    simple = re.sub(r"[^ !#-\[\]-~]", "_", filename)
    if simple == filename:
        return f'attachment; filename="{filename}"'
    encoded = quote(filename.encode("utf-8", "surrogateescape"), safe="")
    return f"attachment; filename=\"{simple}\"; filename*=UTF-8''{encoded}"


def _part(wanted: str, size_bytes: int) -> tuple[int, int] | None:
    """First byte and the one behind the last; None for what is to be answered whole."""
    match = _ONE_RANGE.match(wanted.replace(" ", ""))
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(0, size_bytes - int(last)), size_bytes
    else:
        start = int(first)
        stop = min(int(last) + 1, size_bytes) if last else size_bytes
        if last and int(last) < start:
            return None
    if start >= stop:
        raise Problem(
            RANGE_NOT_SATISFIABLE,
            f"Range is {wanted[:100]!r}; there are {size_bytes} bytes.",
            headers={"Content-Range": f"bytes */{size_bytes}"},
        )
    return start, stop
