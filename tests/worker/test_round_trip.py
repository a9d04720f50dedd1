"""A job in, its answer out; batches form by themselves; bad jobs harm nobody but themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from dgnet.jobs.client import JobClient
from dgnet.jobs.codec import Outcome, encode_closed_record
from dgnet.jobs.contract import SCENES, EmbedResult, Scene, SwapJob, SwapResult
from dgnet.jobs.errors import BadJob, JobFailed, UnknownJob, WaitTimeout
from dgnet.jobs.keys import Keys
from tests.worker.fakes import (
    FAILS,
    HEIGHT,
    WIDTH,
    FakePredictor,
    embed_job,
    picture,
    swap_job,
)
from tests.worker.harness import (
    Connect,
    entries,
    listened,
    queue_settings,
    ready_workers,
    running_client,
    running_worker,
    until,
)


async def test_swap_comes_back_with_model_version_and_timings(connect: Connect) -> None:
    settings = queue_settings()
    async with (
        running_worker(connect(), FakePredictor(), settings),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: _ready(client))
        job_id = await client.submit(swap_job(appearance=10, structure=20))
        result = await client.wait(job_id, timeout_seconds=60)
    assert isinstance(result, SwapResult)
    assert result.composite.shape == (HEIGHT, WIDTH, 3)
    assert (result.composite == 15).all()  # 10 // 2 + 20 // 2
    assert result.model_version == "0123456789ab"
    assert result.timings.batch_size == 1
    assert 0 <= result.timings.queue_seconds < 60
    assert 0 <= result.timings.device_seconds < 60


async def test_embeddings_come_back_in_the_order_of_their_pictures(connect: Connect) -> None:
    settings = queue_settings()
    async with (
        running_worker(connect(), FakePredictor(), settings, max_batch=2),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: _ready(client))
        job_id = await client.submit(embed_job(7, 3, 5))
        result = await client.wait(job_id, timeout_seconds=60)
    assert isinstance(result, EmbedResult)
    assert result.embeddings.dtype == np.float32
    assert result.embeddings.tolist() == [[7, 7, 7], [3, 3, 3], [5, 5, 5]]


async def test_jobs_that_arrive_while_the_device_works_form_a_batch(connect: Connect) -> None:
    settings = queue_settings()
    predictor = FakePredictor(open_gate=False)
    async with (
        running_worker(connect(), predictor, settings, max_batch=4),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: _ready(client))
        first = await client.submit(swap_job())
        await until(lambda: predictor.sizes("swap") == [1])  # dispatched at once, alone
        rest = await asyncio.gather(*(client.submit(swap_job()) for _ in range(6)))
        await until(lambda: _running(client, rest))
        predictor.gate.set()
        results = [await client.wait(job, timeout_seconds=60) for job in (first, *rest)]
    assert predictor.sizes("swap") == [1, 4, 2]
    swapped = [result for result in results if isinstance(result, SwapResult)]
    assert [result.timings.batch_size for result in swapped] == [1, 4, 4, 4, 4, 2, 2]


async def test_one_batch_keeps_the_scene_of_some_jobs_and_generates_that_of_others(
    connect: Connect,
) -> None:
    settings = queue_settings()
    predictor = FakePredictor(open_gate=False, keeps_scene=True)
    scenes: list[Scene | None] = ["keep", "generate", None, "keep"]
    async with (
        running_worker(connect(), predictor, settings, max_batch=4),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: _ready(client))
        [worker] = await client.workers()
        assert worker.model.scenes == ("keep", "generate")
        first = await client.submit(swap_job())
        await until(lambda: predictor.sizes("swap") == [1])
        jobs = [await client.submit(replace(swap_job(10, 20), scene=scene)) for scene in scenes]
        await until(lambda: _running(client, jobs))
        predictor.gate.set()
        results = [await client.wait(job, timeout_seconds=60) for job in (first, *jobs)]
    assert predictor.sizes("swap") == [1, 4]
    colors = [int(x.composite[0, 0, 0]) for x in results if isinstance(x, SwapResult)]
    assert colors == [15, 20, 15, 15, 20]  # what the fake keeps is the structure's color


async def test_a_worker_whose_model_has_no_mask_refuses_to_keep_a_scene(connect: Connect) -> None:
    settings = queue_settings()
    async with (
        running_worker(connect(), FakePredictor(), settings),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: _ready(client))
        keep, generate = [await client.submit(replace(swap_job(), scene=scene)) for scene in SCENES]
        with pytest.raises(BadJob, match=r"scene is 'keep', and model fake .* has no mask"):
            await client.wait(keep, timeout_seconds=60)
        assert isinstance(await client.wait(generate, timeout_seconds=60), SwapResult)


async def test_a_worker_holds_one_bulk_message_and_serves_small_ones_meanwhile(
    connect: Connect,
) -> None:
    settings = queue_settings()
    predictor = FakePredictor(open_gate=False)
    async with (
        running_worker(connect(), predictor, settings, max_batch=2),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: _ready(client))
        bulk = [await client.submit(swap_job(), lane="bulk") for _ in range(3)]
        await until(lambda: _running(client, bulk[:1]))
        small = [await client.submit(swap_job()) for _ in range(3)]
        await until(lambda: _running(client, small))  # beside the bulk job
        states = [(await client.status(job_id)).state for job_id in bulk]
        assert states == ["running", "queued", "queued"]
        predictor.gate.set()
        for job_id in (*bulk, *small):
            assert await client.wait(job_id, timeout_seconds=60)


async def test_wrong_size_fails_that_job_alone(connect: Connect) -> None:
    settings = queue_settings()
    async with (
        running_worker(connect(), FakePredictor(), settings),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: _ready(client))
        wrong = SwapJob(appearance_image=picture(1), structure_image=picture(1, height=9))
        wrong_id, good_id = await asyncio.gather(client.submit(wrong), client.submit(swap_job()))
        with pytest.raises(BadJob, match=r"structure picture is 9x4x3, model fake takes 8x4x3"):
            await client.wait(wrong_id, timeout_seconds=60)
        assert await client.wait(good_id, timeout_seconds=60)


async def test_job_that_fails_on_the_device_fails_alone(connect: Connect) -> None:
    settings = queue_settings()
    predictor = FakePredictor(open_gate=False)
    async with (
        running_worker(connect(), predictor, settings),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: _ready(client))
        first = await client.submit(swap_job())
        await until(lambda: predictor.sizes("swap") == [1])
        good = [await client.submit(swap_job()) for _ in range(3)]
        bad = await client.submit(swap_job(structure=FAILS))
        await until(lambda: _running(client, [*good, bad]))
        predictor.gate.set()
        for job_id in (first, *good):
            assert await client.wait(job_id, timeout_seconds=60)
        with pytest.raises(JobFailed, match="failed on this job alone"):
            await client.wait(bad, timeout_seconds=60)
        status = await client.status(bad)
    assert (status.state, status.error_code) == ("failed", "job-failed")


async def test_undecodable_message_is_dead_lettered_and_answered(connect: Connect) -> None:
    settings = queue_settings()
    redis, keys = connect(), Keys(settings.key_prefix)
    async with (
        running_worker(connect(), FakePredictor(), settings),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: _ready(client))
        await redis.set(keys.record("broken"), "o1 swap 0-1")
        await redis.xadd(keys.lane("small"), {"job": "broken", "data": b"\x80\x04cposix\nsystem\n"})
        await redis.xadd(keys.lane("small"), {"what": "is this"})
        with pytest.raises(BadJob, match="not msgpack"):
            await client.wait("broken", timeout_seconds=60)
        job_id = await client.submit(swap_job())  # the worker lives
        assert await client.wait(job_id, timeout_seconds=60)
        await until(lambda: _depth_is(client, 0))
        letters = await entries(redis, keys.dead_letters)
    assert [fields[b"reason"] for _, fields in letters] == [b"undecodable"] * 2
    assert letters[0][1][b"job"] == b"broken"


async def test_status_goes_from_queued_to_running_to_done(connect: Connect) -> None:
    settings = queue_settings()
    predictor = FakePredictor(open_gate=False)
    async with (
        running_worker(connect(), predictor, settings, max_batch=1),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: _ready(client))
        jobs = [await client.submit(swap_job()) for _ in range(3)]
        await until(lambda: _running(client, jobs[:2]))
        assert (await client.status(jobs[2])).state == "queued"
        assert await client.depth("small") == 3
        predictor.gate.set()
        await client.wait(jobs[2], timeout_seconds=60)
        status = await client.status(jobs[2])
    assert (status.kind, status.state) == ("swap", "done")
    assert isinstance(status.result, SwapResult)
    assert (status.result.composite == 15).all()


async def test_wait_that_runs_out_leaves_the_job_running(connect: Connect) -> None:
    settings = queue_settings()
    predictor = FakePredictor(open_gate=False)
    async with (
        running_worker(connect(), predictor, settings),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: _ready(client))
        job_id = await client.submit(swap_job())
        with pytest.raises(WaitTimeout, match="no result within"):
            await client.wait(job_id, timeout_seconds=0.05)
        predictor.gate.set()
        assert await client.wait(job_id, timeout_seconds=60)


async def test_two_processes_may_wait_for_one_job(connect: Connect) -> None:
    settings = queue_settings()
    async with (
        running_worker(connect(), FakePredictor(), settings),
        running_client(connect(), settings) as client,
        running_client(connect(), settings) as other,
    ):
        await until(lambda: _ready(client))
        job_id = await client.submit(swap_job())
        results = await asyncio.gather(
            client.wait(job_id, timeout_seconds=60), other.wait(job_id, timeout_seconds=60)
        )
    assert all(isinstance(result, SwapResult) for result in results)


async def test_unknown_job_is_told_at_once(connect: Connect) -> None:
    async with running_client(connect(), queue_settings()) as client:
        with pytest.raises(UnknownJob):
            await client.wait("nobody", timeout_seconds=60)
        with pytest.raises(UnknownJob):
            await client.status("nobody")


async def test_lost_reply_does_not_hang_a_request(connect: Connect) -> None:
    settings = queue_settings()
    redis, keys = connect(), Keys(settings.key_prefix)
    predictor = FakePredictor(open_gate=False)
    async with (
        running_worker(connect(), predictor, settings),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: _ready(client))
        job_id = await client.submit(swap_job())
        waiting = asyncio.create_task(client.wait(job_id, timeout_seconds=60))
        await until(lambda: _running(client, [job_id]))
        # The record is closed as a worker would, but the reply never comes.
        outcome = Outcome(kind="swap", error=JobFailed("told by the record"))
        await redis.set(keys.record(job_id), encode_closed_record(job_id, outcome))
        with pytest.raises(JobFailed, match="told by the record"):
            await waiting


async def test_garbage_among_the_replies_harms_nobody(connect: Connect) -> None:
    settings = queue_settings(poll_seconds=60)
    redis = connect()
    async with (
        running_worker(connect(), FakePredictor(), settings),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: _ready(client))
        (channel,) = await listened(redis)
        for reply in (b"", b"garbage", b"cnobody junk"):
            await redis.publish(channel, reply)  # pyright: ignore[reportUnknownMemberType]
        job_id = await client.submit(swap_job())
        assert await client.wait(job_id, timeout_seconds=30)


async def _ready(client: JobClient) -> bool:
    return await ready_workers(client) == 1


async def _depth_is(client: JobClient, depth: int) -> bool:
    return await client.depth("small") == depth


async def _running(client: JobClient, job_ids: Sequence[str]) -> bool:
    states = [(await client.status(job_id)).state for job_id in job_ids]
    return all(state == "running" for state in states)
