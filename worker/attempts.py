"""The jobs a worker is working on: from claim to finished, with their leases kept alive.

An attempt ends in one of three ways: its outcome is published, its message is dead-lettered, or it
is left to another worker because this one goes away, is not fit for it, or its device broke. Steps
of generation jobs have no outcome: the job store is told by whoever does them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine

from dgnet.jobs.codec import Outcome, decode_job
from dgnet.jobs.connection import REDIS_ERRORS
from dgnet.jobs.contract import Lane
from dgnet.jobs.errors import BadJob, JobError, PoisonJob
from dgnet.jobs.generation.records import task_of
from dgnet.jobs.settings import QueueSettings
from dgnet.jobs.tasks import cancel_and_wait
from dgnet.worker import metrics
from dgnet.worker.batcher import DeviceBroken
from dgnet.worker.bulk import BulkWork, LeaveToOthers
from dgnet.worker.handlers import JobHandler
from dgnet.worker.heartbeat import Heartbeat
from dgnet.worker.leases import Claim, LeasedQueue

_log = logging.getLogger(__name__)

_LONGEST_BACKOFF_SECONDS = 1.0
_STEP_ASIDE_SECONDS = 1.0  # after a message was put back, so that others come by it


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
        self._in_flight: dict[tuple[Lane, str], Claim] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._hurry = asyncio.Event()
        self._suspects_wait = False
        self.broken: DeviceBroken | None = None

    def __len__(self) -> int:
        return len(self._in_flight)

    def count(self, lane: Lane) -> int:
        """How many of a lane are in flight."""
        return sum(held == lane for held, _ in self._in_flight)

    @property
    def suspects_wait(self) -> bool:
        """Whether small jobs wait to run alone: no bulk work begins."""
        return self._suspects_wait

    @suspects_wait.setter
    def suspects_wait(self, value: bool) -> None:
        self._suspects_wait = value
        self._tell_change()

    def holds(self, lane: Lane, entry_id: str) -> bool:
        """Whether this very message is being worked on."""
        return (lane, entry_id) in self._in_flight

    def begin(self, claim: Claim) -> None:
        """Starts to work on a claim."""
        work = self._work_on_task if claim.kind == "generation" else self._work
        self._start(claim, work(claim))

    def bury(self, claim: Claim, deliveries: int) -> None:
        """Gives up a job that has been lost with too many workers."""
        error = PoisonJob(
            f"the job was given to {deliveries} workers and none answered it; "
            "it probably ends the process that runs it, so it is not tried again"
        )
        self._start(claim, self._give_up(claim, error, reason="poison"))

    async def wait_below(self, lane: Lane, count: int) -> None:
        """Returns when fewer than `count` of a lane are in flight, or when `hurry` was called."""
        await self._wait_while(lambda: self.count(lane) >= count)

    async def wait_for_suspects(self) -> None:
        """Returns when no small job waits to run alone, or when `hurry` was called."""
        await self._wait_while(lambda: self.suspects_wait)

    def hurry(self) -> None:
        """Ends every wait: the worker is about to stop."""
        self._hurry.set()
        self._tell_change()

    def _tell_change(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _wait_while(self, condition: Callable[[], bool]) -> None:
        while condition() and not self._hurry.is_set() and self.broken is None:
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
        await cancel_and_wait(list(self._tasks))
        if self._in_flight:
            _log.warning("leaving %d unfinished jobs to other workers", len(self))
            with contextlib.suppress(*REDIS_ERRORS):  # their leases run out by themselves
                await self._queue.release(list(self._in_flight.values()))

    async def keep_leases(self) -> None:
        """Renews the lease of everything in flight, every third of a lease, until cancelled."""
        interval = self._settings.lease_seconds / 3
        while True:
            await asyncio.sleep(interval)
            if not self._in_flight:
                continue
            try:
                await self._queue.renew(list(self._in_flight.values()))
            except REDIS_ERRORS as error:
                _log.warning("leases of %d jobs were not renewed: %r", len(self), error)

    def _start(self, claim: Claim, work: Coroutine[None, None, bool]) -> None:
        key = (claim.lane, claim.entry_id)
        self._in_flight[key] = claim

        async def run() -> None:
            if await work:
                del self._in_flight[key]
            self._tell_change()

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, claim: Claim) -> bool:
        """True when the message has left the queue."""
        assert claim.kind != "generation"
        kind = claim.kind
        try:
            job = decode_job(claim.payload)
        except BadJob as error:
            return await self._give_up(claim, error, reason="undecodable")
        submitted = self._heartbeat.local_time(claim.submitted)
        try:
            outcome = Outcome(
                kind=kind, result=await self._handler.handle(job, submitted=submitted)
            )
        except JobError as error:
            _log.warning("job %s: %s", claim.job_id, error, exc_info=error.__cause__)
            outcome = Outcome(kind=kind, error=error)
        except LeaveToOthers as reason:
            return await self._put_back(claim, reason)
        except DeviceBroken as error:
            self.broken = error
            return False
        await self._insist(claim, lambda: self._queue.finish(claim, outcome))
        metrics.JOBS.labels(kind, outcome.error.code if outcome.error else "done").inc()
        return True

    async def _work_on_task(self, claim: Claim) -> bool:
        """`_work` for a step of a generation job."""
        try:
            task = task_of(claim.job_id, claim.payload)
        except BadJob as error:
            return await self._give_up(claim, error, reason="undecodable")
        try:
            if self._bulk is None:
                raise LeaveToOthers("this worker makes no data sets")
            await self._bulk.run(task)
        except LeaveToOthers as reason:
            return await self._put_back(claim, reason)
        except DeviceBroken as error:
            self.broken = error
            return False
        await self._insist(claim, lambda: self._queue.acknowledge(claim))
        return True

    async def _put_back(self, claim: Claim, reason: LeaveToOthers) -> bool:
        _log.info("message %s (job %s) is left to others: %s", claim.entry_id, claim.job_id, reason)
        try:
            await self._queue.put_back(claim)
        except REDIS_ERRORS as error:  # its lease runs out by itself
            _log.warning("message %s was not put back: %r", claim.entry_id, error)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STEP_ASIDE_SECONDS):
                await self._hurry.wait()
        return True

    async def _give_up(self, claim: Claim, error: JobError, *, reason: str) -> bool:
        _log.error("message %s (job %r): %s", claim.entry_id, claim.job_id, error)
        metrics.DEAD_LETTERS.labels(reason).inc()
        if claim.kind != "generation":
            outcome = Outcome(kind=claim.kind, error=error)
            await self._insist(
                claim, lambda: self._queue.finish(claim, outcome, dead_reason=reason)
            )
            return True
        if self._bulk is not None:
            with contextlib.suppress(BadJob):
                await self._bulk.give_up(task_of(claim.job_id, claim.payload), error)
        await self._insist(claim, lambda: self._queue.acknowledge(claim, dead_reason=reason))
        return True

    async def _insist(self, claim: Claim, finish: Callable[[], Awaitable[None]]) -> None:
        """Tries until Redis takes it: the work is done, an outage should not undo it."""
        backoff = 0.05
        while True:
            try:
                await finish()
            except REDIS_ERRORS as error:
                _log.warning("job %s is finished but not yet published: %r", claim.job_id, error)
                await asyncio.sleep(backoff)
                backoff = min(_LONGEST_BACKOFF_SECONDS, backoff * 2)
            else:
                return
