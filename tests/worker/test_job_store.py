"""The store of generation jobs, with a task store that only says what it did; both stores."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from dgnet.jobs.errors import (
    BadJob,
    IdempotencyConflict,
    JobExpired,
    QueueFull,
    UnknownJob,
    WrongState,
)
from dgnet.jobs.generation.job_store import JobStore
from dgnet.jobs.generation.jobs import GenerationTask, JobEvent
from dgnet.jobs.generation.records import new_job_id, task_of
from dgnet.jobs.keys import Keys
from dgnet.jobs.storage import StorageSettings, job_folder, request_file
from dgnet.worker.task_store import TaskStore
from tests.worker.bulk import spec_of
from tests.worker.harness import Connect, all_keys, entries, flush, queue_settings, until

SETTINGS = queue_settings()
KEYS = Keys(SETTINGS.key_prefix)

MakeJobStore = Callable[..., JobStore]


@pytest.fixture
def storage(tmp_path: Path) -> StorageSettings:
    (tmp_path / "people").mkdir()
    return StorageSettings(data_root=tmp_path)


@pytest.fixture
def redis(connect: Connect) -> Redis:
    return connect()


@pytest.fixture
def job_store(redis: Redis, storage: StorageSettings) -> JobStore:
    return JobStore(redis, SETTINGS, storage)


@pytest.fixture
def task_store(redis: Redis) -> TaskStore:
    return TaskStore(redis, SETTINGS)


async def tasks(redis: Redis) -> list[GenerationTask]:
    """All that are in the lane."""
    return [
        task_of(fields[b"job"].decode(), fields[b"data"])
        for _, fields in await entries(redis, KEYS.lane("bulk"))
    ]


async def begun(
    job_store: JobStore, task_store: TaskStore, redis: Redis, shards: int = 4
) -> GenerationTask:
    """A job of 30 composites in shards of 8, whose first window is open; its first shard's task."""
    await job_store.submit(spec_of())
    begin = (await tasks(redis))[-1]
    assert await task_store.start(begin, "0123456789ab")
    assert await task_store.open_window(begin, (0, 30), 0, shards)
    return (await tasks(redis))[1]


async def complete(task_store: TaskStore, task: GenerationTask, **changes: Any) -> bool:
    values: dict[str, Any] = {
        "composites": 8, "kept": 8, "found": 0, "dropped": {}, "unreadable": [],
    }  # fmt: skip
    return await task_store.complete(task, **{**values, **changes})


async def followed(job_store: JobStore, job_id: str, after: str | None = None) -> list[JobEvent]:
    async with asyncio.timeout(60):
        return [e async for events in job_store.events(job_id, after=after) for e in events]


async def test_a_submitted_job_is_there_and_its_request_is_kept(
    job_store: JobStore, redis: Redis, storage: StorageSettings
) -> None:
    job, is_new = await job_store.submit(spec_of())
    assert is_new
    assert (job.state, job.planned, job.spec) == ("queued", 0, spec_of().to_json())
    assert abs(job.created - time.time()) < 60
    assert await job_store.list() == [job]
    assert request_file(storage.data_root, job.job_id).exists()
    (task,) = await tasks(redis)
    assert (task.job_id, task.step) == (job.job_id, "begin")


async def test_an_idempotency_key_gives_the_same_job_or_a_conflict(
    job_store: JobStore, redis: Redis, storage: StorageSettings
) -> None:
    first, _ = await job_store.submit(spec_of(), idempotency_key="key")
    assert await job_store.submit(spec_of(), idempotency_key="key") == (first, False)
    with pytest.raises(IdempotencyConflict):
        await job_store.submit(spec_of(seed=1), idempotency_key="key")
    other, is_new = await job_store.submit(spec_of(seed=1), idempotency_key="other")
    assert is_new
    assert len(await tasks(redis)) == 2
    requests = sorted(path.stem for path in (storage.data_root / "jobs").iterdir())
    assert requests == sorted([first.job_id, other.job_id])
    (key,) = [key for key in await all_keys(redis) if b"idempotency" in key][:1]
    assert 86_000 < await redis.ttl(key) <= 86_400


