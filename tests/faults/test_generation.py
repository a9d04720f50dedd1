"""What may happen to a generation job while it runs, with real processes on a real Redis.

Every test ends with the sha256 of every file that an undisturbed run makes.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import torch

from dgnet.jobs.connection import connect
from dgnet.jobs.errors import JobError
from dgnet.jobs.generation.job_store import JobStore
from dgnet.jobs.generation.jobs import GenerationJob
from dgnet.jobs.generation.spec import GenerationSpec
from dgnet.jobs.settings import QueueSettings
from dgnet.jobs.storage import StorageSettings, job_folder
from dgnet.model.checkpoints import Checkpoint
from dgnet.model.predictor import Predictor
from tests.faults.processes import bulk_process
from tests.generation.jobs import (
    PERSONS,
    contents,
    job_of,
    load,
    noted,
    run,
    save_tiny_checkpoint,
)
from tests.model.tiny import write_people
from tests.processes import STOP_SECONDS, service, wait_until_ready
from tests.redis_server import RedisServer, redis_server_binary
from tests.s3_server import BUCKET, S3Server
from tests.worker.bulk import ended, files_of, spec_of
from tests.worker.harness import flush, queue_settings, until

pytestmark = pytest.mark.skipif(
    redis_server_binary() is None, reason="no redis-server on PATH or beside the interpreter"
)

Networks = tuple[Checkpoint, Predictor]
SLOWLY = 0.1
"""Seconds a device call: a job takes some seconds."""
OTHER_BUCKET = "not-yet-there"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="module")
def expected(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What one undisturbed process makes of the job."""
    people = write_people(tmp_path_factory.mktemp("source") / "people", persons=PERSONS)
    folder = tmp_path_factory.mktemp("undisturbed") / "out"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the workers have: another number may round differently
    try:
        run(job_of(people, load(checkpoint)), folder)
    finally:
        torch.set_num_threads(threads)
    return contents(folder)


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    with RedisServer(append_only=True) as server:
        yield server


@pytest.fixture
def settings(redis_server: RedisServer) -> QueueSettings:
    return queue_settings(redis_url=redis_server.url)


@pytest.fixture
def storage(tmp_path: Path) -> StorageSettings:
    write_people(tmp_path / "data" / "people", persons=PERSONS)
    return StorageSettings(
        data_root=tmp_path / "data", job_destinations=f"s3://{BUCKET}, s3://{OTHER_BUCKET}"
    )


@pytest_asyncio.fixture
async def job_store(settings: QueueSettings, storage: StorageSettings) -> AsyncGenerator[JobStore]:
    assert settings.redis_url is not None
    redis = connect(settings.redis_url)
    yield JobStore(redis, settings, storage)
    await redis.aclose()


async def look(job_store: JobStore, job_id: str) -> GenerationJob | None:
    """None while Redis is away."""
    try:
        return await job_store.get(job_id)
    except JobError:
        return None


async def reach(
    job_store: JobStore, job_id: str, condition: Callable[[GenerationJob], bool]
) -> None:
    async def reached() -> bool:
        job = await look(job_store, job_id)
        return job is not None and condition(job)

    await until(reached)


async def test_a_killed_worker_is_replaced(
    job_store: JobStore, checkpoint: Path, settings: QueueSettings, storage: StorageSettings,
    expected: dict[str, str],
) -> None:  # fmt: skip
    with bulk_process(checkpoint, settings, storage, seconds_per_batch=SLOWLY) as first:
        job, _ = await job_store.submit(spec_of())
        await reach(job_store, job.job_id, lambda job: job.shards_done >= 1)
        first.kill()
        assert (await job_store.get(job.job_id)).state == "running"
        with bulk_process(checkpoint, settings, storage):
            assert (await ended(job_store, job.job_id)).state == "done"
    assert files_of(storage, job.job_id) == expected


async def test_a_worker_killed_while_it_assembles_is_replaced(
    job_store: JobStore, checkpoint: Path, settings: QueueSettings, storage: StorageSettings,
    expected: dict[str, str],
) -> None:  # fmt: skip
    with bulk_process(checkpoint, settings, storage) as first:
        job, _ = await job_store.submit(spec_of())
        await reach(job_store, job.job_id, lambda job: job.state == "assembling")
        first.kill()
        with bulk_process(checkpoint, settings, storage):
            assert (await ended(job_store, job.job_id)).state == "done"
    assert files_of(storage, job.job_id) == expected


async def test_a_terminated_worker_hands_its_shard_over_at_once_and_exits_0(
    job_store: JobStore, checkpoint: Path, settings: QueueSettings, storage: StorageSettings,
    expected: dict[str, str],
) -> None:  # fmt: skip
    patient = settings.model_copy(update={"lease_seconds": 600.0})
    with bulk_process(checkpoint, patient, storage, seconds_per_batch=SLOWLY) as first:
        job, _ = await job_store.submit(spec_of())
        await reach(job_store, job.job_id, lambda job: job.shards_done >= 1)
        assert await asyncio.to_thread(first.terminate) == 0
        assert (await job_store.get(job.job_id)).state == "running"
        with bulk_process(checkpoint, patient, storage):
            assert (await ended(job_store, job.job_id)).state == "done"
    assert files_of(storage, job.job_id) == expected


