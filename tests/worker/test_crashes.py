"""Workers, Redis and messages that die: nothing lost, nobody answered twice.

Only a real server can be killed, and only a real process; hence no embedded store here.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from dgnet.jobs.client import JobClient
from dgnet.jobs.connection import connect
from dgnet.jobs.contract import SwapResult
from dgnet.jobs.errors import PoisonJob, QueueUnavailable
from dgnet.jobs.keys import GROUP, Keys
from dgnet.jobs.settings import QueueSettings
from tests.redis_server import RedisServer
from tests.worker.fakes import KILLS_ITS_PROCESS, FakePredictor, swap_job
from tests.worker.harness import (
    WorkerProcess,
    entries,
    flush,
    listened,
    queue_settings,
    ready_workers,
    running_worker,
    until,
)


@asynccontextmanager
async def client_of(server: RedisServer, settings: QueueSettings) -> AsyncGenerator[JobClient]:
    async with JobClient.from_url(server.url, settings) as client:
        yield client


@asynccontextmanager
async def redis_of(server: RedisServer) -> AsyncGenerator[Redis]:
    redis = connect(server.url)
    try:
        yield redis
    finally:
        await redis.aclose()


@asynccontextmanager
async def worker_on(
    server: RedisServer, predictor: FakePredictor, settings: QueueSettings, **more: float
) -> AsyncGenerator[None]:
    async with redis_of(server) as redis, running_worker(redis, predictor, settings, **more):
        yield


async def answers_published(redis: Redis, settings: QueueSettings) -> int:
    """Jobs that left the small lane; each leaves once."""
    return int(await redis.get(Keys(settings.key_prefix).finished("small")) or 0)


async def test_killed_worker_loses_nothing_and_is_replaced_within_the_lease(
    server: RedisServer,
) -> None:
    settings = queue_settings(lease_seconds=3.0)
    async with client_of(server, settings) as client, redis_of(server) as redis:
        # Its batch takes a minute, so it is surely killed in the middle of one.
        victim = WorkerProcess(server.url, settings, seconds_per_batch=60, max_batch=4)
        try:
            await until(lambda: _ready(client))
            jobs = [await client.submit(swap_job()) for _ in range(6)]
            await until(lambda: _running(client, jobs))
        finally:
            victim.kill()
        killed_at = time.monotonic()
        async with worker_on(server, FakePredictor(), settings, max_batch=4):
            results = [await client.wait(job, timeout_seconds=60) for job in jobs]
        seconds = time.monotonic() - killed_at
        assert all(isinstance(result, SwapResult) for result in results)
        assert await answers_published(redis, settings) == 6
        assert await client.depth("small") == 0
    # 1.2 leases, and patience for a busy machine.
    assert seconds < 2 * settings.lease_seconds


async def test_worker_that_was_only_slow_publishes_no_second_answer(server: RedisServer) -> None:
    settings = queue_settings(lease_seconds=0.5)
    keys = Keys(settings.key_prefix)
    slow = FakePredictor(open_gate=False)
    async with client_of(server, settings) as client, redis_of(server) as redis:
        async with worker_on(server, slow, settings):
            await until(lambda: _ready(client))
            job_id = await client.submit(swap_job())
            await until(lambda: _running(client, [job_id]))
            # Another worker takes the job although its holder lives, and answers first.
            [(entry_id, _)] = await entries(redis, keys.lane("small"))
            await redis.xclaim(keys.lane("small"), GROUP, "rival", 0, [entry_id])
            record = await redis.get(keys.record(job_id))
            assert record is not None
            await redis.set(keys.record(job_id), b"c" + b"the rival's answer")
            slow.gate.set()
            await until(lambda: _empty(client))
        assert await redis.get(keys.record(job_id)) == b"c" + b"the rival's answer"


async def test_slow_batch_keeps_its_lease(server: RedisServer) -> None:
    settings = queue_settings(lease_seconds=0.6)
    holder, rival = FakePredictor(seconds_per_batch=3.0), FakePredictor()
    async with (
        client_of(server, settings) as client,
        worker_on(server, holder, settings),
    ):
        await until(lambda: _ready(client))
        job_id = await client.submit(swap_job())
        await until(lambda: _running(client, [job_id]))
        async with worker_on(server, rival, settings):
            assert await client.wait(job_id, timeout_seconds=60)
    assert rival.sizes("swap") == []


async def test_poison_job_is_given_up_and_its_neighbors_live(server: RedisServer) -> None:
    settings = queue_settings(lease_seconds=0.5, max_deliveries=3)
    async with client_of(server, settings) as client, redis_of(server) as redis:
        workers = [_start(server, settings)]
        try:
            await until(lambda: _ready(client))
            jobs = [await client.submit(swap_job()) for _ in range(3)]
            poison = await client.submit(swap_job(structure=KILLS_ITS_PROCESS))
            jobs += [await client.submit(swap_job()) for _ in range(3)]
            waiting = asyncio.create_task(client.wait(poison, timeout_seconds=120))
            while not waiting.done():
                if workers[-1].exit_code is not None:
                    workers.append(_start(server, settings))
                await asyncio.sleep(0.05)
            with pytest.raises(PoisonJob, match="given to 3 workers and none answered"):
                await waiting
            for job in jobs:
                assert await client.wait(job, timeout_seconds=60)
            letters = await entries(redis, Keys(settings.key_prefix).dead_letters)
            assert [fields[b"job"].decode() for _, fields in letters] == [poison]
            assert len([worker for worker in workers if worker.exit_code == -9]) == 3
        finally:
            for worker in workers:
                worker.kill()


async def test_sigterm_finishes_what_is_in_flight_and_exits_0(server: RedisServer) -> None:
    settings = queue_settings(lease_seconds=1.0)
    async with client_of(server, settings) as client, redis_of(server) as redis:
        worker = WorkerProcess(server.url, settings, seconds_per_batch=2, max_batch=2)
        try:
            await until(lambda: _ready(client))
            jobs = [await client.submit(swap_job()) for _ in range(3)]
            await until(lambda: _running(client, jobs))
            worker.terminate()
            for job in jobs:  # longer than the lease: it is renewed during shutdown, too
                assert await client.wait(job, timeout_seconds=60)
            await until(lambda: worker.exit_code is not None)
            assert worker.exit_code == 0
            assert await client.workers() == []
            assert await answers_published(redis, settings) == 3
        finally:
            worker.kill()


async def test_shutdown_deadline_hands_unfinished_jobs_to_others_at_once(
    server: RedisServer,
) -> None:
    settings = queue_settings(lease_seconds=30.0)
    async with client_of(server, settings) as client:
        worker = WorkerProcess(server.url, settings, seconds_per_batch=600, shutdown_seconds=0.5)
        try:
            await until(lambda: _ready(client))
            job_id = await client.submit(swap_job())
            await until(lambda: _running(client, [job_id]))
            worker.terminate()
            await until(lambda: worker.exit_code is not None)
        finally:
            worker.kill()
        async with worker_on(server, FakePredictor(), settings):
            # Without the hand-over it would take a lease of 30 s.
            assert await client.wait(job_id, timeout_seconds=20)


async def test_queued_work_survives_a_killed_redis(durable_server: RedisServer) -> None:
    settings = queue_settings(outage_seconds=0.2)
    predictor = FakePredictor(open_gate=False)
    async with (
        client_of(durable_server, settings) as client,
        worker_on(durable_server, predictor, settings, max_batch=1),
    ):
        await until(lambda: _ready(client))
        jobs = [await client.submit(swap_job()) for _ in range(8)]
        await until(lambda: _running(client, jobs[:2]))
        waiting = asyncio.create_task(client.wait(jobs[0], timeout_seconds=60))
        await asyncio.sleep(0)
        durable_server.kill()
        with pytest.raises(QueueUnavailable) as refused:
            await waiting
        assert refused.value.retry_after_seconds is not None
        with pytest.raises(QueueUnavailable):
            await client.submit(swap_job())
        with pytest.raises(QueueUnavailable):
            await client.status(jobs[0])
        predictor.gate.set()  # results are ready while Redis is away
        durable_server.start()
        await until(lambda: _answers(client))
        for job in jobs:
            assert await client.wait(job, timeout_seconds=60)
        assert await client.depth("small") == 0


async def test_cut_reply_connection_is_renewed_and_misses_nothing(server: RedisServer) -> None:
    settings = queue_settings(poll_seconds=60)  # polling shall not help
    predictor = FakePredictor(open_gate=False)
    async with (
        redis_of(server) as redis,
        worker_on(server, predictor, settings),
        client_of(server, settings) as client,
    ):
        await until(lambda: _ready(client))
        jobs = [await client.submit(swap_job()) for _ in range(2)]
        early = asyncio.create_task(client.wait(jobs[0], timeout_seconds=30))
        await until(lambda: _is_listened(redis))
        await redis.client_kill_filter(_type="pubsub")  # pyright: ignore[reportUnknownMemberType]
        predictor.gate.set()  # the reply may go out before the new subscription
        assert await early
        assert await client.wait(jobs[1], timeout_seconds=30)
        assert await client.wait(await client.submit(swap_job()), timeout_seconds=30)


async def _is_listened(redis: Redis) -> bool:
    return len(await listened(redis)) == 1


async def test_emptied_redis_gets_its_groups_back(server: RedisServer) -> None:
    settings = queue_settings()
    async with (
        client_of(server, settings) as client,
        redis_of(server) as redis,
        worker_on(server, FakePredictor(), settings),
    ):
        await until(lambda: _ready(client))
        await flush(redis)
        await until(lambda: _ready(client))
        job_id = await client.submit(swap_job())
        assert await client.wait(job_id, timeout_seconds=60)


async def test_chaos_answers_every_job_once(server: RedisServer) -> None:
    jobs_total, kills = 150, 5
    settings = queue_settings(lease_seconds=1.0)
    chance = random.Random(7)

    def start() -> WorkerProcess:
        return WorkerProcess(server.url, settings, seconds_per_batch=0.05, max_batch=4)

    async with client_of(server, settings) as client, redis_of(server) as redis:
        workers = [start(), start()]
        try:
            await until(lambda: _ready(client))
            jobs = [await client.submit(swap_job(appearance=n % 200)) for n in range(jobs_total)]
            waits = [asyncio.create_task(client.wait(job, timeout_seconds=120)) for job in jobs]
            for kill in range(kills):
                enough = (kill + 1) * jobs_total // (kills + 1)
                await until(lambda enough=enough: _published(redis, settings, enough))
                victim = chance.randrange(2)
                workers[victim].kill()
                workers[victim] = start()
            results = await asyncio.gather(*waits)
        finally:
            for worker in workers:
                worker.kill()
        for n, result in enumerate(results):
            assert isinstance(result, SwapResult)
            assert (result.composite == n % 200 // 2 + 10).all()
        assert await answers_published(redis, settings) == jobs_total
        assert await client.depth("small") == 0


def _start(server: RedisServer, settings: QueueSettings) -> WorkerProcess:
    return WorkerProcess(server.url, settings, seconds_per_batch=0, max_batch=8)


async def _ready(client: JobClient) -> bool:
    return await ready_workers(client) >= 1


async def _empty(client: JobClient) -> bool:
    return await client.depth("small") == 0


async def _running(client: JobClient, job_ids: list[str]) -> bool:
    states = [(await client.status(job_id)).state for job_id in job_ids]
    return all(state == "running" for state in states)


async def _published(redis: Redis, settings: QueueSettings, count: int) -> bool:
    return await answers_published(redis, settings) >= count


async def _answers(client: JobClient) -> bool:
    try:
        await client.depth("small")
    except QueueUnavailable:
        return False
    return True
