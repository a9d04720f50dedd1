"""A message that surprises a worker never holds its lane.

A fault is put at every await of the code between claim and acknowledgement, and in the tasks
around it, one after the other; after each the next job is served within two leases.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

import dgnet.jobs.combining
import dgnet.worker.attempts
import dgnet.worker.batcher
import dgnet.worker.claiming
import dgnet.worker.device
import dgnet.worker.grids
import dgnet.worker.handlers
import dgnet.worker.heartbeat
import dgnet.worker.leases
import dgnet.worker.serial_thread
from dgnet.jobs.client import JobClient
from dgnet.jobs.codec import VERSION, encode_job
from dgnet.jobs.connection import connect
from dgnet.jobs.contract import DatasetCheckJob
from dgnet.jobs.errors import JobFailed, PoisonJob
from dgnet.jobs.keys import GROUP, LANES, Keys
from dgnet.jobs.settings import QueueSettings, WorkerSettings
from dgnet.jobs.tasks import TaskKeepsEnding
from dgnet.worker.main import Worker
from tests.redis_server import RedisServer
from tests.worker.awaits import Place, install, own_faults, places_of, side_by_side
from tests.worker.fakes import FakePredictor, embed_job, grid_job, swap_job
from tests.worker.harness import queue_settings, ready_workers, running_worker, until

# A fault comes instead of what is awaited, and redis-py wraps its coroutines; a task that is ended
# while it connects leaves its socket to be collected.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:loop is closed:ResourceWarning"),
]

LEASE_SECONDS = 1.0
AT_ONCE = 8
SETTINGS = queue_settings(lease_seconds=LEASE_SECONDS, max_deliveries=2, heartbeat_ttl_seconds=2.0)
MODULES = [
    dgnet.worker.attempts,
    dgnet.worker.batcher,
    dgnet.worker.claiming,
    dgnet.jobs.combining,
    dgnet.worker.device,
    dgnet.worker.grids,
    dgnet.worker.handlers,
    dgnet.worker.heartbeat,
    dgnet.worker.leases,
    dgnet.worker.serial_thread,
]
PLACES = [place for module in MODULES for place in places_of(module)]

# Passed only when a worker ends, or by other kinds of work than this test does; with the reason.
ELSEWHERE = {
    "Attempts.drain": "a worker ends",
    "Attempts.abandon": "a worker ends",
    "Heartbeat.withdraw": "a worker ends",
    "LaneClaims.run:backoff.pause": "Redis is away",
    "MicroBatcher._serve_batch:self._device.run(self._free_memory)": "no memory, in test_batcher",
    "Attempts._work_on_task:self._bulk": "generation jobs, in generation/test_surprises",
    "Attempts._work_on_task:self._until_taken": "generation jobs, in generation/test_surprises",
    "Attempts._give_up:self._bulk": "generation jobs, in generation/test_surprises",
    "JobHandler.handle:self._bulk": "data sets, in generation/test_surprises",
    "Attempts._attempt:self._put_back": "bulk work elsewhere, below",
    "Attempts._put_back": "bulk work elsewhere, below",
    "LeasedQueue.put_back": "bulk work elsewhere, below",
    "LeasedQueue.claim:self.put_back": "two streams that give in the same instant",
    "LeasedQueue.waiting": "a worker ends",
    "LaneClaims._isolate": "suspects, in test_crashes",
    "LeasedQueue.forget_consumers": "every ten minutes",
    "LaneClaims._claim_some:self._queue.forget": "every ten minutes",
    "LaneClaims._take_over:self._queue.take_over": "workers that are lost, in test_crashes",
    "MicroBatcher._blame": "a job that fails on the device, in test_batcher",
    "MicroBatcher._serve_batch:self._blame": "a job that fails on the device, in test_batcher",
    "MicroBatcher._serve_batch:self._serve_batch": "a batch that fails, in test_batcher",
    "Combiner._send:self._send": "a refused trip, below",
}
SHARED = ("dgnet.jobs.combining", "dgnet.worker.device", "dgnet.worker.serial_thread")
"""Passed before the first job, too."""
LONG = ("Attempts.keep_leases:self._queue", "LeasedQueue.renew")
"""Passed only if a job takes longer than a third of a lease."""


_FIRST_VERSION, _NEXT_VERSION = (b"\xa1v" + bytes([number]) for number in (1, VERSION + 1))


class Surprise(Exception):
    """What nobody foresaw."""


def is_elsewhere(place: Place) -> bool:
    return any(f"{place.function}:{place.text}".startswith(name) for name in ELSEWHERE)


@pytest.fixture(scope="module", autouse=True)
def instrumented() -> Iterator[None]:
    restore = install(MODULES)
    yield
    restore()


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What a case leaves is collected while its warnings are ignored, not in the next test."""
    yield
    gc.collect()


