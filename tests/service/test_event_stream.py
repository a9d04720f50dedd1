"""Job events as they are sent: written once for all who follow, in few pieces, kept in bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

import pytest
from pydantic import BaseModel

from dgnet.jobs.generation.jobs import GenerationJob, JobEvent
from dgnet.service import event_stream
from dgnet.service.event_stream import EventStream, EventTexts

JOB = GenerationJob(
    job_id="gen_0", state="running", spec={}, created=0, updated=0, finished=None, planned=0,
    made=0, kept=0, dropped={}, unreadable=0, shards=0, shards_done=0, rate=None, eta_seconds=None,
    error_code=None, error_message=None, model_version=None,
)  # fmt: skip


class _Shown(BaseModel):
    made: int


def event(number: int) -> JobEvent:
    return JobEvent(event_id=f"{number}-0", kind="progress", job=replace(JOB, made=number))


async def told(events: Sequence[JobEvent]) -> AsyncGenerator[Sequence[JobEvent]]:
    yield events


async def pieces(events: Sequence[JobEvent], texts: EventTexts, shown: list[int]) -> list[bytes]:
    def show(job: GenerationJob) -> BaseModel:
        shown.append(job.made)
        return _Shown(made=job.made)

    stream = EventStream(told(events), texts=texts, show=show, closing=asyncio.Event())
    return [bytes(piece) async for piece in stream.body_iterator if isinstance(piece, bytes)]


async def test_an_event_is_written_once_for_all_who_follow() -> None:
    events, texts, shown = [event(number) for number in range(100)], EventTexts(), list[int]()
    answers = await asyncio.gather(*(pieces(events, texts, shown) for _ in range(50)))
    assert shown == list(range(100))
    assert all(len(answer) == 4 for answer in answers)
    assert {b"".join(answer) for answer in answers} == {
        b"".join(
            b'event: progress\ndata: {"made":%d}\nid: %d-0\nretry: 2000\n\n' % (number, number)
            for number in range(100)
        )
    }


async def test_what_was_written_is_kept_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "_MOST_HELD_BYTES", 500)
    texts, shown = EventTexts(), list[int]()
    for _ in range(2):
        await pieces([event(number) for number in range(20)], texts, shown)
    assert shown == [*range(20), *range(20)]  # the oldest had made room
    shown.clear()
    await pieces([event(19)], texts, shown)
    assert shown == []
