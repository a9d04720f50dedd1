"""Refuses addresses that are no text: percent-encoded bytes that are no UTF-8.

Further in they would become replacement characters without a word, and a pattern or a name another
one than was sent.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from dgnet.service.problems import BAD_REQUEST, Problem, problem_response


class AddressMiddleware:
    """Answers 400 in place of the app."""

    def __init__(self, app: ASGIApp, *, retry_after_seconds: float) -> None:
        self._app = app
        self._retry_after_seconds = retry_after_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for part in (scope.get("raw_path") or b"", scope["query_string"]):
                if not _is_text(part):
                    problem = Problem(
                        BAD_REQUEST,
                        f"The address has {part.decode('latin-1')[:100]!r}, whose percent-encoded "
                        "bytes are no UTF-8; encode text as UTF-8 first.",
                    )
                    response = problem_response(
                        problem, scope, retry_after_seconds=self._retry_after_seconds
                    )
                    await response(scope, receive, send)
                    return
        await self._app(scope, receive, send)


def _is_text(part: bytes) -> bool:
    if b"%" not in part and part.isascii():
        return True
    try:
        unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        return False
    return True
