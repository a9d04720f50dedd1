"""Bounds request bodies: early by Content-Length, else by counting the bytes as they stream in.

A body that was never announced, or announced smaller than it is, is refused at the first chunk
over the limit; nothing more of it is kept.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import BODY_TOO_LARGE, Problem, problem_response


class BodyLimitMiddleware:
    """Raises the 413 from within `receive`, where the route that reads the body turns it over."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, retry_after_seconds: float) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._retry_after_seconds = retry_after_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = _content_length(scope)
        if announced is not None and announced > self._max_body_bytes:
            problem = self._problem(f"announces {announced} bytes")
            response = problem_response(
                problem, scope, retry_after_seconds=self._retry_after_seconds
            )
            await response(scope, receive, send)
            return
        received = 0

        async def counting_receive() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > self._max_body_bytes:
                    raise self._problem(f"has sent {received} bytes and goes on")
            return message

        await self._app(scope, counting_receive, send)

    def _problem(self, what: str) -> Problem:
        return Problem(
            BODY_TOO_LARGE,
            f"The request body {what}; at most {self._max_body_bytes} are accepted. "
            "Send fewer or smaller pictures.",
        )


def _content_length(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else None
    return None
