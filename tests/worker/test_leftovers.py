"""What was to go and did not: the sweep removes it, and never what a job is resumed from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from dgnet.jobs.connection import connect as connect_to_url
from dgnet.jobs.errors import (
    JobDeleted,
    QueueUnavailable,
    StorageFailed,
    StorageFull,
    UnknownJob,
)
from dgnet.jobs.generation.job_store import JobStore
from dgnet.jobs.keys import Keys
from dgnet.jobs.storage import (
    StorageSettings,
    job_folder,
    request_file,
    unsettled_request_file,
)
from tests.redis_server import RedisServer
from tests.volumes import Volume, volume
from tests.worker.bulk import spec_of
from tests.worker.harness import Connect, flush, queue_settings

SETTINGS = queue_settings()
KEYS = Keys(SETTINGS.key_prefix)
LONG_AGO = 1_000_000_000
NOBODYS = "gen_" + "x" * 22


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
def small_volume(tmp_path: Path) -> Iterator[Volume]:
    with volume(tmp_path / "volume") as made:
        (made.folder / "people").mkdir()
        yield made


def write_shards(storage: StorageSettings, job_id: str) -> Path:
    """A file that a worker made."""
    picture = job_folder(storage.data_root, job_id) / "shards" / "000000" / "picture.jpg"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"somebody")
    return picture


def files(storage: StorageSettings) -> list[str]:
    """All that lies with the jobs, hidden or not."""
    return sorted(path.name for path in (storage.data_root / "jobs").iterdir())


def unsettle(storage: StorageSettings, job_id: str) -> Path:
    """As if its submission had not been answered, long ago."""
    path = unsettled_request_file(storage.data_root, job_id)
    request_file(storage.data_root, job_id).rename(path)
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


async def test_folders_half_deleted_go_also_while_redis_knows_nothing(
    job_store: JobStore, redis: Redis, storage: StorageSettings
) -> None:
    job, _ = await job_store.submit(spec_of())
    write_shards(storage, job.job_id)
    aside = storage.data_root / "jobs" / f".{job.job_id}.0123abcd.deleted"
    job_folder(storage.data_root, job.job_id).rename(aside)  # and the process was killed
    half = storage.data_root / "jobs" / f".{NOBODYS}.json.0123abcd.part"
    half.write_text("{")
    os.utime(half, (LONG_AGO, LONG_AGO))
    await flush(redis)
    await job_store.sweep()
    assert files(storage) == [f"{job.job_id}.json"]


async def test_files_of_deleted_jobs_go(
    job_store: JobStore, redis: Redis, storage: StorageSettings
) -> None:
    """A worker wrote again, or the front end was killed after it had told Redis."""
    job, _ = await job_store.submit(spec_of())
    kept, _ = await job_store.submit(spec_of(seed=1))
    await job_store.delete(job.job_id)
    write_shards(storage, job.job_id)
    request_file(storage.data_root, job.job_id).write_text("{}")
    picture = write_shards(storage, kept.job_id)
    await job_store.sweep()
    assert files(storage) == sorted([kept.job_id, f"{kept.job_id}.json"])
    assert picture.read_bytes() == b"somebody"


async def test_a_redis_that_lost_everything_deletes_nothing(
    job_store: JobStore, redis: Redis, storage: StorageSettings
) -> None:
    first, _ = await job_store.submit(spec_of())
    second, _ = await job_store.submit(spec_of(seed=1))
    pictures = [write_shards(storage, job.job_id) for job in (first, second)]
    orphan = write_shards(storage, NOBODYS)  # of no request: what it is nobody knows
    unsettle(storage, second.job_id)  # its front end was killed before it was answered
    await flush(redis)
    for _ in range(2):
        await job_store.sweep()
    assert all(picture.exists() for picture in [*pictures, orphan])
    assert request_file(storage.data_root, second.job_id).exists()
    for job in (first, second):
        assert (await job_store.resume(job.job_id)).spec == job.spec


async def test_requests_that_were_taken_though_nobody_was_told_stay(
    job_store: JobStore, redis: Redis, storage: StorageSettings
) -> None:
    job, _ = await job_store.submit(spec_of())
    unsettle(storage, job.job_id)
    await job_store.sweep()
    assert files(storage) == [f"{job.job_id}.json"]
    assert await job_store.get(job.job_id) == job


async def test_requests_that_were_never_taken_go_and_are_not_taken_later(
    job_store: JobStore, redis: Redis, storage: StorageSettings
) -> None:
    job, _ = await job_store.submit(spec_of())
    path = unsettle(storage, job.job_id)
    await flush(redis)  # as if it had not arrived
    os.utime(path)
    await job_store.sweep()
    assert path.exists()  # its submission may still be under way
    os.utime(path, (LONG_AGO, LONG_AGO))
    await job_store.sweep()
    assert files(storage) == []
    assert 0 < await redis.ttl(KEYS.generation(job.job_id)) <= 60
    with pytest.raises(UnknownJob):  # the command that was on its way arrives now
        await job_store._enter(job.job_id, "{}", "", None, "", "")  # pyright: ignore[reportPrivateUsage]
    assert await job_store.list() == []


async def test_submissions_while_redis_is_away_leave_nothing_for_good(
    durable_server: RedisServer, storage: StorageSettings
) -> None:
    redis = connect_to_url(durable_server.url)
    job_store = JobStore(redis, SETTINGS, storage)
    kept, _ = await job_store.submit(spec_of())
    durable_server.kill()
    for _ in range(3):
        with pytest.raises(QueueUnavailable):
            await job_store.submit(spec_of())
    assert not [name for name in files(storage) if not name.startswith((".", kept.job_id))]
    with pytest.raises(QueueUnavailable):
        await job_store.sweep()
    durable_server.start()
    for path in (storage.data_root / "jobs").glob(".*"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    await job_store.sweep()
    assert files(storage) == [f"{kept.job_id}.json"]
    assert [job.job_id for job in await job_store.list()] == [kept.job_id]
    await redis.aclose()


async def test_deleting_on_a_volume_that_is_read_only_is_made_up_for(
    redis: Redis, small_volume: Volume
) -> None:
    storage = StorageSettings(data_root=small_volume.folder)
    job_store = JobStore(redis, SETTINGS, storage)
    job, _ = await job_store.submit(spec_of())
    write_shards(storage, job.job_id)
    small_volume.lock()
    with pytest.raises(StorageFailed, match="cannot be used now"):
        await job_store.delete(job.job_id)
    with pytest.raises(UnknownJob):
        await job_store.get(job.job_id)
    tombstone = KEYS.generation(job.job_id)
    await redis.expire(tombstone, 100)  # a day later
    await job_store.sweep()
    assert await redis.ttl(tombstone) > 100  # it is not forgotten before the files are gone
    small_volume.unlock()
    await job_store.sweep()
    assert files(storage) == []


async def test_a_full_or_locked_volume_is_told_as_one(redis: Redis, small_volume: Volume) -> None:
    job_store = JobStore(redis, SETTINGS, StorageSettings(data_root=small_volume.folder))
    small_volume.lock()
    with pytest.raises(StorageFailed):
        await job_store.submit(spec_of())
    small_volume.unlock()
    if small_volume.is_mounted:
        ballast = small_volume.fill()
        with pytest.raises(StorageFull):
            await job_store.submit(spec_of())
        ballast.unlink()
    await job_store.submit(spec_of())


async def test_a_key_whose_job_was_deleted_says_so(
    job_store: JobStore, storage: StorageSettings
) -> None:
    job, _ = await job_store.submit(spec_of(), idempotency_key="key")
    await job_store.delete(job.job_id)
    for _ in range(2):
        with pytest.raises(JobDeleted, match=f"stands for {job.job_id}, which was deleted"):
            await job_store.submit(spec_of(), idempotency_key="key")
    assert files(storage) == []
    _, is_new = await job_store.submit(spec_of(), idempotency_key="other")
    assert is_new


@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_no_job_is_lost_between_pages(job_store: JobStore, redis: Redis, limit: int) -> None:
    """All were submitted in two milliseconds; one of each page is gone when the next is asked."""
    jobs = [(await job_store.submit(spec_of(seed=number)))[0].job_id for number in range(12)]
    for number, job_id in enumerate(jobs):
        created = "1700000000.123" if number % 2 else "1700000000.124"
        await redis.hset(KEYS.generation(job_id), "created", created)
        await redis.zadd(KEYS.generations, {job_id: float(created)})
    ran_out = jobs.pop(5)
    await redis.delete(KEYS.generation(ran_out))
    seen: list[str] = []
    before, before_id = None, ""
    while True:
        page = await job_store.list(limit=limit, before=before, before_id=before_id)
        seen += [job.job_id for job in page]
        if len(page) < limit:
            break
        before, before_id = page[-1].created, page[-1].job_id
        await redis.zrem(KEYS.generations, before_id)  # the last one seen is deleted
    assert len(seen) == len(set(seen)) == 11
    assert set(seen) == set(jobs)