async def test_submissions_of_one_key_at_once_make_one_job(job_store: JobStore) -> None:
    answers = await asyncio.gather(
        *(job_store.submit(spec_of(), idempotency_key="key") for _ in range(8))
    )
    assert len({job.job_id for job, _ in answers}) == 1
    assert sum(is_new for _, is_new in answers) == 1


@pytest.mark.parametrize("folder", ["/etc", "../people", "link", "a\0b"])
async def test_a_source_outside_the_data_root_is_refused(
    job_store: JobStore, redis: Redis, storage: StorageSettings, folder: str
) -> None:
    (storage.data_root / "link").symlink_to("/etc")
    with pytest.raises(BadJob, match="the source cannot be used"):
        await job_store.submit(spec_of(folder))
    assert await tasks(redis) == []


async def test_a_destination_that_is_not_allowed_is_refused(
    job_store: JobStore, redis: Redis, storage: StorageSettings
) -> None:
    with pytest.raises(BadJob, match="DGNET_JOB_DESTINATIONS"):
        await job_store.submit(spec_of(output={"destination": "s3://bucket/set"}))
    assert await tasks(redis) == []
    assert not (storage.data_root / "jobs").exists()


async def test_a_full_lane_refuses_and_keeps_nothing(
    redis: Redis, storage: StorageSettings
) -> None:
    job_store = JobStore(redis, queue_settings(bulk_lane_depth=1), storage)
    job, _ = await job_store.submit(spec_of())
    with pytest.raises(QueueFull, match="its bound is 1"):
        await job_store.submit(spec_of())
    assert await job_store.list() == [job]
    assert len(list((storage.data_root / "jobs").iterdir())) == 1
    await job_store.cancel(job.job_id)
    with pytest.raises(QueueFull):
        await job_store.resume(job.job_id)


async def test_jobs_are_listed_newest_first_in_pages(job_store: JobStore) -> None:
    jobs = [(await job_store.submit(spec_of(seed=number)))[0] for number in range(3)]
    listed = await job_store.list(limit=2)
    assert [job.spec["seed"] for job in listed] == [2, 1]
    assert await job_store.list(before=listed[-1].created) == jobs[:1]


