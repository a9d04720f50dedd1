"""Events of jobs as server-sent events (text/event-stream).

Hundreds may follow one job, and begin together: an event is written once for all of them, and what
is there already goes out in a few pieces. FastAPI's own stream writes each event for each follower
and passes it through two tasks; with three hundred followers that kept all others waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing

from pydantic import BaseModel
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from dgnet.jobs.errors import JobError
from dgnet.jobs.generation.jobs import GenerationJob, JobEvent
from dgnet.jobs.media_types import EVENT_STREAM

RETRY_MILLISECONDS = 2000
"""After this a client that lost its stream comes back."""
PING_SECONDS = 15.0
_PING = b": ping\n\n"
_EVENTS_IN_A_PIECE = 25
_MOST_HELD_BYTES = 4_000_000

Show = Callable[[GenerationJob], BaseModel]


class EventTexts:
    """What events are sent as; those that were written last are kept, a few megabytes of them."""

    def __init__(self) -> None:
        self._texts: dict[tuple[str, str], bytes] = {}
        self._held_bytes = 0

    def of(self, event: JobEvent, show: Show) -> bytes:
        place = (event.job.job_id, event.event_id)
        text = self._texts.get(place)
        if text is None:
            text = _text(event, show)
            self._texts[place] = text
            self._held_bytes += len(text)
            while self._held_bytes > _MOST_HELD_BYTES:
                self._held_bytes -= len(self._texts.pop(next(iter(self._texts))))
        return text


class EventStream(StreamingResponse):
    """`events` until the job is at an end, the app is about to stop (`closing`) or the queue is
    away: the client then comes back, with the id of the last event that it saw.
    """

    media_type = EVENT_STREAM

    def __init__(
        self,
        events: AsyncIterator[Sequence[JobEvent]],
        *,
        texts: EventTexts,
        show: Show,
        closing: asyncio.Event,
    ) -> None:
        self._pieces = _pieces(events, texts, show, closing)
        # nginx would keep events back otherwise.
        super().__init__(
            self._pieces, headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._pieces):  # whoever is gone follows no longer
            await super().__call__(scope, receive, send)


async def _pieces(
    events: AsyncIterator[Sequence[JobEvent]],
    texts: EventTexts,
    show: Show,
    closing: asyncio.Event,
) -> AsyncGenerator[bytes]:
    closed = asyncio.ensure_future(closing.wait())
    coming: asyncio.Future[Sequence[JobEvent]] | None = None
    try:
        while True:
            coming = asyncio.ensure_future(anext(events))
            while not coming.done():
                await asyncio.wait(
                    {coming, closed}, timeout=PING_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                if not coming.done():
                    if closed.done():
                        return
                    yield _PING
            try:
                some = coming.result()
            except (StopAsyncIteration, JobError):
                return
            for start in range(0, len(some), _EVENTS_IN_A_PIECE):
                piece = some[start : start + _EVENTS_IN_A_PIECE]
                yield b"".join(texts.of(event, show) for event in piece)
    finally:
        closed.cancel()
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
        if isinstance(events, AsyncGenerator):
            await events.aclose()


def _text(event: JobEvent, show: Show) -> bytes:
    return (
        f"event: {event.kind}\n"
        f"data: {show(event.job).model_dump_json()}\n"
        f"id: {event.event_id}\n"
        f"retry: {RETRY_MILLISECONDS}\n\n"
    ).encode()