async def test_a_killed_redis_comes_back_with_the_job(
    job_store: JobStore, checkpoint: Path, settings: QueueSettings, storage: StorageSettings,
    redis_server: RedisServer, expected: dict[str, str],
) -> None:  # fmt: skip
    with bulk_process(checkpoint, settings, storage, seconds_per_batch=SLOWLY):
        job, _ = await job_store.submit(spec_of())
        await reach(job_store, job.job_id, lambda job: job.shards_done >= 1)
        redis_server.kill()
        redis_server.start()
        await reach(job_store, job.job_id, lambda job: job.state == "done")
    assert files_of(storage, job.job_id) == expected


async def test_an_emptied_redis_is_mended_by_resuming(
    job_store: JobStore, checkpoint: Path, settings: QueueSettings, storage: StorageSettings,
    expected: dict[str, str],
) -> None:  # fmt: skip
    assert settings.redis_url is not None
    redis = connect(settings.redis_url)
    with bulk_process(checkpoint, settings, storage, seconds_per_batch=SLOWLY):
        job, _ = await job_store.submit(spec_of())
        await reach(job_store, job.job_id, lambda job: job.shards_done >= 1)
        await flush(redis)
        assert await look(job_store, job.job_id) is None
        await job_store.resume(job.job_id)
        done = await ended(job_store, job.job_id)
        assert (done.state, done.kept, done.shards_done) == ("done", 30, 4)
    await redis.aclose()
    assert files_of(storage, job.job_id) == expected


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_full_disk_fails_the_job_until_there_is_room(
    redis_server: RedisServer, checkpoint: Path, settings: QueueSettings, small_disk: Path,
    expected: dict[str, str],
) -> None:  # fmt: skip
    storage = StorageSettings(data_root=small_disk)
    write_people(small_disk / "people", persons=PERSONS)
    redis = connect(redis_server.url)
    job_store = JobStore(redis, settings, storage)
    ballast = small_disk / "ballast"
    with bulk_process(checkpoint, settings, storage, seconds_per_batch=SLOWLY):
        job, _ = await job_store.submit(spec_of())
        await reach(job_store, job.job_id, lambda job: job.shards_done >= 1)
        fill(ballast)
        job = await ended(job_store, job.job_id)
        assert (job.state, job.error_code) == ("failed", "storage-full")
        shards = job_folder(small_disk, job.job_id) / "shards"
        await until(lambda: not list(shards.glob(".*")))  # nothing half done stays
        ballast.unlink()
        await job_store.resume(job.job_id)
        assert (await ended(job_store, job.job_id)).state == "done"
    await redis.aclose()
    assert files_of(storage, job.job_id) == expected


def fill(path: Path) -> None:
    """Leaves no byte on the file system."""
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            while True:
                try:
                    file.write(b"\0" * size)
                except OSError:
                    break


async def test_files_that_may_not_grow_fail_the_job_until_they_may(
    job_store: JobStore, checkpoint: Path, settings: QueueSettings, storage: StorageSettings,
    expected: dict[str, str],
) -> None:  # fmt: skip
    with bulk_process(checkpoint, settings, storage, largest_file_bytes=1024):
        job, _ = await job_store.submit(spec_of())
        job = await ended(job_store, job.job_id)
        assert (job.state, job.error_code) == ("failed", "storage-full")
    with bulk_process(checkpoint, settings, storage):
        await job_store.resume(job.job_id)
        assert (await ended(job_store, job.job_id)).state == "done"
    assert files_of(storage, job.job_id) == expected


async def test_a_source_that_vanishes_fails_the_job_until_it_is_back(
    job_store: JobStore, checkpoint: Path, settings: QueueSettings, storage: StorageSettings,
    expected: dict[str, str],
) -> None:  # fmt: skip
    source, aside = storage.data_root / "people", storage.data_root / "aside"
    source.rename(aside)
    with bulk_process(checkpoint, settings, storage):
        job, _ = await job_store.submit(spec_of())
        assert (await ended(job_store, job.job_id)).error_code == "bad-job"
        aside.rename(source)
        await job_store.resume(job.job_id)
        assert (await ended(job_store, job.job_id)).state == "done"
    assert files_of(storage, job.job_id) == expected


