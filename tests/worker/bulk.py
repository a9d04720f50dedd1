"""Workers that make data sets on tiny networks, and the job store beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

from dgnet.jobs.generation.job_store import JobStore
from dgnet.jobs.generation.jobs import FINAL_STATES, GenerationJob
from dgnet.jobs.generation.spec import GenerationSpec, merged, spec_from
from dgnet.jobs.settings import QueueSettings, WorkerSettings
from dgnet.jobs.storage import StorageSettings, job_folder
from dgnet.model.checkpoints import Checkpoint
from dgnet.model.judge.judge import Judge
from dgnet.model.predictor import Predictor
from dgnet.worker.device import DeviceThread
from dgnet.worker.main import Worker
from dgnet.worker.runner import GenerationRunner
from tests.generation.jobs import BATCH, contents
from tests.worker.harness import running

Networks = tuple[Checkpoint, Predictor]


def spec_of(folder: str = "people", **changes: Any) -> GenerationSpec:
    """The job of `jobs.job_of`, of a folder below the data root."""
    values = {"source": {"folder": folder}, "count": 30, "output": {"shard_size": 8}}
    return spec_from(merged(values, changes))


@asynccontextmanager
async def bulk_worker(
    redis: Redis, networks: Networks, settings: QueueSettings, storage: StorageSettings,
    judge_network: Judge | None = None, **worker_settings: Any,
) -> AsyncGenerator[Worker]:  # fmt: skip
    """A worker in this event loop that makes data sets, stopped and awaited at the end."""
    checkpoint, predictor = networks
    device = DeviceThread()
    values = {"generation_batch": BATCH, "generation_threads": 1, **worker_settings}
    chosen = WorkerSettings.model_validate(values)
    runner = GenerationRunner(
        redis, checkpoint, predictor, device, settings, chosen, storage, judge_network
    )
    worker = Worker(redis, predictor, settings, chosen, device=device, bulk=runner)
    async with running(worker):
        yield worker


async def state_of(job_store: JobStore, job_id: str, *states: str) -> bool:
    return (await job_store.get(job_id)).state in states


async def ended(job_store: JobStore, job_id: str) -> GenerationJob:
    """The job when it is at an end, by following its events."""
    async with asyncio.timeout(120):
        async for _ in job_store.events(job_id):
            pass
    job = await job_store.get(job_id)
    assert job.state in FINAL_STATES
    return job


def files_of(storage: StorageSettings, job_id: str) -> dict[str, str]:
    """sha256 of every file that the job has made."""
    return contents(job_folder(storage.data_root, job_id))
