"""A worker from canary to last answer: claims jobs for its device until it is told to stop.

Of the small lane it takes what the batcher can use (two batches: one on the device, one gathering),
of the grid lane two messages, of the bulk lane one at a time, side by side: the device serves small
batches first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable
from functools import partial

from prometheus_client import start_http_server
from redis.asyncio import Redis

from dgnet.jobs.connection import connect
from dgnet.jobs.contract import Lane, WorkerInfo
from dgnet.jobs.keys import LANES, Keys
from dgnet.jobs.live_workers import read_workers
from dgnet.jobs.outages import REDIS_ERRORS
from dgnet.jobs.settings import QueueSettings, WorkerSettings
from dgnet.jobs.tasks import Background, TaskKeepsEnding, cancel_and_wait
from dgnet.release import RELEASE
from dgnet.worker.attempts import Attempts
from dgnet.worker.bulk import BulkWork
from dgnet.worker.claiming import LaneClaims
from dgnet.worker.device import DeviceThread
from dgnet.worker.grids import GRIDS_AT_ONCE
from dgnet.worker.handlers import JobHandler, ServedModel, is_out_of_memory, model_info, run_canary
from dgnet.worker.heartbeat import Heartbeat
from dgnet.worker.leases import LeasedQueue
from dgnet.worker.requirements import dangers, shortcomings

_log = logging.getLogger(__name__)

_LOOK_AGAIN_SECONDS = 0.5  # whether Redis suits by now
_BEAT_SECONDS = 0.05  # until a beat that is due has arrived


class Worker:
    """One device, one event loop, many small jobs at once."""

    def __init__(
        self,
        redis: Redis,
        predictor: ServedModel,
        settings: QueueSettings,
        worker_settings: WorkerSettings,
        *,
        device: DeviceThread | None = None,
        bulk: BulkWork | None = None,
        out_of_memory: Callable[[BaseException], bool] = is_out_of_memory,
    ) -> None:
        """`bulk` makes data sets on the same `device`; without it such work is left to others."""
        self.worker_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._redis = redis
        self._predictor = predictor
        self._settings = settings
        self._shutdown_seconds = worker_settings.shutdown_seconds
        self._device = device or DeviceThread()
        self._bulk = bulk
        self._queue = LeasedQueue(redis, settings, self.worker_id, predictor.model_version)
        self._heartbeat = Heartbeat(
            redis,
            settings,
            WorkerInfo(
                worker_id=self.worker_id,
                device=predictor.device_name,
                ready=False,
                model=model_info(predictor),
                recipe=bulk.recipe if bulk else "",
                release=RELEASE,
            ),
        )
        self._attempts = Attempts(
            self._queue,
            JobHandler(
                predictor,
                device=self._device,
                max_batch=worker_settings.max_batch,
                small_batch_seconds=worker_settings.small_batch_seconds,
                grid_batch=worker_settings.grid_batch,
                out_of_memory=out_of_memory,
                bulk=bulk,
            ),
            self._heartbeat,
            settings,
            bulk,
        )
        capacities: dict[Lane, int] = {
            "small": 2 * worker_settings.max_batch,
            "grid": GRIDS_AT_ONCE,
            "bulk": 1,
        }
        self._claims = {
            lane: LaneClaims(
                lane, self._queue, self._attempts, settings,
                capacity=capacities[lane], is_stopping=partial(self._takes_nothing_of, lane),
                tell=self._hear_of_lane,
            )
            for lane in LANES
        }  # fmt: skip
        self._unclaimable: set[Lane] = set()  # lanes that Redis lets nothing be had from
        self._stop_by: float | None = None  # deadline by the monotonic clock, once stopping
        self._stop_asked = asyncio.Event()
        self._claims_small = False  # and goes on with it for a while after `stop`
        self._failure: TaskKeepsEnding | None = None

    async def run(self) -> None:
        """Works until `stop`.

        Raises CanaryFailed or DeviceBroken if the device is unfit, TaskKeepsEnding if a task that
        it cannot go on without does not stay alive.
        """
        background = Background(give_up=self._fail)
        background.start("heartbeat", self._heartbeat.run)
        background.start("leases", self._attempts.keep_leases)
        if self._bulk is not None:
            background.start("bulk upkeep", self._bulk.maintain)
        try:
            await self._device.run(lambda: run_canary(self._predictor))
            await self._until_redis_suits()
            self._heartbeat.announce(ready=True)
            _log.info("worker %s is ready on %s", self.worker_id, self._predictor.device_name)
            await self._claim_until_stopped(background)
            self._heartbeat.announce(ready=False)
            await self._drain()
        finally:
            if self._bulk is not None:
                self._bulk.stop()
            await self._attempts.abandon()
            await background.close()
            await self._heartbeat.withdraw()
            self._device.close()
            if self._bulk is not None:
                self._bulk.close()
        if self._attempts.broken is not None:
            raise self._attempts.broken
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Takes nothing more and ends `run` when what is in flight is answered, or time is up."""
        if self._stop_by is None:
            _log.info("worker %s stops with %d jobs in flight", self.worker_id, len(self._attempts))
            self._stop_by = time.monotonic() + self._shutdown_seconds
            self._stop_asked.set()
            if not self._claims_small:
                self._attempts.end_waits()
            if self._bulk is not None:
                self._bulk.stop()

    def _takes_nothing_of(self, lane: Lane) -> bool:
        """Of small and grid jobs whoever stops still takes what was meant for its model alone."""
        return self._attempts.over.is_set() or (lane == "bulk" and self._stopping)

    @property
    def _stopping(self) -> bool:
        return self._stop_by is not None or self._attempts.broken is not None

    def _hear_of_lane(self, lane: Lane, is_well: bool) -> None:
        """A worker that can claim nothing, as when a permission was taken away, is not ready."""
        if is_well == (lane in self._unclaimable):
            (self._unclaimable.discard if is_well else self._unclaimable.add)(lane)
            if self._stopping:
                return
            self._heartbeat.announce(ready=not self._unclaimable)

    async def _until_redis_suits(self) -> None:
        """Until Redis has all that the queue needs; says once what it lacks, and looks again."""
        told: list[str] = []
        while not self._stopping:
            try:
                lacks = await shortcomings(self._redis, Keys(self._settings.key_prefix))
                if not lacks:
                    for danger in await dangers(self._redis):
                        _log.warning("Redis suits, but %s", danger)
                    return
            except REDIS_ERRORS as error:
                lacks = [f"it is out of reach or takes nothing now ({error})"]
            if lacks != told:
                _log.error(
                    "worker %s is not ready, for Redis does not suit: %s; docs/queue.md says what "
                    "it needs. It is looked at again", self.worker_id, "; ".join(lacks),
                )  # fmt: skip
                told = lacks
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN_SECONDS):
                    await self._attempts.over.wait()

    def _fail(self, reason: TaskKeepsEnding) -> None:
        _log.error("worker %s ends: %s", self.worker_id, reason, exc_info=reason.__cause__)
        self._failure = reason
        self.stop()

    async def _drain(self) -> None:
        if not await self._attempts.drain(self._remaining_seconds()):
            _log.warning("%d jobs were not finished in time", len(self._attempts))

    def _remaining_seconds(self) -> float:
        if self._stop_by is None:
            return self._shutdown_seconds
        return self._stop_by - time.monotonic()

    async def _claim_until_stopped(self, background: Background) -> None:
        """Until `stop`, or until the device breaks."""
        lanes = {f"claims of the {lane} lane": claims for lane, claims in self._claims.items()}
        for name, claims in lanes.items():
            background.start(name, claims.run)
        self._claims_small = True
        stopped = {
            asyncio.create_task(event.wait()) for event in (self._stop_asked, self._attempts.over)
        }
        try:
            await asyncio.wait(stopped, return_when=asyncio.FIRST_COMPLETED)
            self._heartbeat.announce(ready=False)
            await self._hand_over()
        finally:
            await cancel_and_wait(stopped)
        self._attempts.end_waits()
        await background.returned(lanes, self._remaining_seconds())

    async def _hand_over(self) -> None:
        """The last worker of its model takes on until nobody can have queued anything more for it:
        front ends know for `workers_cache_seconds` that it was ready, and what waits in its lanes
        nobody else would do.
        """
        cache_seconds = self._settings.workers_cache_seconds
        known_until = time.monotonic() + 1.5 * cache_seconds + _BEAT_SECONDS
        version = self._predictor.model_version
        while not self._attempts.over.is_set() and self._remaining_seconds() > 0:
            try:
                workers = await read_workers(self._redis, Keys(self._settings.key_prefix))
                if any(one.ready and one.model.model_version == version for one in workers):
                    if any(one.worker_id == self.worker_id and one.ready for one in workers):
                        known_until = time.monotonic() + 1.5 * cache_seconds
                    else:
                        return
                waiting = [await self._queue.waiting(lane) for lane in ("small", "grid")]
                if time.monotonic() >= known_until and not any(waiting):
                    return
            except REDIS_ERRORS:
                return  # nothing is to be had, and nobody can queue anything
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(_LOOK_AGAIN_SECONDS, 0.02 + cache_seconds / 4)):
                    await self._attempts.over.wait()


async def run_worker(
    predictor: ServedModel,
    settings: QueueSettings,
    worker_settings: WorkerSettings,
    *,
    device: DeviceThread | None = None,
    bulk_work: Callable[[Redis], BulkWork] | None = None,
) -> None:
    """A worker process: works until SIGTERM or SIGINT, then drains and returns."""
    if settings.redis_url is None:
        raise ValueError(
            "a worker process needs a queue to share: set --redis-url or DGNET_REDIS_URL"
        )
    redis = connect(settings.redis_url)
    worker = Worker(
        redis, predictor, settings, worker_settings,
        device=device, bulk=bulk_work(redis) if bulk_work else None,
    )  # fmt: skip
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    if worker_settings.metrics_port is not None:
        start_http_server(worker_settings.metrics_port)
    try:
        await worker.run()
    finally:
        await redis.aclose()
