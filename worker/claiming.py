"""How one worker comes by the messages of one lane: claims new ones, takes over what others lost.

A job whose worker fell silent is taken over with others once; lost again it is a suspect and runs
alone, so that a job that kills its worker takes no neighbor along, and after `max_deliveries` it is
given up. The same holds for what a worker failed at in a way that nobody foresaw: it lets the
message go at once, and takes it again only if nobody else did for a lease. In the bulk lane a
worker holds one message at a time, so that shards spread over all workers and jobs take turns. A
suspect of the small lane waits until neither grids nor bulk work are in flight; one of these lanes
runs beside small jobs, which would otherwise wait for a whole grid or shard.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from dgnet.jobs.connection import BLOCK_SECONDS
from dgnet.jobs.contract import Lane
from dgnet.jobs.outages import REDIS_ERRORS, Backoff
from dgnet.jobs.settings import QueueSettings
from dgnet.worker import metrics
from dgnet.worker.attempts import Attempts
from dgnet.worker.leases import Abandoned, LeasedQueue

_log = logging.getLogger(__name__)

_SUSPECT_DELIVERIES = 2  # lost this often, a job runs alone
_FORGET_CONSUMERS_SECONDS = 600.0
_LONGEST_BACKOFF_SECONDS = 0.5
_LOOKED_AT = 64  # abandoned messages in one look


class LaneClaims:
    """Feeds `attempts` from a lane with at most `capacity` messages at once."""

    def __init__(
        self,
        lane: Lane,
        queue: LeasedQueue,
        attempts: Attempts,
        settings: QueueSettings,
        *,
        capacity: int,
        is_stopping: Callable[[], bool],
        tell: Callable[[Lane, bool], None],
    ) -> None:
        """`tell` hears when nothing is to be had for a lease, and when there is again."""
        self._lane: Lane = lane
        self._queue = queue
        self._attempts = attempts
        self._max_deliveries = settings.max_deliveries
        self._capacity = capacity
        self._is_stopping = is_stopping
        self._tell = tell
        self._lease_seconds = settings.lease_seconds
        self._group_exists = False
        # A tenth of a lease: what is lost is back within 1.1 leases.
        self._take_over_seconds = settings.lease_seconds / 10
        self._next_take_over = 0.0
        self._next_forget = time.monotonic() + _FORGET_CONSUMERS_SECONDS

    async def run(self) -> None:
        """Claims until the worker stops."""
        backoff = Backoff(_LONGEST_BACKOFF_SECONDS)
        since: float | None = None  # nothing is to be had
        while not self._is_stopping():
            try:
                # After trouble without waiting for messages: the worker is ready again with it.
                await self._claim_some(wait=since is None)
                backoff.reset()
                since = None
                self._tell(self._lane, True)
            except REDIS_ERRORS as error:
                # Redis is away, or came back empty and without our group.
                _log.warning("no jobs to be had from the %s lane: %r", self._lane, error)
                self._group_exists = False
                since = time.monotonic() if since is None else since
                if time.monotonic() - since > self._lease_seconds:
                    self._tell(self._lane, False)
                await backoff.pause()

    async def _claim_some(self, *, wait: bool) -> None:
        if not self._group_exists:
            await self._queue.ensure_group(self._lane)
            self._group_exists = True
        if time.monotonic() >= self._next_take_over:
            await self._take_over()
            self._next_take_over = time.monotonic() + self._take_over_seconds
        if time.monotonic() >= self._next_forget:
            await self._queue.forget_consumers(self._lane, _FORGET_CONSUMERS_SECONDS)
            self._next_forget = time.monotonic() + _FORGET_CONSUMERS_SECONDS
        await self._attempts.wait_below(self._lane, self._capacity)
        if self._lane != "small":
            await self._attempts.wait_for_suspects()
        if self._is_stopping():
            return
        free = self._capacity - self._attempts.count(self._lane)
        seconds = min(BLOCK_SECONDS, self._take_over_seconds) if wait else 0.0
        for claim in await self._queue.claim(self._lane, free, seconds):
            self._attempts.begin(claim)

    async def _take_over(self) -> None:
        """Claims what other workers have been silent about for a lease."""
        ordinary: list[Abandoned] = []
        suspects: list[Abandoned] = []
        for message in await self._queue.abandoned(self._lane, _LOOKED_AT):
            if self._attempts.holds(message.stream, message.entry_id):
                continue  # ours; its renewal is late
            if self._attempts.avoids(message.stream, message.entry_id):
                continue  # others shall have it
            if message.deliveries >= self._max_deliveries:
                for claim in await self._queue.take_over([message]):
                    self._attempts.dead_letter(claim, message.deliveries)
            elif message.deliveries >= _SUSPECT_DELIVERIES:
                suspects.append(message)
            else:
                ordinary.append(message)
        await self._begin_again(ordinary[: self._free()])
        if self._lane != "small":
            await self._begin_again(suspects[: self._free()])
        else:
            await self._isolate(suspects)

    async def _isolate(self, suspects: list[Abandoned]) -> None:
        """Runs small suspects one by one, once nothing else is in flight."""
        self._attempts.suspects_wait = bool(suspects)
        if suspects and (self._attempts.count("bulk") or self._attempts.count("grid")):
            return  # no such work begins; they are looked at again when this is over
        for suspect in suspects:
            await self._attempts.wait_below(self._lane, 1)
            if self._is_stopping():
                return
            await self._begin_again([suspect])
            await self._attempts.wait_below(self._lane, 1)
        self._attempts.suspects_wait = False

    def _free(self) -> int:
        return max(0, self._capacity - self._attempts.count(self._lane))

    async def _begin_again(self, messages: list[Abandoned]) -> None:
        if messages:
            claims = await self._queue.take_over(messages)
            metrics.REDELIVERIES.inc(len(claims))
            for claim in claims:
                self._attempts.begin(claim)
