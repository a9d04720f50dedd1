"""Starts workers in this process and in others, and waits for conditions by polling."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from redis.asyncio import Redis

from dgnet.jobs.client import JobClient
from dgnet.jobs.connection import Entry
from dgnet.jobs.settings import QueueSettings, WorkerSettings
from dgnet.worker.main import Worker
from tests.worker.fakes import FakePredictor

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 60.0  # a busy machine is slow; a condition that comes true is never waited for

Connect = Callable[[], Redis]


def queue_settings(**changes: object) -> QueueSettings:
    """Short times, so that tests are quick."""
    times = {
        "lease_seconds": 2.0,
        "heartbeat_seconds": 0.1,
        "heartbeat_ttl_seconds": 5.0,
        "workers_cache_seconds": 0.05,
        "poll_seconds": 0.2,
    }
    return QueueSettings.model_validate({**times, **changes})


async def until(condition: Callable[[], Awaitable[bool] | bool]) -> None:
    """Polls until the condition holds; fails the test after a minute."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = condition()
        if isinstance(answer, Awaitable):
            answer = await answer
        if answer:
            return
        assert time.monotonic() < deadline, f"still not true: {condition}"
        await asyncio.sleep(0.01)


async def flush(redis: Redis) -> None:
    """Empties the store."""
    await redis.flushall()  # pyright: ignore[reportUnknownMemberType]


async def limit_memory(redis: Redis, most_bytes: int) -> None:
    """Below what it uses, a server takes nothing more; 0 is no limit."""
    await redis.config_set("maxmemory", most_bytes)  # pyright: ignore[reportUnknownMemberType]


async def all_keys(redis: Redis) -> list[bytes]:
    """Every key of the store."""
    return cast("list[bytes]", await redis.keys())  # pyright: ignore[reportUnknownMemberType]


async def entries(redis: Redis, stream: str) -> list[Entry]:
    """All entries of a stream, oldest first."""
    return cast("list[Entry]", await redis.xrange(stream))


async def listened(redis: Redis) -> list[bytes]:
    """Channels that somebody has subscribed to."""
    return cast("list[bytes]", await redis.pubsub_channels())  # pyright: ignore[reportUnknownMemberType]


async def ready_workers(client: JobClient) -> int:
    return sum(worker.ready for worker in await client.workers())


@asynccontextmanager
async def running_client(redis: Redis, settings: QueueSettings) -> AsyncGenerator[JobClient]:
    async with JobClient(redis, settings) as client:
        yield client


@asynccontextmanager
async def running(worker: Worker) -> AsyncGenerator[Worker]:
    """A worker in this event loop, stopped and awaited at the end."""
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await task


@asynccontextmanager
async def running_worker(
    redis: Redis, predictor: FakePredictor, settings: QueueSettings, **worker_settings: float
) -> AsyncGenerator[Worker]:
    """A worker without bulk work, whose device goes on at the end."""
    worker = Worker(
        redis, predictor, settings, WorkerSettings.model_validate(dict(worker_settings))
    )
    async with running(worker):
        try:
            yield worker
        finally:
            predictor.gate.set()


class WorkerProcess:
    """A worker in a process of its own, to be killed."""

    def __init__(
        self, redis_url: str, settings: QueueSettings, *, seconds_per_batch: float, **more: object
    ) -> None:
        variables = {**settings.model_dump(exclude_none=True), "redis_url": redis_url, **more}
        environment = {f"DGNET_{name.upper()}": str(value) for name, value in variables.items()}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.worker.worker_process", str(seconds_per_batch)],
            cwd=ROOT,
            env={**os.environ, **environment},
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait()

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        self._process.terminate()

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()
