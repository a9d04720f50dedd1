"""Several models at one queue: each has lanes of its own, and one takes over from another without a
lost request.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import httpx
import pytest

from dgnet.jobs.client import JobClient
from dgnet.jobs.connection import connect
from dgnet.jobs.contract import EmbedResult, SwapResult
from dgnet.jobs.errors import IdempotencyConflict, WaitTimeout
from dgnet.jobs.generation.job_store import JobStore
from dgnet.jobs.keys import Keys
from dgnet.jobs.storage import StorageSettings
from dgnet.service.app import create_app
from dgnet.service.settings import ServiceSettings
from tests.redis_server import RedisServer
from tests.service.fakes import png
from tests.worker.bulk import spec_of
from tests.worker.fakes import HEIGHT, WIDTH, FakePredictor, embed_job, swap_job
from tests.worker.harness import (
    Connect,
    entries,
    queue_settings,
    ready_workers,
    running_client,
    running_worker,
    until,
)

OLD, NEW = "0" * 12, "f" * 12
PORT = {"appearance": png((100, 100, 100), WIDTH, HEIGHT), "structure": png((60, 60, 60), 4, 8)}


def predictor(version: str, *, name: str = "fake", open_gate: bool = True) -> FakePredictor:
    fake = FakePredictor(open_gate=open_gate)
    fake.model_id, fake.model_version = name, version
    return fake


async def made_by(client: JobClient, job_id: str) -> str:
    result = await client.wait(job_id, timeout_seconds=60)
    assert isinstance(result, SwapResult | EmbedResult)
    return result.model_version


async def test_jobs_go_to_the_model_that_they_are_for(connect: Connect) -> None:
    settings = queue_settings()
    async with (
        running_worker(connect(), predictor(OLD), settings),
        running_worker(connect(), predictor(NEW), settings),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: _are_ready(client, 2))
        for model in (OLD, NEW, NEW, OLD):
            jobs = [swap_job(), embed_job(1, 2)]
            ids = [await client.submit(job, model=model) for job in jobs]
            assert {await made_by(client, job_id) for job_id in ids} == {model}
        for_anybody = await client.submit(swap_job())
        assert await made_by(client, for_anybody) in (OLD, NEW)


async def test_a_worker_holds_one_bulk_message_of_both_its_lanes(connect: Connect) -> None:
    settings, fake = queue_settings(), predictor(OLD, open_gate=False)
    async with (
        running_worker(connect(), fake, settings),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: _are_ready(client, 1))
        jobs = [
            await client.submit(swap_job(), lane="bulk", model=model) for model in (OLD, "", OLD)
        ]
        await until(lambda: _states(client, jobs, "running", 1))
        await asyncio.sleep(0.1)
        assert await _states(client, jobs, "running", 1)
        assert await client.depth("bulk") == 3
        fake.gate.set()
        for job_id in jobs:
            assert await made_by(client, job_id) == OLD


async def test_a_job_of_a_model_that_nobody_serves_waits_for_it(connect: Connect) -> None:
    settings = queue_settings()
    async with (
        running_client(connect(), settings) as client,
        running_worker(connect(), predictor(NEW), settings),
    ):
        await until(lambda: _are_ready(client, 1))
        job_id = await client.submit(swap_job(), model=OLD)
        with pytest.raises(WaitTimeout):
            await client.wait(job_id, timeout_seconds=0.3)
        assert (await client.status(job_id)).state == "queued"
        async with running_worker(connect(), predictor(OLD), settings):
            assert await made_by(client, job_id) == OLD


async def test_the_last_worker_of_a_model_works_off_its_lane_before_it_goes(
    connect: Connect,
) -> None:
    """More than it holds, and what comes while front ends still believe that it is ready."""
    settings, old = queue_settings(), predictor(OLD, open_gate=False)
    async with (
        running_client(connect(), settings) as client,
        running_worker(connect(), predictor(NEW), settings),
    ):
        async with running_worker(connect(), old, settings, max_batch=2) as leaving:
            await until(lambda: _are_ready(client, 2))
            jobs = [await client.submit(swap_job(), model=OLD) for _ in range(12)]
            await until(lambda: _states(client, jobs, "running", 4))
            leaving.stop()
            jobs.append(await client.submit(swap_job(), model=OLD))
            old.gate.set()
            assert {await made_by(client, job_id) for job_id in jobs} == {OLD}
        assert await client.depth("small") == 0
        assert await connect().xlen(Keys(settings.key_prefix).lane("small", OLD)) == 0


async def test_a_new_version_takes_over_without_a_lost_request(server: RedisServer) -> None:
    """Over HTTP, with requests all the time: those that name no model, and for each version as long
    as it is addressable.
    """
    settings = queue_settings(heartbeat_ttl_seconds=2.0, workers_cache_seconds=0.2)
    redis = [connect(server.url) for _ in range(2)]
    jobs = JobClient.from_url(server.url, settings)
    app = create_app(ServiceSettings(request_timeout_seconds=30), jobs)
    transport = httpx.ASGITransport(app=app)
    answers: list[tuple[str | None, int, str]] = []
    over = asyncio.Event()

    async def ask_all_the_time(http: httpx.AsyncClient, model: str | None) -> None:
        query = {} if model is None else {"model": model}
        while not over.is_set():
            answer = await http.post("/v1/swaps", files=PORT, params=query)
            answers.append((model, answer.status_code, answer.headers.get("x-model-version", "")))
            if model is not None and answer.status_code != 200:
                return  # it is not addressable any more, or not yet

    async def enough(model: str | None, version: str, count: int = 10) -> bool:
        seen = Counter(answers)
        return seen[model, 200, version] >= count

    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=60) as http,
        running_worker(redis[0], predictor(OLD), settings) as old,
    ):
        await until(lambda: _are_ready(jobs, 1))
        named = (None, None, None, OLD)
        asking = [asyncio.create_task(ask_all_the_time(http, model)) for model in named]
        await until(lambda: enough(None, OLD))
        async with running_worker(redis[1], predictor(NEW), settings):
            await until(lambda: _are_ready(jobs, 2))
            asking.append(asyncio.create_task(ask_all_the_time(http, NEW)))
            await until(lambda: enough(OLD, OLD, 5))
            await until(lambda: enough(NEW, NEW, 5))
            both = (await http.get("/v1/models")).json()["data"]
            assert {one["version"]: one["ready_workers"] for one in both} == {OLD: 1, NEW: 1}
            old.stop()
            before = Counter(answers)[None, 200, NEW]
            await until(lambda: enough(None, NEW, before + 20))
            await until(lambda: any(status != 200 for _, status, _ in answers))
            over.set()
            await asyncio.gather(*asking)
            gone = await http.post("/v1/swaps", files=PORT, params={"model": OLD})
    lost = [one for one in answers if one[1] != 200]
    # Whoever named the old version is told in the end: not ready, then unknown. Nobody else
    # noticed anything.
    assert [model for model, _, _ in lost] == [OLD], lost
    assert gone.status_code in (404, 503)
    assert NEW in gone.json()["detail"]
    assert {version for model, _, version in answers if model == OLD} <= {OLD, ""}
    for store in redis:
        await store.aclose()


async def _are_ready(client: JobClient, count: int) -> bool:
    return await ready_workers(client) == count


async def _states(client: JobClient, job_ids: list[str], state: str, count: int) -> bool:
    states = [(await client.status(job_id)).state for job_id in job_ids]
    return states.count(state) == count


async def test_a_generation_job_belongs_to_the_model_of_its_submission(
    connect: Connect, tmp_path: Path
) -> None:
    """Its tasks are that model's, also after a resume; where nobody serves it, anybody says so."""
    settings, redis = queue_settings(), connect()
    keys = Keys(settings.key_prefix)
    store = JobStore(redis, settings, StorageSettings(data_root=tmp_path))

    async def tasks() -> dict[str, int]:
        return {
            model: len(await entries(redis, keys.lane("bulk", model))) for model in (OLD, NEW, "")
        }

    async with (
        running_client(redis, settings) as client,
        running_worker(connect(), predictor(OLD), settings) as old,
        running_worker(connect(), predictor(NEW), settings),
    ):
        await until(lambda: _are_ready(client, 2))
        job, _ = await store.submit(spec_of(), model=NEW, idempotency_key="a", named="new")
        assert job.model_version == NEW
        with pytest.raises(IdempotencyConflict):
            await store.submit(spec_of(), model=OLD, idempotency_key="a", named="old")
        again, is_new = await store.submit(spec_of(), model=OLD, idempotency_key="a", named="new")
        assert (again.job_id, is_new) == (job.job_id, False)

        await store.cancel(job.job_id)
        await store.resume(job.job_id)
        assert await tasks() == {OLD: 0, NEW: 2, "": 0}
        of_old, _ = await store.submit(spec_of(), model=OLD)
        await store.cancel(of_old.job_id)
        old.stop()
        await until(lambda: _are_ready(client, 1))
        await until(lambda: _are_live(client, 1))
        await store.resume(of_old.job_id)
        assert (await tasks())[""] == 1  # for whoever comes: it is not made with another model
        await redis.delete(keys.generation(job.job_id))  # and if Redis loses the record
        await store.resume(job.job_id)
        assert (await store.get(job.job_id)).model_version == NEW


async def _are_live(client: JobClient, count: int) -> bool:
    return len(await client.workers()) == count
