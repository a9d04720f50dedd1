"""Bounds request bodies: early by Content-Length, else by counting the bytes as they stream in.

A body that was never announced, or announced smaller than it is, is refused at the first chunk
over the limit; nothing more of it is kept. All bodies together are bounded, too: a request keeps
its body until it is answered, so slow workers or many uploads at once would fill the memory.
Archives of data sets go to the disk as they arrive: they have a limit of their own, and are not
counted among the bodies in memory.

Where the bound is reached, whoever is slow makes room for whoever comes: a body that has stopped
arriving, or that trickles, is given up. Until then slow clients harm nobody and may take their
time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dgnet.service.problems import BODY_TOO_LARGE, OVERLOADED, Problem, problem_response

# A body that is silent for so long makes room for others: of one that lies in memory, and of an
# upload, which may have hours behind it.
HELD_SILENCE_SECONDS = 1.0
UPLOAD_SILENCE_SECONDS = 5.0
TRICKLING_SECONDS = 2.0
"""So old a body must be before its mean rate says something."""
_GIVE_UP = "dgnet.give_up_a_slow_upload"


@dataclass(eq=False)
class _Body:
    """One that is arriving."""

    task: asyncio.Task[None]
    streamed: bool
    since: float
    waiting_since: float = 0.0
    received: int = 0
    held: int = 0
    given_up: bool = False


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
        least_bytes_per_second: float = 0.0,
        is_streamed: Callable[[Scope], bool] = lambda scope: False,
    ) -> None:
        """`is_streamed` tells of which requests the route keeps no body in memory."""
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._max_held_bytes = max_held_bytes
        self._held_bytes = 0  # of all requests that are not answered yet
        self._retry_after_seconds = retry_after_seconds
        self._max_streamed_bytes = max_streamed_bytes
        self._least_bytes_per_second = least_bytes_per_second
        self._is_streamed = is_streamed
        self._waiting: set[_Body] = set()  # for the client

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
        elif not streamed and announced and not self._has_room(announced):
            problem = self._overloaded()
        if problem is not None:
            response = problem_response(
                problem, scope, retry_after_seconds=self._retry_after_seconds
            )
            await response(scope, receive, send)
            return
        if streamed:
            scope[_GIVE_UP] = self._give_up_an_upload
        await self._receive_within(limit, streamed, scope, receive, send)

    async def _receive_within(
        self, limit: int, streamed: bool, scope: Scope, receive: Receive, send: Send
    ) -> None:
        loop = asyncio.get_running_loop()
        task = cast("asyncio.Task[None]", asyncio.current_task())
        body = _Body(task, streamed, since=loop.time())
        arriving = True

        async def counting_receive() -> Message:
            nonlocal arriving
            if not arriving:  # only whether the client leaves is asked
                return await receive()
            body.waiting_since = loop.time()
            self._waiting.add(body)
            try:
                message = await receive()
            finally:
                self._waiting.discard(body)
            if message["type"] == "http.request":
                arriving = message.get("more_body", False)
                size = len(message.get("body", b""))
                body.received += size
                if body.received > limit:
                    raise _too_large(f"has sent {body.received} bytes and goes on", limit, streamed)
                if not streamed:
                    body.held += size
                    self._held_bytes += size
                    if not self._has_room(0):
                        raise self._overloaded()
            return message

        try:
            await self._app(scope, counting_receive, send)
        except asyncio.CancelledError:
            if not body.given_up:
                raise
            task.uncancel()
            problem = Problem(
                OVERLOADED,
                f"The server is full, and this body made room: of {body.received} bytes so far "
                "nothing more arrived for a while. Try again shortly, and faster.",
                headers={"Connection": "close"},
            )
            response = problem_response(
                problem, scope, retry_after_seconds=self._retry_after_seconds
            )
            await response(scope, receive, send)
        finally:
            self._held_bytes -= body.held

    def _has_room(self, size: int) -> bool:
        """Whether so many bytes may come, after slow bodies made room for them if need be."""
        while self._held_bytes + size > self._max_held_bytes:
            if not self._give_up(streamed=False, silence_seconds=HELD_SILENCE_SECONDS):
                return False
        return True

    def _give_up_an_upload(self) -> bool:
        return self._give_up(streamed=True, silence_seconds=UPLOAD_SILENCE_SECONDS)

    def _give_up(self, *, streamed: bool, silence_seconds: float) -> bool:
        """Let go of the slow body that has been silent for longest; False if none is slow."""
        now = asyncio.get_running_loop().time()

        def is_slow(body: _Body) -> bool:
            age = now - body.since
            trickles = (
                age >= TRICKLING_SECONDS and body.received < self._least_bytes_per_second * age
            )
            return trickles or now - body.waiting_since >= silence_seconds

        slow = [body for body in self._waiting if body.streamed == streamed and is_slow(body)]
        if not slow:
            return False
        body = min(slow, key=lambda body: body.waiting_since)
        self._waiting.discard(body)
        body.given_up = True
        self._held_bytes -= body.held
        body.held = 0
        body.task.cancel()
        return True

    def _overloaded(self) -> Problem:
        return Problem(
            OVERLOADED,
            f"Requests that wait for their answers hold {self._held_bytes} bytes already; together "
            f"at most {self._max_held_bytes} are kept. Try again shortly.",
        )


def give_up_a_slow_upload(scope: Scope) -> bool:
    """Whether an upload that is slow lets go of its place, which is free soon."""
    give_up = cast("Callable[[], bool] | None", scope.get(_GIVE_UP))
    return give_up is not None and give_up()


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
