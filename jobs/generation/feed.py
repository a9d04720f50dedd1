"""One reader of job events for all who follow jobs in a process.

A follower with a connection of its own would need as many as there are followers, and followers are
patient: they would hold them all. Here one connection waits for the events of every job that is
followed and hands them out. What a follower missed, or asks for from before, is read by commands
that return at once, and those who ask for the same meanwhile share them: hundreds may begin to
follow a job together. The reader runs while there are followers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from dgnet.jobs.combining import Combiner
from dgnet.jobs.connection import stream_entries
from dgnet.jobs.errors import JobError, QueueUnavailable
from dgnet.jobs.generation.jobs import JobEvent
from dgnet.jobs.generation.records import event_of, is_final
from dgnet.jobs.keys import Keys
from dgnet.jobs.outages import REDIS_ERRORS, answered_within, unavailable

_log = logging.getLogger(__name__)

READ_SECONDS = 0.25
"""One read waits no longer: so soon the events of a job that nobody followed before are heard."""
SILENCE_SECONDS = 1.0
"""After this the record is asked whether the job is at an end; not all ends are told."""
MOST_WAITING = 100
"""Events that a follower has not taken yet; beyond, it reads them again."""
_COUNT = 100
_MOST_ASKING = 1024  # followers that share a trip
_PAGES_AT_ONCE = 8  # in one pipeline: what comes back is taken apart before others are served

IsAtAnEnd = Callable[[str], Awaitable[bool]]


@dataclass(eq=False)
class _Follower:
    events: deque[JobEvent] = field(default_factory=deque[JobEvent])
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    has_missed: bool = False
    error: JobError | None = None

    def hear(self, event: JobEvent) -> None:
        if len(self.events) >= MOST_WAITING:
            self.events.clear()
            self.has_missed = True
        self.events.append(event)
        self.awake.set()

    def take(self, last: str) -> list[JobEvent]:
        """What was heard behind `last`."""
        heard = [event for event in self.events if _number(event.event_id) > _number(last)]
        self.events.clear()
        return heard

    def fail(self, error: JobError) -> None:
        self.error = error
        self.awake.set()


@dataclass(eq=False)
class _FollowedJob:
    job_id: str
    spec: dict[str, Any]
    last: str
    """Id of the event that was read last."""
    followers: set[_Follower] = field(default_factory=set[_Follower])
    asked_at: float = 0.0
    is_at_an_end: bool = False
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True)
class _Page:
    """Events of a job behind `last`, at most `_COUNT`."""

    job_id: str
    spec: dict[str, Any]
    last: str

    @property
    def place(self) -> tuple[str, str]:
        return self.job_id, self.last


class EventFeed:
    """All followers of one process."""

    def __init__(self, redis: Redis, keys: Keys, outage_seconds: float) -> None:
        self._redis = redis
        self._keys = keys
        self._outage_seconds = outage_seconds
        self._pages: Combiner[_Page, list[JobEvent]] = Combiner(
            self._read_pages, max_items=_MOST_ASKING
        )
        self._jobs: dict[str, _FollowedJob] = {}
        self._reader: asyncio.Task[None] | None = None

    async def follow(
        self, job_id: str, spec: dict[str, Any], *, after: str, is_at_an_end: IsAtAnEnd
    ) -> AsyncGenerator[Sequence[JobEvent]]:
        """Events behind `after`, those together that are there already, until the job is at an end;
        raises QueueUnavailable.
        """
        last = after
        is_over = False
        async for events in self._from_before(job_id, spec, last):
            last, is_over = events[-1].event_id, is_final(events[-1].job)
            yield events
        # An end may have been followed by a resumption: the record has the last word.
        if (is_over or last == after) and await is_at_an_end(job_id):
            return
        job, follower = self._enter(job_id, spec, last)
        try:
            while True:
                is_over = False
                if follower.has_missed:
                    follower.has_missed = False
                    async for events in self._from_before(job_id, spec, last):
                        last, is_over = events[-1].event_id, is_final(events[-1].job)
                        yield events
                if not follower.has_missed and (events := follower.take(last)):
                    last, is_over = events[-1].event_id, is_final(events[-1].job)
                    yield events
                if is_over and await is_at_an_end(job_id):
                    return
                if follower.error is not None:
                    raise follower.error
                if not await self._hears(follower) and await self._has_ended(job, is_at_an_end):
                    return
        finally:
            self._leave(job, follower)

    async def _from_before(
        self, job_id: str, spec: dict[str, Any], last: str
    ) -> AsyncGenerator[list[JobEvent]]:
        """What is there already."""
        while True:
            try:
                events = await self._pages(_Page(job_id, spec, last))
            except REDIS_ERRORS as error:
                raise unavailable(error) from error
            if events:
                last = events[-1].event_id
                yield events
            if len(events) < _COUNT:
                return

    async def _read_pages(self, asked: Sequence[_Page]) -> Sequence[list[JobEvent]]:
        """Each page once, however many ask for it."""
        read: dict[tuple[str, str], list[JobEvent]] = {}
        pages = list({page.place: page for page in asked}.values())
        for start in range(0, len(pages), _PAGES_AT_ONCE):
            some = pages[start : start + _PAGES_AT_ONCE]
            pipeline = self._redis.pipeline(transaction=False)
            for page in some:
                stream = self._keys.generation(page.job_id, "events")
                pipeline.xread({stream: page.last}, count=_COUNT)
            replies = await answered_within(self._outage_seconds, pipeline.execute())
            for page, reply in zip(some, replies, strict=True):
                entries = [entry for _, entry in stream_entries(reply)]
                read[page.place] = [event_of(page.job_id, entry, page.spec) for entry in entries]
            await asyncio.sleep(0)
        return [read[page.place] for page in asked]

    def _enter(
        self, job_id: str, spec: dict[str, Any], last: str
    ) -> tuple[_FollowedJob, _Follower]:
        stream, follower = self._keys.generation(job_id, "events"), _Follower()
        job = self._jobs.setdefault(stream, _FollowedJob(job_id, spec, last))
        follower.has_missed = job.last != last
        if _number(last) < _number(job.last):  # which somebody may have made up
            job.last = last
        job.followers.add(follower)
        if self._reader is None:
            self._reader = asyncio.create_task(self._read(), name="job-events")
        return job, follower

    def _leave(self, job: _FollowedJob, follower: _Follower) -> None:
        job.followers.discard(follower)
        stream = self._keys.generation(job.job_id, "events")
        if not job.followers and self._jobs.get(stream) is job:
            del self._jobs[stream]

    async def _read(self) -> None:
        """For everybody, while there is anybody; what goes wrong is told to all."""
        try:
            while self._jobs:
                positions: Any = {stream: job.last for stream, job in self._jobs.items()}
                reply = await self._redis.xread(
                    positions, count=_COUNT, block=int(READ_SECONDS * 1000)
                )
                for stream, entry in stream_entries(reply):
                    if (job := self._jobs.get(stream)) is not None:
                        event = event_of(job.job_id, entry, job.spec)
                        job.last = event.event_id
                        for follower in job.followers:
                            follower.hear(event)
        except REDIS_ERRORS as error:
            self._fail(unavailable(error))
        except Exception as error:
            _log.exception("events of jobs cannot be read")
            self._fail(unavailable(error))
        except asyncio.CancelledError:
            self._fail(QueueUnavailable("the front end is shutting down; try again shortly"))
            raise
        finally:
            self._reader = None

    def _fail(self, error: JobError) -> None:
        jobs, self._jobs = self._jobs, {}
        for job in jobs.values():
            for follower in job.followers:
                follower.fail(error)

    async def _hears(self, follower: _Follower) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SILENCE_SECONDS):
                await follower.awake.wait()
        heard = follower.awake.is_set()
        follower.awake.clear()
        return heard

    async def _has_ended(self, job: _FollowedJob, is_at_an_end: IsAtAnEnd) -> bool:
        """Asked once for all who follow the job."""
        async with job.asking:
            if time.monotonic() - job.asked_at >= SILENCE_SECONDS:
                job.is_at_an_end = await is_at_an_end(job.job_id)
                job.asked_at = time.monotonic()
            return job.is_at_an_end


def _number(event_id: str) -> tuple[int, int]:
    first, _, second = event_id.partition("-")
    return int(first), int(second)
