"""Bounds request bodies: early by Content-Length, else by counting the bytes as they stream in.

A body that was never announced, or announced smaller than it is, is refused at the first chunk
over the limit; nothing more of it is kept. All bodies together are bounded, too: a request keeps
its body until it is answered, so slow workers or many uploads at once would fill the memory.
Archives of data sets go to the disk as they arrive: they have a limit of their own, and are not
counted among the bodies in memory.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dgnet.service.problems import BODY_TOO_LARGE, OVERLOADED, Problem, problem_response


class BodyLimitMiddleware:
    """Raises the 413 or 503 within `receive`, where the route that reads the body turns it over."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_bytes: int,
        max_held_bytes: int,
        retry_after_seconds: float,
        max_streamed_bytes: int = 0,
        is_streamed: Callable[[Scope], bool] = lambda scope: False,
    ) -> None:
        """`is_streamed` tells of which requests the route keeps no body in memory."""
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._max_held_bytes = max_held_bytes
        self._held_bytes = 0  # of all requests that are not answered yet
        self._retry_after_seconds = retry_after_seconds
        self._max_streamed_bytes = max_streamed_bytes
        self._is_streamed = is_streamed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = _content_length(scope) or 0
        streamed = self._is_streamed(scope)
        limit = self._max_streamed_bytes if streamed else self._max_body_bytes
        problem = None
        if announced > limit:
            problem = _too_large(f"announces {announced} bytes", limit, streamed)
        elif not streamed and announced and self._held_bytes + announced > self._max_held_bytes:
            problem = self._overloaded()
        if problem is not None:
            response = problem_response(
                problem, scope, retry_after_seconds=self._retry_after_seconds
            )
            await response(scope, receive, send)
            return
        received = held = 0

        async def counting_receive() -> Message:
            nonlocal received, held
            message = await receive()
            if message["type"] == "http.request":
                size = len(message.get("body", b""))
                received += size
                if received > limit:
                    raise _too_large(f"has sent {received} bytes and goes on", limit, streamed)
                if streamed:
                    return message
                held += size
                self._held_bytes += size
                if self._held_bytes > self._max_held_bytes:
                    raise self._overloaded()
            return message

        try:
            await self._app(scope, counting_receive, send)
        finally:
            self._held_bytes -= held

    def _overloaded(self) -> Problem:
        return Problem(
            OVERLOADED,
            f"Requests that wait for their answers hold {self._held_bytes} bytes already; together "
            f"at most {self._max_held_bytes} are kept. Try again shortly.",
        )


def _too_large(what: str, limit: int, streamed: bool) -> Problem:
    return Problem(
        BODY_TOO_LARGE,
        f"The request body {what}; at most {limit} are accepted. "
        f"Send fewer{'' if streamed else ' or smaller'} pictures.",
    )


def _content_length(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else None
    return None
