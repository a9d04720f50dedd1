"""A worker's announcement: who it is, what it serves, whether it is ready; gone when it stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import replace
from typing import cast

from redis.asyncio import Redis

from dgnet.jobs.codec import encode_worker
from dgnet.jobs.connection import REDIS_ERRORS
from dgnet.jobs.contract import WorkerInfo
from dgnet.jobs.keys import Keys
from dgnet.jobs.settings import QueueSettings

_log = logging.getLogger(__name__)

_TRY_AGAIN_SECONDS = 0.5  # after a beat that Redis did not take: it may have run out there


class Heartbeat:
    """Renews the announcement every `heartbeat_seconds`; it expires by itself."""

    def __init__(self, redis: Redis, settings: QueueSettings, worker: WorkerInfo) -> None:
        self._redis = redis
        self._settings = settings
        self._keys = Keys(settings.key_prefix)
        self._worker = worker
        # Redis's clock before our monotonic one, which nobody sets.
        self._clock_ahead_seconds = time.time() - time.monotonic()
        self._changed = asyncio.Event()

    def announce(self, *, ready: bool) -> None:
        """Changes what is announced, with the next beat, which comes at once."""
        self._worker = replace(self._worker, ready=ready)
        self._changed.set()

    def local_time(self, redis_seconds: float) -> float:
        """A time by Redis's clock as this machine's monotonic clock tells it."""
        return redis_seconds - self._clock_ahead_seconds

    async def run(self) -> None:
        """Beats until cancelled; an outage of Redis only delays the next beat."""
        while True:
            self._changed.clear()
            seconds = self._settings.heartbeat_seconds
            try:
                await self._beat()
            except REDIS_ERRORS as error:
                _log.warning("no heartbeat: %r", error)
                seconds = min(seconds, _TRY_AGAIN_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()

    async def withdraw(self) -> None:
        """Removes the announcement; if Redis is away it expires there."""
        with contextlib.suppress(*REDIS_ERRORS):
            await self._redis.delete(self._keys.worker(self._worker.worker_id))
            await self._redis.srem(self._keys.workers, self._worker.worker_id)

    async def _beat(self) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.set(
            self._keys.worker(self._worker.worker_id),
            encode_worker(self._worker),
            px=int(self._settings.heartbeat_ttl_seconds * 1000),
        )
        pipeline.sadd(self._keys.workers, self._worker.worker_id)
        pipeline.time()  # pyright: ignore[reportUnknownMemberType]
        before = time.monotonic()
        replies = await pipeline.execute()
        seconds, microseconds = cast("tuple[int, int]", replies[2])
        local = (before + time.monotonic()) / 2
        self._clock_ahead_seconds = seconds + microseconds / 1e6 - local
