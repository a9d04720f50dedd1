"""Everything has an end: lanes are bounded, results expire, streams do not pile up."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from dgnet.jobs.client import JobClient
from dgnet.jobs.errors import NoWorker, QueueFull, UnknownJob
from dgnet.jobs.keys import GROUP, LANES, Keys
from dgnet.jobs.rate import RateMeter
from dgnet.worker.leases import LeasedQueue
from tests.worker.fakes import FakePredictor, swap_job
from tests.worker.harness import (
    Connect,
    all_keys,
    entries,
    queue_settings,
    ready_workers,
    running_client,
    running_worker,
    until,
)


async def test_full_lane_refuses_and_says_when_to_come_back(connect: Connect) -> None:
    settings = queue_settings(small_lane_depth=3)
    predictor = FakePredictor(open_gate=False)
    async with (
        running_worker(connect(), predictor, settings),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: _ready(client))
        answers = await asyncio.gather(
            *(client.submit(swap_job()) for _ in range(5)), return_exceptions=True
        )
        refusals = [answer for answer in answers if isinstance(answer, QueueFull)]
        assert len(refusals) == 2
        assert refusals[0].http_status == 429
        assert refusals[0].retry_after_seconds is not None
        assert "3 jobs are unfinished in the small lane, its bound is 3" in str(refusals[0])
        assert await client.depth("small") == 3  # nothing of the refused is left
        assert await client.submit(swap_job(), lane="bulk")  # the other lane has room
        predictor.gate.set()
        await until(lambda: _depth_is(client, 0))
        assert await client.submit(swap_job())


async def test_no_ready_worker_refuses_the_job(connect: Connect) -> None:
    async with running_client(connect(), queue_settings()) as client:
        with pytest.raises(NoWorker) as refused:
            await client.submit(swap_job())
        assert refused.value.http_status == 503
        assert refused.value.retry_after_seconds is not None


async def test_heartbeat_of_a_silent_worker_expires(connect: Connect) -> None:
    settings = queue_settings(heartbeat_ttl_seconds=0.3)
    redis, keys = connect(), Keys(settings.key_prefix)
    async with (
        running_worker(connect(), FakePredictor(), settings) as worker,
        running_client(connect(), settings) as client,
    ):
        await until(lambda: _ready(client))
        # What is left when a worker is killed: its last heartbeat, and its name in the set.
        left = await redis.get(keys.worker(worker.worker_id))
        assert left is not None
        worker.stop()
        await until(lambda: _nobody(client))
        await redis.sadd(keys.workers, worker.worker_id)
        await redis.set(keys.worker(worker.worker_id), left, px=300)
        await until(lambda: _ready(client))
        await until(lambda: _nobody(client))
        with pytest.raises(NoWorker):
            await client.submit(swap_job())
        assert await redis.smembers(keys.workers) == set()


async def test_finished_jobs_leave_nothing_but_a_record_with_an_end(connect: Connect) -> None:
    settings = queue_settings(result_ttl_seconds=600, collected_ttl_seconds=100)
    redis, keys = connect(), Keys(settings.key_prefix)
    async with (
        running_worker(connect(), FakePredictor(), settings),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: _ready(client))
        jobs = [await client.submit(swap_job()) for _ in range(20)]
        await until(lambda: _depth_is(client, 0))
        assert 500 < await redis.ttl(keys.record(jobs[0])) <= 600
        for job_id in jobs:
            await client.wait(job_id, timeout_seconds=60)
        await until(lambda: _ends_within(redis, keys.record(jobs[-1]), 100))
        assert await entries(redis, keys.lane("small")) == []
        pending = await redis.xpending(keys.lane("small"), GROUP)
        assert pending["pending"] == 0
        every_key = [key.decode() for key in await all_keys(redis)]
        endless = {key for key in every_key if await redis.ttl(key) == -1}
    version = FakePredictor.model_version
    lanes = {keys.lane(lane, model) for lane in LANES for model in ("", version)}
    assert endless == {*lanes, keys.finished("small"), keys.workers}


async def test_collected_result_is_forgotten_in_the_end(connect: Connect) -> None:
    settings = queue_settings(collected_ttl_seconds=1)
    async with (
        running_worker(connect(), FakePredictor(), settings),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: _ready(client))
        job_id = await client.submit(swap_job())
        assert await client.wait(job_id, timeout_seconds=60)
        await until(lambda: _unknown(client, job_id))


async def test_consumers_that_are_gone_and_hold_nothing_are_forgotten(connect: Connect) -> None:
    settings = queue_settings()
    redis, keys = connect(), Keys(settings.key_prefix)
    gone = LeasedQueue(redis, settings, "gone")
    holder = LeasedQueue(redis, settings, "holder")
    alive = LeasedQueue(redis, settings, "alive")
    await gone.ensure_group("small")
    for _ in range(2):
        await redis.xadd(keys.lane("small"), {"job": "x"})
    await holder.claim("small", 1, 0.01)
    for claim in await gone.claim("small", 1, 0.01):
        await redis.xack(keys.lane("small"), GROUP, claim.entry_id)
    await alive.forget_consumers("small", gone_seconds=0)
    consumers = await redis.xinfo_consumers(keys.lane("small"), GROUP)
    assert [consumer["name"] for consumer in consumers] == [b"holder"]


def test_rate_is_measured_over_the_last_half_minute() -> None:
    meter = RateMeter()
    assert meter.seconds_for(100) == 5.0  # nothing known
    for second in range(100):
        meter.observe(finished=1000 if second < 50 else 1000 + (second - 50) * 20, now=second)
    assert meter.seconds_for(100) == pytest.approx(5.0)  # 20 jobs a second
    assert meter.seconds_for(2) == 1.0
    assert meter.seconds_for(10**6) == 60.0
    meter.observe(finished=0, now=101)  # Redis was emptied
    assert meter.seconds_for(100) == 5.0


async def _ready(client: JobClient) -> bool:
    return await ready_workers(client) == 1


async def _nobody(client: JobClient) -> bool:
    return await client.workers() == []


async def _depth_is(client: JobClient, depth: int) -> bool:
    return await client.depth("small") == depth


async def _ends_within(redis: Redis, key: str, seconds: int) -> bool:
    return await redis.ttl(key) <= seconds


async def _unknown(client: JobClient, job_id: str) -> bool:
    try:
        await client.status(job_id)
    except UnknownJob:
        return True
    return False
