"""The jobs a worker is working on: from claim to finished, with their leases kept alive.

An attempt ends in one of three ways: its outcome is published, its message is dead-lettered, or it
is left to another worker because this one goes away or its device broke.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine

from worker import metrics
from worker.batcher import DeviceBroken
from worker.codec import Outcome, decode_job
from worker.connection import REDIS_ERRORS
from worker.contract import Lane
from worker.errors import BadJob, JobError, PoisonJob
from worker.handlers import JobHandler
from worker.heartbeat import Heartbeat
from worker.leases import Claim, LeasedQueue
from worker.settings import QueueSettings
from worker.tasks import cancel_and_wait

_log = logging.getLogger(__name__)

_LONGEST_BACKOFF_SECONDS = 1.0


class Attempts:
    """Runs claims concurrently; `len()` is the number in flight."""

    def __init__(
        self,
        queue: LeasedQueue,
        handler: JobHandler,
        heartbeat: Heartbeat,
        settings: QueueSettings,
    ) -> None:
        self._queue = queue
        self._handler = handler
        self._heartbeat = heartbeat
        self._settings = settings
        self._in_flight: dict[tuple[Lane, str], Claim] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._hurry = False
        self.broken: DeviceBroken | None = None

    def __len__(self) -> int:
        return len(self._in_flight)

    def holds(self, lane: Lane, entry_id: str) -> bool:
        """Whether this very message is being worked on."""
        return (lane, entry_id) in self._in_flight

    def begin(self, claim: Claim) -> None:
        """Starts to work on a claim."""
        self._start(claim, self._work(claim))

    def bury(self, claim: Claim, deliveries: int) -> None:
        """Gives up a job that has been lost with too many workers."""
        error = PoisonJob(
            f"the job was given to {deliveries} workers and none answered it; "
            "it probably ends the process that runs it, so it is not tried again"
        )
        self._start(claim, self._give_up(claim, error, reason="poison"))

    async def wait_below(self, count: int) -> None:
        """Returns when fewer than `count` are in flight, or when `hurry` was called."""
        while len(self) >= count and not self._hurry:
            self._changed.clear()
            await self._changed.wait()

    def hurry(self) -> None:
        """Ends every `wait_below`: the worker is about to stop."""
        self._hurry = True
        self._changed.set()

    async def drain(self, timeout_seconds: float) -> bool:
        """Waits for what is in flight; False if time ran out or the device broke."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while self._in_flight and self.broken is None:
                    self._changed.clear()
                    await self._changed.wait()
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
            self._changed.set()

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, claim: Claim) -> bool:
        """True when the message has left the queue."""
        try:
            job = decode_job(claim.payload)
        except BadJob as error:
            return await self._give_up(claim, error, reason="undecodable")
        submitted = self._heartbeat.local_time(claim.submitted)
        try:
            outcome = Outcome(
                kind=claim.kind, result=await self._handler.handle(job, submitted=submitted)
            )
        except JobError as error:
            _log.warning("job %s: %s", claim.job_id, error, exc_info=error.__cause__)
            outcome = Outcome(kind=claim.kind, error=error)
        except DeviceBroken as error:
            self.broken = error
            return False
        await self._finish(claim, outcome)
        metrics.JOBS.labels(claim.kind, outcome.error.code if outcome.error else "done").inc()
        return True

    async def _give_up(self, claim: Claim, error: JobError, *, reason: str) -> bool:
        _log.error("message %s (job %r): %s", claim.entry_id, claim.job_id, error)
        await self._finish(claim, Outcome(kind=claim.kind, error=error), dead_reason=reason)
        metrics.DEAD_LETTERS.labels(reason).inc()
        return True

    async def _finish(self, claim: Claim, outcome: Outcome, *, dead_reason: str = "") -> None:
        """Tries until Redis takes it: the work is done, an outage should not undo it."""
        backoff = 0.05
        while True:
            try:
                await self._queue.finish(claim, outcome, dead_reason=dead_reason)
            except REDIS_ERRORS as error:
                _log.warning("job %s is finished but not yet published: %r", claim.job_id, error)
                await asyncio.sleep(backoff)
                backoff = min(_LONGEST_BACKOFF_SECONDS, backoff * 2)
            else:
                return