async def test_a_restarted_front_end_finds_the_job(
    job_store: JobStore, checkpoint: Path, settings: QueueSettings, storage: StorageSettings,
    expected: dict[str, str],
) -> None:  # fmt: skip
    assert settings.redis_url is not None
    queue = ["--redis-url", settings.redis_url]
    with bulk_process(checkpoint, settings, storage, seconds_per_batch=SLOWLY):
        with service(*queue, settings={"DGNET_DATA_ROOT": str(storage.data_root)}) as (front, url):
            await asyncio.to_thread(wait_until_ready, front, url)
            body = spec_of().to_json()
            answer = await asyncio.to_thread(httpx.post, f"{url}/v1/jobs", json=body, timeout=60)
            assert answer.status_code == 202, answer.text
            job_id = answer.headers["Location"].rpartition("/")[2]
            await reach(job_store, job_id, lambda job: job.shards_done >= 1)
            front.send_signal(signal.SIGKILL)
            front.wait(STOP_SECONDS)
        with service(*queue, settings={"DGNET_DATA_ROOT": str(storage.data_root)}) as (front, url):
            await asyncio.to_thread(wait_until_ready, front, url)
            give_up_at = time.monotonic() + 60
            while True:
                shown = await asyncio.to_thread(httpx.get, f"{url}/v1/jobs/{job_id}", timeout=60)
                assert shown.status_code == 200, shown.text
                if shown.json()["state"] == "done":
                    break
                assert time.monotonic() < give_up_at
                await asyncio.sleep(0.05)
    assert files_of(storage, job_id) == expected


def spec_to(bucket: str = BUCKET) -> GenerationSpec:
    return spec_of(output={"destination": f"s3://{bucket}/sets/one"})


def uploaded(s3: S3Server, bucket: str = BUCKET) -> dict[str, str]:
    """sha256 of every object by its name."""
    objects = s3.objects("sets/one/", bucket=bucket)
    return {name: sha256(data).hexdigest() for name, data in objects.items()}


async def test_a_job_of_several_workers_is_uploaded_as_one_machine_would_make_it(
    job_store: JobStore, checkpoint: Path, settings: QueueSettings, storage: StorageSettings,
    s3: S3Server, expected: dict[str, str],
) -> None:  # fmt: skip
    with (
        bulk_process(checkpoint, settings, storage),
        bulk_process(checkpoint, settings, storage),
    ):
        job, _ = await job_store.submit(spec_to())
        assert (await ended(job_store, job.job_id)).state == "done"
    assert uploaded(s3) == expected


async def test_a_worker_killed_while_it_uploads_is_replaced(
    job_store: JobStore, checkpoint: Path, settings: QueueSettings, storage: StorageSettings,
    s3: S3Server, expected: dict[str, str],
) -> None:  # fmt: skip
    s3.count_versions()
    most_puts = 24  # of 37 files
    with bulk_process(checkpoint, settings, storage, most_puts=most_puts) as first:
        job, _ = await job_store.submit(spec_to())
        folder = job_folder(storage.data_root, job.job_id)
        await until(lambda: len(s3.names("sets/one/")) == most_puts and bool(noted(folder)))
        first.kill()
    before = noted(folder)
    assert (await job_store.get(job.job_id)).state == "assembling"
    assert "manifest.jsonl" not in s3.names("sets/one/")
    with bulk_process(checkpoint, settings, storage):
        done = await ended(job_store, job.job_id)
    assert (done.state, done.kept, done.error_message) == ("done", 30, None)
    assert uploaded(s3) == expected
    writes = s3.versions("sets/one/")
    assert writes.pop("job.json") == 2  # it takes the place, and is uploaded
    assert {writes[name] for name in before if name != "job.json"} == {1}


async def test_a_bucket_that_is_missing_fails_the_job_until_it_is_there(
    job_store: JobStore, checkpoint: Path, settings: QueueSettings, storage: StorageSettings,
    s3: S3Server, expected: dict[str, str],
) -> None:  # fmt: skip
    with bulk_process(checkpoint, settings, storage):
        job, _ = await job_store.submit(spec_to(OTHER_BUCKET))
        job = await ended(job_store, job.job_id)
        assert (job.state, job.error_code, job.made) == ("failed", "delivery-failed", 0)
        assert "there is no such bucket" in (job.error_message or "")
        s3.client.create_bucket(Bucket=OTHER_BUCKET)
        await job_store.resume(job.job_id)
        assert (await ended(job_store, job.job_id)).state == "done"
    assert uploaded(s3, OTHER_BUCKET) == expected


async def test_a_store_that_shuts_while_the_set_is_made_is_uploaded_to_when_it_opens(
    job_store: JobStore, checkpoint: Path, settings: QueueSettings, storage: StorageSettings,
    s3: S3Server, expected: dict[str, str],
) -> None:  # fmt: skip
    with bulk_process(checkpoint, settings, storage, seconds_per_batch=SLOWLY):
        job, _ = await job_store.submit(spec_to())
        await reach(job_store, job.job_id, lambda job: job.shards_done >= 1)
        s3.let_nobody_in()
        job = await ended(job_store, job.job_id)
        assert (job.state, job.error_code, job.kept) == ("failed", "delivery-failed", 30)
        assert "not permitted; check the credentials" in (job.error_message or "")
        s3.let_everybody_in()
        await job_store.resume(job.job_id)
        assert (await ended(job_store, job.job_id)).state == "done"
    assert uploaded(s3) == expected
