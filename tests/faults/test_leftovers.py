"""Workers that stand still, front ends killed while they delete, volumes full and read-only: real
processes on a real Redis and a real file system.
"""

from __future__ import annotations

import asyncio
import io
import os
import signal
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dgnet.jobs.connection import connect
from dgnet.jobs.errors import UnknownJob
from dgnet.jobs.generation.job_store import JobStore
from dgnet.jobs.keys import Keys
from dgnet.jobs.settings import QueueSettings
from dgnet.jobs.storage import StorageSettings, job_folder
from tests.faults.processes import BulkProcess, bulk_process
from tests.faults.test_generation import (
    SLOWLY,
    checkpoint,
    expected,
    job_store,
    reach,
    redis_server,
    settings,
    storage,
)
from tests.generation.jobs import PERSONS, contents
from tests.model.tiny import write_people
from tests.processes import STOP_SECONDS, service, wait_until_ready
from tests.redis_server import RedisServer, redis_server_binary
from tests.volumes import Volume, volume
from tests.worker.bulk import ended, files_of, spec_of
from tests.worker.harness import until

__all__ = ["checkpoint", "expected", "job_store", "redis_server", "settings", "storage"]

pytestmark = pytest.mark.skipif(
    redis_server_binary() is None, reason="no redis-server on PATH or beside the interpreter"
)

PROBLEM = "urn:dgnet:problem:"


def stopped(process: BulkProcess) -> bool:
    """Whether SIGSTOP has arrived."""
    status = Path(f"/proc/{process.process.pid}/stat").read_text()
    return status.rpartition(")")[2].split()[0] == "T"


async def lane_is_empty(redis_url: str, settings: QueueSettings) -> bool:
    redis = connect(redis_url)
    try:
        return await redis.xlen(Keys(settings.key_prefix).lane("bulk")) == 0
    finally:
        await redis.aclose()


@pytest.mark.parametrize("moment", [0.0, 0.25, 0.5])
async def test_a_worker_that_stood_still_writes_nothing_into_the_finished_set(
    job_store: JobStore, checkpoint: Path, settings: QueueSettings, storage: StorageSettings,
    redis_server: RedisServer, expected: dict[str, str], moment: float,
) -> None:  # fmt: skip
    """It is stopped in the middle of a shard for longer than its lease, and goes on at the end."""
    hasty = settings.model_copy(update={"lease_seconds": 1.0})
    with bulk_process(checkpoint, hasty, storage, seconds_per_batch=SLOWLY) as sleeper:
        job, _ = await job_store.submit(spec_of())
        await reach(job_store, job.job_id, lambda job: job.shards_done >= 1)
        await asyncio.sleep(moment)
        sleeper.process.send_signal(signal.SIGSTOP)
        await until(lambda: stopped(sleeper))
        with bulk_process(checkpoint, hasty, storage):
            assert (await ended(job_store, job.job_id)).state == "done"
        folder = job_folder(storage.data_root, job.job_id)
        before = folder.stat().st_mtime_ns
        sleeper.process.send_signal(signal.SIGCONT)
        other, _ = await job_store.submit(spec_of(seed=1))  # it has got over the old one by then
        assert (await ended(job_store, other.job_id)).state == "done"
        await until(lambda: lane_is_empty(redis_server.url, settings))
        assert folder.stat().st_mtime_ns == before
        assert sleeper.process.poll() is None
    assert files_of(storage, job.job_id) == expected
    assert not (folder / "shards").exists()


async def test_tasks_that_come_again_after_the_end_write_nothing(
    job_store: JobStore, checkpoint: Path, settings: QueueSettings, storage: StorageSettings,
    redis_server: RedisServer, expected: dict[str, str],
) -> None:  # fmt: skip
    """Every task that the job ever had is delivered again."""
    redis, lane = connect(redis_server.url), Keys(settings.key_prefix).lane("bulk")
    with bulk_process(checkpoint, settings, storage):
        job, _ = await job_store.submit(spec_of())
        epoch = await redis.hget(Keys(settings.key_prefix).generation(job.job_id), "epoch")
        assert isinstance(epoch, bytes)
        assert (await ended(job_store, job.job_id)).state == "done"
        steps = [b"begin 0", *(b"shard %d" % number for number in range(4)), b"advance 4"]
        for step in steps:
            await redis.xadd(
                lane,
                {"job": job.job_id, "kind": "generation", "reply": "", "data": epoch + b" " + step},
            )
        await until(lambda: lane_is_empty(redis_server.url, settings))
        assert (await job_store.get(job.job_id)).state == "done"
    await redis.aclose()
    assert files_of(storage, job.job_id) == expected
    assert not (job_folder(storage.data_root, job.job_id) / "shards").exists()