async def test_those_who_list_jobs_at_once_take_turns(
    job_store: JobStore, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that somebody else's request waits for a page of 64 jobs, not for all of them."""
    for number in range(100):
        await job_store.submit(spec_of(seed=number))
    read = job_store._read  # pyright: ignore[reportPrivateUsage]
    at_work = 0
    sizes: list[int] = []

    async def watched(job_ids: list[str]) -> Any:
        nonlocal at_work
        at_work += 1
        assert at_work == 1
        sizes.append(len(job_ids))
        try:
            return await read(job_ids)
        finally:
            at_work -= 1

    monkeypatch.setattr(job_store, "_read", watched)
    pages = await asyncio.gather(*(job_store.list(limit=1000) for _ in range(5)))
    assert [len(page) for page in pages] == [100] * 5
    assert sorted(sizes) == [36] * 5 + [64] * 5


async def test_unfinished_jobs_are_found_behind_thousands_of_others(
    job_store: JobStore, redis: Redis
) -> None:
    old = (await job_store.submit(spec_of()))[0]
    cancelled = (await job_store.submit(spec_of()))[0]
    await job_store.cancel(cancelled.job_id)
    record: Any = await cast("Any", redis).hgetall(KEYS.generation(cancelled.job_id))
    pipeline: Any = redis.pipeline()
    for number in range(2_500):
        job_id = f"gen_{number:022d}"
        pipeline.hset(KEYS.generation(job_id), mapping=record)
        pipeline.zadd(KEYS.generations, {job_id: old.created + 1 + number})
    damaged = f"gen_{9999:022d}"
    pipeline.set(KEYS.generation(damaged), "no record")
    pipeline.zadd(KEYS.generations, {damaged: old.created + 5000})
    await pipeline.execute()
    new = (await job_store.submit(spec_of()))[0]
    found = await job_store.unfinished()
    assert {job.job_id for job in found} == {old.job_id, new.job_id}
    assert found[0].spec == spec_of().to_json()


async def test_few_shards_are_handed_out_and_each_completion_hands_out_the_next(
    job_store: JobStore, task_store: TaskStore, redis: Redis
) -> None:
    await redis.sadd(KEYS.workers, "a", "b")
    first = await begun(job_store, task_store, redis, shards=5)
    assert [task.number for task in await tasks(redis)][1:] == [0, 1, 2]  # workers and one more
    await complete(task_store, first)
    assert [task.number for task in await tasks(redis)][1:] == [0, 1, 2, 3]


async def test_a_repeated_completion_counts_once(
    job_store: JobStore, task_store: TaskStore, redis: Redis
) -> None:
    first = await begun(job_store, task_store, redis)
    dropped, unreadable = {"near_duplicate": 3}, ["a.png", "b.png"]
    for _ in range(3):
        assert await complete(task_store, first, kept=5, dropped=dropped, unreadable=unreadable)
    job = await job_store.get(first.job_id)
    assert (job.made, job.kept, job.dropped, job.unreadable) == (8, 5, dropped, 2)
    assert (job.shards, job.shards_done) == (4, 1)
    steps = [(task.step, task.number) for task in await tasks(redis)]
    assert len(steps) == len(set(steps))


async def test_the_last_shard_is_followed_by_one_advance(
    job_store: JobStore, task_store: TaskStore, redis: Redis
) -> None:
    await begun(job_store, task_store, redis)
    for number in range(4):
        shard = next(t for t in await tasks(redis) if t.step == "shard" and t.number == number)
        await complete(task_store, shard, composites=8 if number < 3 else 6)
        await complete(task_store, shard, composites=8 if number < 3 else 6)
    advances = [task for task in await tasks(redis) if task.step == "advance"]
    assert len(advances) == 1
    job = await job_store.get(advances[0].job_id)
    assert (job.state, job.made, job.planned) == ("running", 30, 30)
    for _ in range(2):  # the second is a redelivery
        assert await task_store.open_window(advances[0], (30, 40), 4, 6)
    assert [t.number for t in await tasks(redis) if t.step == "shard"] == [0, 1, 2, 3, 4]
    assert (await job_store.get(job.job_id)).planned == 40


async def test_tasks_of_a_cancelled_or_resumed_job_are_stale(
    job_store: JobStore, task_store: TaskStore, redis: Redis
) -> None:
    old = await begun(job_store, task_store, redis)
    await job_store.cancel(old.job_id)
    await job_store.cancel(old.job_id)
    assert not await complete(task_store, old)
    assert not await task_store.report(old, 4)
    assert not await task_store.fail(old, "job-failed", "too late")
    assert await task_store.order(old) is None
    job = await job_store.resume(old.job_id)
    assert (job.state, job.made, job.finished) == ("queued", 0, None)
    assert await job_store.resume(old.job_id) == job
    assert not await complete(task_store, old)
    new = (await tasks(redis))[-1]
    assert new.step == "begin"
    assert new.epoch != old.epoch


async def test_states_that_do_not_allow_what_is_asked(
    job_store: JobStore, task_store: TaskStore, redis: Redis
) -> None:
    task = await begun(job_store, task_store, redis)
    await task_store.finish(task, composites=30, kept=29, dropped={"x": 1}, unreadable=[])
    job = await job_store.get(task.job_id)
    assert (job.state, job.made, job.kept, job.dropped) == ("done", 30, 29, {"x": 1})
    for refused in (job_store.cancel, job_store.resume):
        with pytest.raises(WrongState):
            await refused(task.job_id)
    for unknown in ("gen_" + "x" * 22, "../../etc", ""):
        for call in (job_store.get, job_store.cancel, job_store.resume):
            with pytest.raises(UnknownJob):
                await call(unknown)
        await job_store.delete(unknown)


async def test_a_failed_job_says_why_and_can_be_resumed(
    job_store: JobStore, task_store: TaskStore, redis: Redis
) -> None:
    task = await begun(job_store, task_store, redis)
    assert await task_store.fail(task, "storage-full", "no room")
    job = await job_store.get(task.job_id)
    assert (job.state, job.error_code, job.error_message) == ("failed", "storage-full", "no room")
    with pytest.raises(WrongState):
        await job_store.cancel(task.job_id)
    job = await job_store.resume(task.job_id)
    assert (job.state, job.error_code) == ("queued", None)


async def test_a_shard_that_somebody_else_published_is_no_failure(
    job_store: JobStore, task_store: TaskStore, redis: Redis
) -> None:
    task = await begun(job_store, task_store, redis)
    await complete(task_store, task)
    assert not await task_store.fail(task, "storage-failed", "its folder is gone")
    assert (await job_store.get(task.job_id)).state == "running"


async def test_deleting_frees_files_and_record_and_may_be_repeated(
    job_store: JobStore, task_store: TaskStore, redis: Redis, storage: StorageSettings
) -> None:
    task = await begun(job_store, task_store, redis)
    folder = job_folder(storage.data_root, task.job_id)
    (folder / "shards").mkdir(parents=True)
    for _ in range(2):
        await job_store.delete(task.job_id)
        assert list((storage.data_root / "jobs").iterdir()) == []
        assert await job_store.list() == []
        for call in (job_store.get, job_store.resume, job_store.cancel):
            with pytest.raises(UnknownJob):
                await call(task.job_id)
    assert not await complete(task_store, task)
    assert await task_store.was_deleted(task)


async def test_deleting_what_never_was_leaves_nothing(
    job_store: JobStore, redis: Redis, storage: StorageSettings
) -> None:
    for _ in range(20):
        await job_store.delete(new_job_id())
    assert await all_keys(redis) == []
    # One that Redis forgot has files, and perhaps a worker that still writes some.
    job, _ = await job_store.submit(spec_of())
    await flush(redis)
    await job_store.delete(job.job_id)
    assert [key.decode() for key in await all_keys(redis)] == [KEYS.generation(job.job_id)]
    assert not request_file(storage.data_root, job.job_id).exists()


async def test_what_redis_forgot_is_resumed_from_its_request(
    job_store: JobStore, redis: Redis, storage: StorageSettings
) -> None:
    before, _ = await job_store.submit(spec_of())
    await flush(redis)
    with pytest.raises(UnknownJob):
        await job_store.get(before.job_id)
    job = await job_store.resume(before.job_id)
    assert (job.state, job.spec, job.job_id) == ("queued", before.spec, before.job_id)
    assert abs(job.created - before.created) < 5
    assert len(await tasks(redis)) == 1
    await flush(redis)
    request_file(storage.data_root, job.job_id).write_text("{")
    with pytest.raises(BadJob, match="damaged"):
        await job_store.resume(job.job_id)


async def test_events_are_replayed_from_any_point_and_end_with_the_job(
    job_store: JobStore, task_store: TaskStore, redis: Redis
) -> None:
    task = await begun(job_store, task_store, redis)
    await complete(task_store, task, kept=6, dropped={"x": 2})
    following = asyncio.create_task(followed(job_store, task.job_id))
    await task_store.assemble(task)
    await task_store.finish(task, composites=30, kept=28, dropped={"x": 2}, unreadable=[])
    events = await following
    states = [event.job.state for event in events if event.kind == "state"]
    assert states == ["queued", "planning", "running", "assembling", "done"]
    for event in events:
        job = event.job
        assert job.kept + sum(job.dropped.values()) <= job.made <= job.planned
        assert job.spec == spec_of().to_json()
    middle = events[2].event_id
    assert await followed(job_store, task.job_id, after=middle) == events[3:]
    assert await followed(job_store, task.job_id, after=events[-1].event_id) == []
    with pytest.raises(BadJob):
        await followed(job_store, task.job_id, after="yesterday")


async def test_followers_of_a_resumed_job_are_not_stopped_by_its_first_end(
    job_store: JobStore, task_store: TaskStore, redis: Redis
) -> None:
    task = await begun(job_store, task_store, redis)
    await job_store.cancel(task.job_id)
    await job_store.resume(task.job_id)
    following = asyncio.create_task(followed(job_store, task.job_id))
    await until(lambda: _is_blocked(following))
    await job_store.cancel(task.job_id)
    states = [event.job.state for event in await following]
    assert states == ["queued", "planning", "running", "cancelled", "queued", "cancelled"]


async def _is_blocked(following: asyncio.Task[list[JobEvent]]) -> bool:
    await asyncio.sleep(0.05)
    return not following.done()


async def test_progress_is_told_at_most_twice_a_second_with_rate_and_eta(
    job_store: JobStore, task_store: TaskStore, redis: Redis
) -> None:
    task = await begun(job_store, task_store, redis)
    start, made = time.monotonic(), 0
    while True:
        made = min(8, made + 1)
        assert await task_store.report(task, made)
        job = await job_store.get(task.job_id)
        if job.rate is not None and time.monotonic() - start > 1.2:
            break
        assert time.monotonic() - start < 60
    took = time.monotonic() - start
    assert 0 < job.rate < 8 / 0.5 + 100
    assert job.eta_seconds == pytest.approx((30 - job.made) / job.rate)
    stream = await entries(redis, KEYS.generation(task.job_id, "events"))
    told = [fields for _, fields in stream if fields[b"kind"] == b"progress"]
    assert 1 <= len(told) <= 2 * took + 1


async def test_what_is_under_way_counts_as_made_until_its_worker_is_replaced(
    job_store: JobStore, task_store: TaskStore, redis: Redis
) -> None:
    await redis.sadd(KEYS.workers, "a", "b")
    task = await begun(job_store, task_store, redis)
    other = next(t for t in await tasks(redis) if t.step == "shard" and t.number == 1)
    await task_store.report(task, 4)
    await complete(task_store, other)
    await task_store.report(task, 2)  # begun again by another worker
    await complete(task_store, task)
    job = await job_store.get(task.job_id)
    await task_store.fail(task, "x", "ignored: it is published")
    assert job.kept == 16


async def test_ended_jobs_expire_after_the_retention_time(
    job_store: JobStore, task_store: TaskStore, redis: Redis, storage: StorageSettings
) -> None:
    task = await begun(job_store, task_store, redis)
    active, _ = await job_store.submit(spec_of())
    folder = job_folder(storage.data_root, task.job_id)
    folder.mkdir()
    await task_store.finish(task, composites=30, kept=30, dropped={}, unreadable=[])
    assert await job_store.expire_finished() == 0
    hasty = JobStore(redis, SETTINGS, storage.model_copy(update={"job_retention_seconds": 0.001}))
    await until(lambda: _expired(hasty))
    job = await job_store.get(task.job_id)
    assert (job.state, job.kept) == ("expired", 30)
    assert not folder.exists()
    assert not request_file(storage.data_root, task.job_id).exists()
    with pytest.raises(JobExpired):
        await job_store.resume(task.job_id)
    assert (await job_store.get(active.job_id)).state == "queued"
    assert await hasty.expire_finished() == 0
    assert await redis.ttl(KEYS.generation(task.job_id)) > 0
    assert [event.job.state for event in await followed(job_store, task.job_id)][-1] == "expired"


async def _expired(job_store: JobStore) -> bool:
    return await job_store.expire_finished() == 1
