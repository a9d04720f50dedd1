"""Where bodies or uploads fill what there is, slow ones make room; swift ones never do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from dgnet.service.middleware import body_limit
from dgnet.service.middleware.body_limit import BodyLimitMiddleware, give_up_a_slow_upload

SILENCE_SECONDS = 0.2


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "HELD_SILENCE_SECONDS", SILENCE_SECONDS)
    monkeypatch.setattr(body_limit, "UPLOAD_SILENCE_SECONDS", SILENCE_SECONDS)
    monkeypatch.setattr(body_limit, "TRICKLING_SECONDS", SILENCE_SECONDS)


async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that reads the body and says how long it was."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


class Client:
    """Sends what it is told to."""

    def __init__(self, app: BodyLimitMiddleware, path: str = "/", announced: int = 0) -> None:
        self.parts: asyncio.Queue[Message] = asyncio.Queue()
        self.answers: list[Message] = []
        headers = [(b"content-length", str(announced).encode())] if announced else []
        self.scope: dict[str, Any] = {"type": "http", "path": path, "headers": headers}
        self.asking = asyncio.create_task(app(self.scope, self.parts.get, self._send))

    async def _send(self, message: Message) -> None:
        self.answers.append(message)

    async def sends(self, size: int, *, more: bool = True) -> None:
        message = {"type": "http.request", "body": b"x" * size, "more_body": more}
        self.parts.put_nowait(message)
        await asyncio.sleep(0.01)

    @property
    async def status(self) -> int:
        await self.asking
        return self.answers[0]["status"]


def bounded(
    app: Callable[[Scope, Receive, Send], Awaitable[None]] = read_all, least: float = 0.0
) -> BodyLimitMiddleware:
    return BodyLimitMiddleware(
        app, max_body_bytes=100, max_held_bytes=250, retry_after_seconds=1,
        max_streamed_bytes=1000, least_bytes_per_second=least,
        is_streamed=lambda scope: scope["path"] == "/upload",
    )  # fmt: skip


async def test_bodies_that_stopped_make_room_for_one_that_comes() -> None:
    app = bounded()
    slow = [Client(app) for _ in range(3)]
    for client, size in zip(slow, (90, 80, 70), strict=True):
        await client.sends(size)
    await asyncio.sleep(SILENCE_SECONDS)
    fast = Client(app, announced=60)
    await fast.sends(60, more=False)
    assert await fast.status == 200
    assert await slow[0].status == 503  # silent for longest
    assert (b"connection", b"close") in slow[0].answers[0]["headers"]
    assert (b"retry-after", b"1") in slow[0].answers[0]["headers"]
    for client in slow[1:]:  # there is room for them
        await client.sends(5, more=False)
        assert await client.status == 200
    again = Client(app, announced=100)
    await again.sends(100, more=False)
    assert await again.status == 200


async def test_swift_bodies_make_no_room() -> None:
    app = bounded()
    others = [Client(app) for _ in range(3)]
    for client in others:
        await client.sends(80)
    late = Client(app, announced=60)
    assert await late.status == 503
    for client in others:
        await client.sends(0, more=False)
        assert await client.status == 200


async def test_a_body_that_waits_for_its_answer_is_not_given_up() -> None:
    done = asyncio.Event()

    async def answers_late(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/late":
            await receive()
            await done.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
        else:
            await read_all(scope, receive, send)

    app = bounded(answers_late)
    late = [Client(app, "/late") for _ in range(2)]
    for client in late:
        await client.sends(100, more=False)
    await asyncio.sleep(SILENCE_SECONDS)
    assert await Client(app, announced=60).status == 503
    done.set()
    assert [await client.status for client in late] == [200, 200]


@pytest.mark.parametrize("trickles", [True, False])
async def test_an_upload_that_trickles_or_stops_gives_its_place_up(trickles: bool) -> None:
    app = bounded(least=100.0)
    swift, slow = Client(app, "/upload"), Client(app, "/upload")
    await swift.sends(500)
    await slow.sends(1 if trickles else 500)
    await asyncio.sleep(SILENCE_SECONDS)
    await swift.sends(100)
    if trickles:
        await slow.sends(1)
    held = Client(app)
    assert not give_up_a_slow_upload(held.scope)  # no upload itself
    newcomer = Client(app, "/upload")
    await newcomer.sends(1)
    assert give_up_a_slow_upload(newcomer.scope)
    assert await slow.status == 503
    assert not give_up_a_slow_upload(newcomer.scope)
    for client in (swift, newcomer, held):
        await client.sends(1, more=False)
        assert await client.status == 200


async def test_a_request_that_is_cancelled_from_outside_stays_so() -> None:
    client = Client(bounded())
    await client.sends(10)
    client.asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client.asking
    assert client.answers == []