@asynccontextmanager
async def client_of(
    server: RedisServer, settings: QueueSettings = SETTINGS
) -> AsyncGenerator[tuple[JobClient, Redis]]:
    redis = connect(server.url)
    async with JobClient.from_url(server.url, settings) as client:
        yield client, redis
    await redis.aclose()


Case = tuple[Place, type[BaseException], bool]
"""Where, what, and whether instead of what is awaited there or after it."""


def cases() -> list[Case]:
    found: list[Case] = []
    for place in PLACES:
        if is_elsewhere(place):
            continue
        found.append((place, Surprise, True))
        if place.module == "dgnet.worker.leases":
            found.append((place, Surprise, False))
        else:  # as if somebody ended the task there
            found.append((place, asyncio.CancelledError, True))
    return found


@pytest.mark.parametrize("first", range(0, len(cases()), AT_ONCE))
async def test_after_a_fault_at_any_await_the_next_job_is_served_within_two_leases(
    server: RedisServer, first: int
) -> None:
    """Each with a worker and keys of its own."""
    await side_by_side(
        {
            f"{place} {kind.__name__} {'instead' if before else 'after'}": _served_after(
                server, place, kind, before, SETTINGS.model_copy(update={"key_prefix": f"case{n}"})
            )
            for n, (place, kind, before) in enumerate(cases()[first : first + AT_ONCE])
        }
    )


async def _served_after(
    server: RedisServer,
    place: Place,
    kind: type[BaseException],
    before: bool,
    settings: QueueSettings,
) -> None:
    slow = 0.5 if f"{place.function}:{place.text}".startswith(LONG) else 0.0
    # The client has trips, too, and the canary is the first call of the device and of its thread.
    is_shared = place.module in SHARED
    predictor = FakePredictor(seconds_per_batch=slow, open_gate=not is_shared)

    async with client_of(server, settings) as (client, redis):
        with own_faults() as faults:

            def arm() -> None:
                faults.arm(place, lambda: kind("nobody foresaw this"), times=1, before=before)

            if not is_shared:
                arm()
            async with running_worker(redis, predictor, settings):
                await until(lambda: _ready(client))
                victims = [await client.submit(swap_job()), await client.submit(embed_job(7, 8))]
                victims.append(await client.submit(grid_job(), lane="grid"))
                if is_shared:
                    arm()
                    predictor.gate.set()
                await _queue_what_nobody_can_read(redis, settings)
                await until(lambda: faults.fired == 1)
                begun = time.monotonic()
                await until(lambda: _ready(client))
                job_id = await client.submit(swap_job(40, 60))
                assert await client.wait(job_id, timeout_seconds=2 * LEASE_SECONDS)
                assert time.monotonic() - begun < 2 * LEASE_SECONDS
                for victim in victims:  # the fault came once: they end well, or with a reason
                    with contextlib.suppress(JobFailed, PoisonJob):
                        assert await client.wait(victim, timeout_seconds=30)
                await until(lambda: _nothing_is_left(client, redis, settings))


def test_every_await_is_tried_or_has_a_reason_why_not() -> None:
    named = {name for name in ELSEWHERE if any(
        f"{p.function}:{p.text}".startswith(name) for p in PLACES
    )}  # fmt: skip
    assert named == set(ELSEWHERE)  # none is left over from code that is gone


async def test_a_worker_without_bulk_work_leaves_it_and_goes_on(server: RedisServer) -> None:
    async with (
        client_of(server) as (client, redis),
        running_worker(redis, FakePredictor(), SETTINGS),
    ):
        await until(lambda: _ready(client))
        await client.submit(DatasetCheckJob(folder="people"), lane="bulk")
        for _ in range(3):
            job_id = await client.submit(swap_job(), lane="bulk")
            assert await client.wait(job_id, timeout_seconds=2 * LEASE_SECONDS)


