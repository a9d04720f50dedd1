"""A worker from canary to last answer: claims jobs for its device, takes over what others lost.

The claim loop takes what the batcher can use (two batches: one on the device, one gathering), the
small lane first. A job whose worker fell silent is taken over with others once; lost again it is a
suspect and runs alone, so that a job that kills its worker takes no neighbour along, and after
`max_deliveries` it is given up.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable

from prometheus_client import start_http_server
from redis.asyncio import Redis

from worker import metrics
from worker.attempts import Attempts
from worker.connection import BLOCK_SECONDS, REDIS_ERRORS, connect
from worker.contract import Lane, WorkerInfo
from worker.device import DeviceThread
from worker.handlers import JobHandler, Predictor, is_out_of_memory, model_info, run_canary
from worker.heartbeat import Heartbeat
from worker.keys import LANES
from worker.leases import Abandoned, Claim, LeasedQueue
from worker.settings import QueueSettings, WorkerSettings
from worker.tasks import cancel_and_wait

_log = logging.getLogger(__name__)

_SUSPECT_DELIVERIES = 2  # lost this often, a job runs alone
_FORGET_CONSUMERS_SECONDS = 600.0
_LONGEST_BACKOFF_SECONDS = 1.0


class Worker:
    """One device, one event loop, many small jobs at once."""

    def __init__(
        self,
        redis: Redis,
        predictor: Predictor,
        settings: QueueSettings,
        worker_settings: WorkerSettings,
        *,
        out_of_memory: Callable[[BaseException], bool] = is_out_of_memory,
    ) -> None:
        self.worker_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._predictor = predictor
        self._settings = settings
        self._shutdown_seconds = worker_settings.shutdown_seconds
        self._capacity = 2 * worker_settings.max_batch
        self._device = DeviceThread()
        self._queue = LeasedQueue(redis, settings, self.worker_id)
        self._heartbeat = Heartbeat(
            redis,
            settings,
            WorkerInfo(
                worker_id=self.worker_id,
                device=predictor.device_name,
                ready=False,
                model=model_info(predictor),
            ),
        )
        self._attempts = Attempts(
            self._queue,
            JobHandler(
                predictor,
                device=self._device,
                max_batch=worker_settings.max_batch,
                small_batch_seconds=worker_settings.small_batch_seconds,
                out_of_memory=out_of_memory,
            ),
            self._heartbeat,
            settings,
        )
        self._stop_by: float | None = None  # deadline by the monotonic clock, once stopping
        self._groups_exist = False
        self._lanes_seem_empty = False  # the last claim got less than it asked for
        # A tenth of a lease: what is lost is back within 1.1 leases.
        self._take_over_seconds = settings.lease_seconds / 10
        self._next_take_over = 0.0
        self._next_forget = time.monotonic() + _FORGET_CONSUMERS_SECONDS

    async def run(self) -> None:
        """Works until `stop`. Raises CanaryFailed or DeviceBroken if the device is unfit."""
        beating = asyncio.create_task(self._heartbeat.run(), name="heartbeat")
        renewing = asyncio.create_task(self._attempts.keep_leases(), name="leases")
        try:
            await self._device.run(lambda: run_canary(self._predictor))
            self._heartbeat.announce(ready=True)
            _log.info("worker %s is ready on %s", self.worker_id, self._predictor.device_name)
            await self._claim_until_stopped()
            self._heartbeat.announce(ready=False)
            await self._drain()
        finally:
            await self._attempts.abandon()
            await cancel_and_wait([beating, renewing])
            await self._heartbeat.withdraw()
            self._device.close()
        if self._attempts.broken is not None:
            raise self._attempts.broken

    def stop(self) -> None:
        """Takes nothing more and ends `run` when what is in flight is answered, or time is up."""
        if self._stop_by is None:
            _log.info("worker %s stops with %d jobs in flight", self.worker_id, len(self._attempts))
            self._stop_by = time.monotonic() + self._shutdown_seconds
            self._attempts.hurry()

    @property
    def _stopping(self) -> bool:
        return self._stop_by is not None or self._attempts.broken is not None

    async def _drain(self) -> None:
        remaining = self._shutdown_seconds
        if self._stop_by is not None:
            remaining = self._stop_by - time.monotonic()
        if not await self._attempts.drain(remaining):
            _log.warning("%d jobs were not finished in time", len(self._attempts))

    async def _claim_until_stopped(self) -> None:
        backoff = 0.0
        while not self._stopping:
            try:
                await self._claim_some()
                backoff = 0.0
            except REDIS_ERRORS as error:
                # Redis is away, or came back empty and without our groups.
                _log.warning("no jobs to be had: %r", error)
                self._groups_exist = False
                backoff = min(_LONGEST_BACKOFF_SECONDS, backoff * 2 or 0.05)
                await asyncio.sleep(backoff)

    async def _claim_some(self) -> None:
        if not self._groups_exist:
            await self._queue.ensure_groups()
            self._groups_exist = True
        if time.monotonic() >= self._next_take_over:
            for lane in LANES:
                await self._take_over(lane)
            self._next_take_over = time.monotonic() + self._take_over_seconds
        if time.monotonic() >= self._next_forget:
            await self._queue.forget_consumers(_FORGET_CONSUMERS_SECONDS)
            self._next_forget = time.monotonic() + _FORGET_CONSUMERS_SECONDS
        if len(self._attempts) >= self._capacity:
            self._lanes_seem_empty = False
            await self._attempts.wait_below(self._capacity)
        if self._stopping:
            return
        free = self._capacity - len(self._attempts)
        claims: list[Claim] = []
        if not self._lanes_seem_empty:  # then the order of the lanes matters
            claims = await self._queue.claim(free)
        if not claims:
            claims = await self._queue.wait_and_claim(
                free, min(BLOCK_SECONDS, self._take_over_seconds)
            )
        self._lanes_seem_empty = len(claims) < free
        for claim in claims:
            self._attempts.begin(claim)

    async def _take_over(self, lane: Lane) -> None:
        """Claims what other workers have been silent about for a lease."""
        ordinary: list[Abandoned] = []
        suspects: list[Abandoned] = []
        for message in await self._queue.abandoned(lane, count=self._capacity):
            if self._attempts.holds(lane, message.entry_id):
                continue  # ours; its renewal is late
            if message.deliveries >= self._settings.max_deliveries:
                for claim in await self._queue.take_over(lane, [message.entry_id]):
                    self._attempts.bury(claim, message.deliveries)
            elif message.deliveries >= _SUSPECT_DELIVERIES:
                suspects.append(message)
            else:
                ordinary.append(message)
        free = max(0, self._capacity - len(self._attempts))
        await self._begin_again(lane, ordinary[:free])
        for suspect in suspects:
            await self._attempts.wait_below(1)
            if self._stopping:
                return
            await self._begin_again(lane, [suspect])
            await self._attempts.wait_below(1)

    async def _begin_again(self, lane: Lane, messages: list[Abandoned]) -> None:
        if messages:
            claims = await self._queue.take_over(lane, [message.entry_id for message in messages])
            metrics.REDELIVERIES.inc(len(claims))
            for claim in claims:
                self._attempts.begin(claim)


async def run_worker(
    predictor: Predictor, settings: QueueSettings, worker_settings: WorkerSettings
) -> None:
    """A worker process: works until SIGTERM or SIGINT, then drains and returns."""
    if settings.redis_url is None:
        raise ValueError(
            "a worker process needs a queue to share: set --redis-url or DGNET_REDIS_URL"
        )
    redis = connect(settings.redis_url)
    worker = Worker(redis, predictor, settings, worker_settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    if worker_settings.metrics_port is not None:
        start_http_server(worker_settings.metrics_port)
    try:
        await worker.run()
    finally:
        await redis.aclose()
