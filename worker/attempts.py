"""The jobs a worker is working on: from claim to finished, with their leases kept alive.

An attempt ends in one of three ways: its outcome is published, its message is dead-lettered, or it
is left to another worker because this one goes away, is not fit for it, its device broke, or
something happened that nobody foresaw. The last is told in the log with its cause, counts as a
delivery, and so ends after `max_deliveries`; no message ever holds its lane. Steps of generation
jobs have no outcome: the job store is told by whoever does them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Awaitable, Callable

from dgnet.jobs.codec import Outcome, decode_job
from dgnet.jobs.contract import Lane
from dgnet.jobs.errors import BadJob, JobError, NewerMessage, PoisonJob
from dgnet.jobs.generation.errors import UnreadableRecord
from dgnet.jobs.generation.records import task_of
from dgnet.jobs.keys import Stream
from dgnet.jobs.outages import REDIS_ERRORS, is_outage, until_taken
from dgnet.jobs.settings import QueueSettings
from dgnet.jobs.tasks import cancel_and_wait
from dgnet.worker import metrics
from dgnet.worker.batcher import DeviceBroken
from dgnet.worker.bulk import BulkWork, LeaveToOthers
from dgnet.worker.handlers import JobHandler
from dgnet.worker.heartbeat import Heartbeat
from dgnet.worker.leases import Claim, LeasedQueue

_log = logging.getLogger(__name__)

_STEP_ASIDE_SECONDS = 1.0  # after a message was put back, so that others come by it
_STEP_ASIDE_LEASES = 0.25  # but no longer than that: the lane goes on


class Attempts:
    """Runs claims concurrently; `len()` is the number in flight."""

    def __init__(
        self,
        queue: LeasedQueue,
        handler: JobHandler,
        heartbeat: Heartbeat,
        settings: QueueSettings,
        bulk: BulkWork | None = None,
    ) -> None:
        self._queue = queue
        self._handler = handler
        self._heartbeat = heartbeat
        self._settings = settings
        self._bulk = bulk
        self._in_flight: dict[tuple[Stream, str], Claim] = {}
        self._tasks: set[asyncio.Task[bool]] = set()
        self._avoided: dict[tuple[Stream, str], float] = {}  # and since when
        self._abandoning = False
        self._changed = asyncio.Event()
        self.over = asyncio.Event()
        """Nothing new begins: `end_waits` was called, or the device broke."""
        self._suspects_wait = False
        self.broken: DeviceBroken | None = None

    def __len__(self) -> int:
        return len(self._in_flight)

    def count(self, lane: Lane) -> int:
        """How many of a lane are in flight."""
        return sum(held.lane == lane for held, _ in self._in_flight)

    @property
    def suspects_wait(self) -> bool:
        """Whether small jobs wait to run alone: neither grids nor bulk work begin."""
        return self._suspects_wait

    @suspects_wait.setter
    def suspects_wait(self, value: bool) -> None:
        self._suspects_wait = value
        self._tell_change()

    def holds(self, stream: Stream, entry_id: str) -> bool:
        """Whether this very message is being worked on."""
        return (stream, entry_id) in self._in_flight

    def avoids(self, stream: Stream, entry_id: str) -> bool:
        """Whether this worker failed at the message so lately that others shall have it first."""
        latest = time.monotonic() - self._settings.lease_seconds
        self._avoided = {key: since for key, since in self._avoided.items() if since > latest}
        return (stream, entry_id) in self._avoided

    def begin(self, claim: Claim) -> None:
        """Starts to work on a claim."""
        self._start(claim, self._work_on_task if claim.kind == "generation" else self._work)

    def dead_letter(self, claim: Claim, deliveries: int) -> None:
        """Gives up a job that has been lost with too many workers."""
        error = PoisonJob(
            f"the job was given to {deliveries} workers and none answered it; "
            "it probably ends the process that runs it, so it is not tried again"
        )
        self._start(claim, lambda claim: self._give_up(claim, error, reason="poison"))

    async def wait_below(self, lane: Lane, count: int) -> None:
        """Returns when fewer than `count` of a lane are in flight, or `end_waits` was called."""
        await self._wait_while(lambda: self.count(lane) >= count)

    async def wait_for_suspects(self) -> None:
        """Returns when no small job waits to run alone, or when `end_waits` was called."""
        await self._wait_while(lambda: self.suspects_wait)

    def end_waits(self) -> None:
        """Ends every wait: the worker is about to stop."""
        self.over.set()
        self._tell_change()

    def _tell_change(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _wait_while(self, condition: Callable[[], bool]) -> None:
        while condition() and not self.over.is_set():
            await self._next_change()

    async def _next_change(self) -> None:
        """Several may wait at once: `_tell_change` wakes all, with an event that is never reset."""
        await self._changed.wait()

    async def drain(self, timeout_seconds: float) -> bool:
        """Waits for what is in flight; False if time ran out or the device broke."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while self._in_flight and self.broken is None:
                    await self._next_change()
        except TimeoutError:
            return False
        return not self._in_flight

    async def abandon(self) -> None:
        """Stops working and lets other workers have the rest at once."""
        self._abandoning = True
        await cancel_and_wait(list(self._tasks))
        if self._in_flight:
            _log.warning("leaving %d unfinished jobs to other workers", len(self))
            with contextlib.suppress(*REDIS_ERRORS):  # their leases run out by themselves
                await self._queue.release(list(self._in_flight.values()))

    async def keep_leases(self) -> None:
        """Renews the lease of everything in flight, every third of a lease, until cancelled."""
        interval = self._settings.lease_seconds / 3
        while True:
            if self._in_flight:
                try:
                    await self._queue.renew(list(self._in_flight.values()))
                except REDIS_ERRORS as error:
                    _log.warning("leases of %d jobs were not renewed: %r", len(self), error)
            await asyncio.sleep(interval)

    def _start(self, claim: Claim, work: Callable[[Claim], Awaitable[None]]) -> None:
        key = (claim.stream, claim.entry_id)
        self._in_flight[key] = claim
        task = asyncio.create_task(self._attempt(claim, work), name=f"attempt {claim.entry_id}")
        self._tasks.add(task)
        task.add_done_callback(functools.partial(self._ended, key))

    def _ended(self, key: tuple[Stream, str], task: asyncio.Task[bool]) -> None:
        """However an attempt ended, its lease is not renewed any more."""
        self._tasks.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if self._abandoning:
            return  # what is in flight is released as a whole
        if error is not None:
            _log.error(
                "the attempt at message %s was ended; its lease runs out", key[1], exc_info=error
            )
        if error is not None or task.result():
            self._in_flight.pop(key, None)
        self._tell_change()

    async def _attempt(self, claim: Claim, work: Callable[[Claim], Awaitable[None]]) -> bool:
        """The guard around all work on a message; False if it stays in flight until the worker
        ends, which then releases it.
        """
        try:
            try:
                await work(claim)
            except LeaveToOthers as reason:
                await self._put_back(claim, reason)
        except DeviceBroken as error:
            self.broken = error
            self.over.set()
            return False
        except Exception as error:
            await self._surprised(claim, error)
        return True

    async def _surprised(self, claim: Claim, error: Exception) -> None:
        """Lets others try a message that this worker failed at, or gives it up."""
        deliveries, most = claim.deliveries, self._settings.max_deliveries
        metrics.SURPRISES.labels(claim.lane).inc()
        _log.error(
            "message %s (job %r, %s) surprised this worker by %s, delivery %d of %d",
            claim.entry_id, claim.job_id, claim.kind, type(error).__name__, deliveries, most,
            exc_info=error,
        )  # fmt: skip
        if deliveries >= most:
            try:
                await self._give_up(claim, _given_up(deliveries, error), reason="surprise")
                return
            except Exception:
                _log.exception("message %s could not even be given up", claim.entry_id)
        self._avoided[claim.stream, claim.entry_id] = time.monotonic()
        try:
            await self._queue.release([claim])
        except Exception:
            _log.exception("message %s was not released; its lease runs out", claim.entry_id)

    async def _work(self, claim: Claim) -> None:
        assert claim.kind != "generation"
        kind = claim.kind
        try:
            job = decode_job(claim.payload)
        except NewerMessage:
            raise  # left to those who know it
        except BadJob as error:
            await self._give_up(claim, error, reason="undecodable")
            return
        submitted = self._heartbeat.local_time(claim.submitted)
        try:
            outcome = Outcome(
                kind=kind, result=await self._handler.handle(job, submitted=submitted)
            )
        except JobError as error:
            _log.warning("job %s: %s", claim.job_id, error, exc_info=error.__cause__)
            outcome = Outcome(kind=kind, error=error)
        await self._until_taken(claim, lambda: self._queue.finish(claim, outcome))
        metrics.JOBS.labels(kind, outcome.error.code if outcome.error else "done").inc()

    async def _work_on_task(self, claim: Claim) -> None:
        """`_work` for a step of a generation job."""
        try:
            task = task_of(claim.job_id, claim.payload)
        except BadJob as error:
            await self._give_up(claim, error, reason="undecodable")
            return
        if self._bulk is None:
            raise LeaveToOthers("this worker makes no data sets")
        await self._bulk.run(task)
        await self._until_taken(claim, lambda: self._queue.acknowledge(claim))

    async def _put_back(self, claim: Claim, reason: LeaveToOthers) -> None:
        _log.info("message %s (job %s) is left to others: %s", claim.entry_id, claim.job_id, reason)
        try:
            await self._queue.put_back(claim)
        except REDIS_ERRORS as error:
            if not is_outage(error):
                raise
            _log.warning("message %s was not put back: %r", claim.entry_id, error)
            return  # its lease runs out by itself
        seconds = min(_STEP_ASIDE_SECONDS, _STEP_ASIDE_LEASES * self._settings.lease_seconds)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.over.wait()

    async def _give_up(self, claim: Claim, error: JobError, *, reason: str) -> None:
        _log.error("message %s (job %r): %s", claim.entry_id, claim.job_id, error)
        metrics.DEAD_LETTERS.labels(reason).inc()
        if claim.kind != "generation":
            outcome = Outcome(kind=claim.kind, error=error)
            await self._until_taken(
                claim, lambda: self._queue.finish(claim, outcome, dead_reason=reason)
            )
            return
        if self._bulk is not None:
            try:
                await self._bulk.give_up(task_of(claim.job_id, claim.payload), error)
            except BadJob:
                pass  # it is no job's
            except Exception:  # as when the job's record is of the wrong type: the lane goes on
                _log.exception("job %r could not be told that it failed", claim.job_id)
        await self._until_taken(claim, lambda: self._queue.acknowledge(claim, dead_reason=reason))

    async def _until_taken(self, claim: Claim, finish: Callable[[], Awaitable[None]]) -> None:
        def tell(error: BaseException) -> None:
            _log.warning("job %s is finished but not yet published: %r", claim.job_id, error)

        await until_taken(finish, tell)


def _given_up(deliveries: int, error: Exception) -> PoisonJob:
    """What the job's owner is told: nothing of what went on inside."""
    if isinstance(error, (NewerMessage, UnreadableRecord)):
        return PoisonJob(f"{deliveries} workers were given the job and none could read it: {error}")
    return PoisonJob(
        f"{deliveries} workers tried the job and failed in a way that nobody foresaw, the last by "
        f"{type(error).__name__}; their logs say more, and it is not tried again"
    )