async def test_a_record_of_the_wrong_type_harms_nobody(server: RedisServer) -> None:
    """Jobs that finish together share a script, which such a record ends."""
    keys = Keys(SETTINGS.key_prefix)
    predictor = FakePredictor(open_gate=False)
    async with client_of(server) as (client, redis), running_worker(redis, predictor, SETTINGS):
        await until(lambda: _ready(client))
        jobs = [await client.submit(swap_job()) for _ in range(8)]
        await redis.delete(keys.record(jobs[3]))
        await redis.lpush(keys.record(jobs[3]), "no record")  # pyright: ignore
        predictor.gate.set()
        for job_id in jobs[:3] + jobs[4:]:
            assert await client.wait(job_id, timeout_seconds=2 * LEASE_SECONDS)
        await until(lambda: _nothing_is_left(client, redis))


async def test_a_result_that_cannot_be_packed_is_tried_elsewhere_and_given_up(
    server: RedisServer,
) -> None:
    """The reason tells its owner nothing of what went on inside."""
    predictor = FakePredictor()
    async with client_of(server) as (client, redis), running_worker(redis, predictor, SETTINGS):
        await until(lambda: _ready(client))
        predictor.model_version = "\ud800"  # no text that can be encoded
        job_id = await client.submit(swap_job())
        with pytest.raises(
            PoisonJob, match=r"2 workers tried the job .* UnicodeEncodeError; their"
        ):
            await client.wait(job_id, timeout_seconds=10 * LEASE_SECONDS)
        await until(lambda: _nothing_is_left(client, redis))


@pytest.mark.parametrize(
    "name", ["heartbeat", "leases", "claims of the small lane", "batcher", "attempt "]
)
async def test_a_background_task_that_is_killed_is_begun_anew(
    server: RedisServer, name: str
) -> None:
    """An attempt that is killed comes again once its lease has run out."""
    predictor = FakePredictor(open_gate=False)
    async with client_of(server) as (client, redis), running_worker(redis, predictor, SETTINGS):
        await until(lambda: _ready(client))
        job_id = await client.submit(swap_job())
        await until(lambda: len(predictor.batches) == 3)  # it is on the device
        [task] = [task for task in asyncio.all_tasks() if task.get_name().startswith(name)]
        task.cancel()
        await until(task.done)
        predictor.gate.set()
        assert await client.wait(job_id, timeout_seconds=4 * LEASE_SECONDS)
        await asyncio.sleep(1.5 * SETTINGS.heartbeat_ttl_seconds)
        assert await ready_workers(client) == 1
        assert await client.wait(await client.submit(swap_job()), timeout_seconds=LEASE_SECONDS)


async def test_a_worker_whose_task_does_not_stay_alive_says_why_and_ends(
    server: RedisServer,
) -> None:
    [place] = [
        p for p in PLACES if str(p).startswith("dgnet.worker.heartbeat:Heartbeat.run:self._beat")
    ]
    async with client_of(server) as (_, redis):
        with own_faults() as faults:
            faults.arm(place, lambda: Surprise("nobody foresaw this"), times=1000, before=True)
            worker = Worker(redis, FakePredictor(), SETTINGS, WorkerSettings())
            with pytest.raises(TaskKeepsEnding, match=r"'heartbeat' ended 6 times .* by Surprise"):
                await worker.run()


async def _ready(client: JobClient) -> bool:
    return await ready_workers(client) == 1


async def _queue_what_nobody_can_read(redis: Redis, settings: QueueSettings) -> None:
    """A message that is none, a task that is none, and a job of a release to come."""
    keys = Keys(settings.key_prefix)
    newer = encode_job(swap_job()).replace(_FIRST_VERSION, _NEXT_VERSION)
    for kind, data in (("swap", b"garbage"), ("generation", b"garbage"), ("swap", newer)):
        fields: Any = {"job": f"strange-{kind}", "kind": kind, "reply": "", "data": data}
        await redis.xadd(keys.lane("bulk" if kind == "generation" else "small"), fields)  # pyright: ignore[reportArgumentType]


async def _nothing_is_left(
    client: JobClient, redis: Redis, settings: QueueSettings = SETTINGS
) -> bool:
    """Neither in the lanes nor in anybody's hands."""
    keys = Keys(settings.key_prefix)
    for lane in LANES:
        if await client.depth(lane):
            return False
        if (await redis.xpending(keys.lane(lane), GROUP))["pending"]:
            return False
    return True