async def test_a_source_that_broke_before_the_contact_sheet_fails_no_job(
    job_store: JobStore, checkpoint: Path, settings: QueueSettings, storage: StorageSettings,
    expected: dict[str, str],
) -> None:  # fmt: skip
    with bulk_process(checkpoint, settings, storage, seconds_per_batch=SLOWLY):
        job, _ = await job_store.submit(spec_of())
        await reach(job_store, job.job_id, lambda job: job.shards_done >= 3)
        for path in (storage.data_root / "people").iterdir():
            path.write_bytes(b"no picture")
        job = await ended(job_store, job.job_id)
    assert (job.state, job.error_message) == ("done", None)
    assert job.unreadable > 0
    assert job.kept + sum(job.dropped.values()) == 30
    made = files_of(storage, job.job_id)
    assert "sheet.png" not in made
    pictures = {name for name in made if name.startswith("bounding_box_train/")}
    assert all(made[name] == expected[name] for name in pictures)
    assert len(pictures) >= 24


async def test_a_front_end_killed_while_it_deletes_leaves_nothing_for_good(
    job_store: JobStore, settings: QueueSettings, storage: StorageSettings
) -> None:
    assert settings.redis_url is not None
    arguments = ("--redis-url", settings.redis_url)
    root = {"DGNET_DATA_ROOT": str(storage.data_root)}
    job, _ = await job_store.submit(spec_of())
    kept, _ = await job_store.submit(spec_of())
    for one in (job, kept):
        folder = job_folder(storage.data_root, one.job_id) / "bounding_box_train"
        folder.mkdir(parents=True)
        for number in range(20_000 if one is job else 10):
            (folder / f"{number}.jpg").touch()
    jobs = storage.data_root / "jobs"
    with service(*arguments, settings=root) as (front, url):

        def delete() -> None:
            with pytest.raises(httpx.HTTPError):
                httpx.delete(f"{url}/v1/jobs/{job.job_id}", timeout=60)

        deleting = asyncio.create_task(asyncio.to_thread(delete))
        await until(lambda: bool(list(jobs.glob(".*.deleted"))))
        front.send_signal(signal.SIGKILL)
        front.wait(STOP_SECONDS)
        await deleting
    assert list(jobs.glob(".*.deleted"))
    with service(*arguments, settings=root):
        await until(lambda: len(list(jobs.iterdir())) == 2)
    assert {path.name for path in jobs.iterdir()} == {kept.job_id, f"{kept.job_id}.json"}
    assert len(contents(jobs / kept.job_id)) == 10


@pytest.fixture
def small_volume(tmp_path: Path) -> Iterator[Volume]:
    with volume(tmp_path / "volume") as made:
        yield made


def archive() -> bytes:
    """A tar of one picture."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("0001_c1s1_000001_00.jpg")
        member.size = 100_000
        tar.addfile(member, io.BytesIO(os.urandom(member.size)))
    return packed.getvalue()


async def test_every_route_tells_a_volume_that_is_full_or_read_only(
    checkpoint: Path, settings: QueueSettings, small_volume: Volume, redis_server: RedisServer
) -> None:
    root = small_volume.folder
    write_people(root / "people", persons=PERSONS)
    storage = StorageSettings(data_root=root)
    data_root = {"DGNET_DATA_ROOT": str(root), "DGNET_MIN_FREE_BYTES": "0"}
    redis = connect(redis_server.url)
    job_store = JobStore(redis, settings, storage)
    spec = spec_of(output={"shard_size": 8}).to_json()
    with (
        bulk_process(checkpoint, settings, storage),
        service("--redis-url", redis_server.url, settings=data_root) as (front, url),
    ):
        await asyncio.to_thread(wait_until_ready, front, url)
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:

            async def all_that_write() -> list[httpx.Response]:
                tar = {"Content-Type": "application/x-tar"}
                return [
                    await http.post("/v1/jobs", json=spec),
                    await http.post("/v1/datasets", json={"folder": "people"}),
                    await http.post("/v1/datasets", content=archive(), headers=tar),
                ]

            registered = await http.post("/v1/datasets", json={"folder": "people"})
            assert registered.status_code == 201, registered.text
            made = (await http.post("/v1/jobs", json=spec)).json()["id"]
            assert (await ended(job_store, made)).state == "done"
            small_volume.lock()
            dataset = f"/v1/datasets/{registered.json()['id']}"
            answers = await all_that_write()
            answers += [await http.delete(dataset), await http.delete(f"/v1/jobs/{made}")]
            for answer in answers:
                assert answer.status_code == 503, answer.text
                assert answer.json()["type"] == f"{PROBLEM}storage-failed"
                assert str(root) not in answer.text
                assert int(answer.headers["retry-after"]) >= 1
            with pytest.raises(UnknownJob):
                await job_store.get(made)
            assert (await http.get(dataset)).status_code == 200
            small_volume.unlock()
            assert (await http.delete(f"/v1/jobs/{made}")).status_code == 204
            assert not list((root / "jobs").iterdir())
            if small_volume.is_mounted:
                ballast = small_volume.fill()
                for answer in await all_that_write():
                    assert answer.status_code == 507, answer.text
                    assert answer.json()["type"] == f"{PROBLEM}storage-full"
                assert (await http.delete(dataset)).status_code == 204
                ballast.unlink()
            assert (await http.post("/v1/jobs", json=spec)).status_code == 202
    await redis.aclose()
