"""Bulk work that surprises a worker never holds its lane: `tests.worker.test_surprises` for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

import dgnet.worker.attempts
import dgnet.worker.handlers
import dgnet.worker.runner
import dgnet.worker.task_store
from dgnet.jobs.client import JobClient
from dgnet.jobs.codec import encode_worker
from dgnet.jobs.connection import connect
from dgnet.jobs.contract import DatasetCheckJob, DatasetCheckResult
from dgnet.jobs.errors import JobError, JobFailed, PoisonJob
from dgnet.jobs.generation.job_store import JobStore
from dgnet.jobs.generation.jobs import FINAL_STATES, GenerationJob
from dgnet.jobs.keys import GROUP, Keys
from dgnet.jobs.storage import StorageSettings
from dgnet.release import RELEASE
from dgnet.worker import runner
from tests.generation.jobs import PERSONS
from tests.model.tiny import write_people
from tests.redis_server import RedisServer
from tests.worker.awaits import Faults, Place, install, own_faults, places_of
from tests.worker.bulk import Networks, bulk_worker, spec_of, state_of
from tests.worker.harness import entries, queue_settings, ready_workers, until

LEASE_SECONDS = 3.0  # a step of a job takes seconds on a busy machine
SETTINGS = queue_settings(lease_seconds=LEASE_SECONDS, max_deliveries=2)
KEYS = Keys(SETTINGS.key_prefix)
MODULES = [
    dgnet.worker.attempts, dgnet.worker.handlers, dgnet.worker.runner, dgnet.worker.task_store,
]  # fmt: skip
FUNCTIONS = ("GenerationRunner.", "TaskStore.", "Attempts._work_on_task", "JobHandler.handle")

# Not passed by a job that goes well, with the reason.
ELSEWHERE = {
    "JobHandler.handle:self._swap": "in tests.worker.test_surprises",
    "JobHandler.handle:self._embed": "in tests.worker.test_surprises",
    "JobHandler.handle:self._grid": "in tests.worker.test_surprises",
    "Attempts._work_on_task:self._give_up": "in tests.worker.test_surprises",
    "GenerationRunner.run:self._leave_to": "a job of other networks, in test_tasks",
    "GenerationRunner.run:self._task_store.workers": "a newer record, below",
    "GenerationRunner.run:self._task_store.was_deleted": "a job that is deleted, below",
    "GenerationRunner.run:self._fail": "a step that fails, in test_tasks",
    "GenerationRunner.run:self._close": "a job that is canceled or deleted, below",
    "GenerationRunner.run:asyncio.to_thread": "a job that is deleted, below",
    "GenerationRunner.give_up": "a job that is given up, below",
    "GenerationRunner.maintain": "every half second at most, in test_bounds",
    "GenerationRunner._begin:self._finish": "a set that is complete already, in test_tasks",
    "GenerationRunner._advance:self._finish(task, found)": "as above",
    "GenerationRunner._advance:self._task_store.open_window": "jobs topped up, in test_tasks",
    "GenerationRunner._watch:self._task_store.report": "a shard of half a second",
    "GenerationRunner._leave_to": "a job of other networks, in test_tasks",
    "GenerationRunner._fail": "a step that fails, in test_tasks",
    "TaskStore.report": "a shard of half a second",
    "TaskStore.fail": "a step that fails, in test_tasks",
    "TaskStore.was_deleted": "a job that is deleted, below",
    "TaskStore.workers": "a job of other networks, in test_tasks",
}


class Surprise(Exception):
    """What nobody foresaw."""


def cases() -> list[Any]:
    return [
        pytest.param(place, id=str(place))
        for module in MODULES
        for place in places_of(module)
        if place.function.startswith(FUNCTIONS)
        and not any(f"{place.function}:{place.text}".startswith(name) for name in ELSEWHERE)
    ]


@pytest.fixture(scope="module", autouse=True)
def instrumented() -> Iterator[None]:
    restore = install(MODULES)
    yield
    restore()


@pytest.fixture
def storage(tmp_path: Path) -> StorageSettings:
    write_people(tmp_path / "data" / "people", persons=PERSONS)
    return StorageSettings(data_root=tmp_path / "data")


class Site:
    """What a test of bulk work asks."""

    def __init__(self, redis: Redis, client: JobClient, job_store: JobStore) -> None:
        self.redis, self.client, self.job_store = redis, client, job_store

    async def check(self, folder: str = "people", *, within: float = 30) -> DatasetCheckResult:
        """The check of a data set by a worker."""
        job_id = await self.client.submit(DatasetCheckJob(folder=folder), lane="bulk")
        result = await self.client.wait(job_id, timeout_seconds=within)
        assert isinstance(result, DatasetCheckResult)
        return result

    async def next_is_served_within_two_leases(self) -> None:
        begun = time.monotonic()
        await self.check(within=2 * LEASE_SECONDS)
        assert time.monotonic() - begun < 2 * LEASE_SECONDS

    async def at_an_end(self, job_id: str) -> GenerationJob:
        await until(lambda: state_of(self.job_store, job_id, *FINAL_STATES))
        return await self.job_store.get(job_id)

    async def nothing_is_left(self) -> bool:
        if await self.client.depth("bulk"):
            return False
        return not (await self.redis.xpending(KEYS.lane("bulk"), GROUP))["pending"]


@asynccontextmanager
async def site_of(server: RedisServer, storage: StorageSettings) -> AsyncGenerator[Site]:
    redis = connect(server.url)
    async with JobClient.from_url(server.url, SETTINGS) as client:
        yield Site(redis, client, JobStore(redis, SETTINGS, storage))
    await redis.aclose()


@asynccontextmanager
async def worker_of(
    server: RedisServer, storage: StorageSettings, networks: Networks, site: Site
) -> AsyncGenerator[None]:
    redis = connect(server.url)
    async with bulk_worker(redis, networks, SETTINGS, storage):
        await until(lambda: _ready(site.client))
        yield
    await redis.aclose()


@pytest.mark.parametrize("place", cases())
async def test_after_a_fault_at_any_await_the_next_job_is_served_within_two_leases(
    server: RedisServer, storage: StorageSettings, networks: Networks, place: Place
) -> None:
    with own_faults() as faults:
        await _served_after(server, storage, networks, place, faults)


async def _served_after(
    server: RedisServer, storage: StorageSettings, networks: Networks, place: Place, faults: Faults
) -> None:
    async with site_of(server, storage) as site:
        job, _ = await site.job_store.submit(spec_of(count=8))
        faults.arm(place, lambda: Surprise("nobody foresaw this"), times=1, before=True)
        async with worker_of(server, storage, networks, site):
            checking = asyncio.create_task(site.check())
            await until(lambda: faults.fired == 1)
            await site.next_is_served_within_two_leases()
            with contextlib.suppress(JobFailed, PoisonJob):
                await checking
            job = await site.at_an_end(job.job_id)
            assert job.state == "done" or "nobody foresaw this" not in str(job.error_message)
            await until(site.nothing_is_left)


async def test_a_name_that_is_no_utf_8_is_reported(
    server: RedisServer, storage: StorageSettings, networks: Networks
) -> None:
    strange = write_people(storage.data_root / "strange", persons=PERSONS)
    shutil.copy(
        next(strange.iterdir()),
        os.fsdecode(os.fsencode(strange) + b"/0001_c1s1_00\xff\xfe_00.jpg"),
    )
    async with site_of(server, storage) as site, worker_of(server, storage, networks, site):
        try:
            said = json.dumps((await site.check("strange")).report)
        except JobError as error:
            said = json.dumps(str(error))
        assert r"00\\xff\\xfe_00" in said
        await site.next_is_served_within_two_leases()


async def test_a_record_of_a_newer_release_is_left_and_then_given_up(
    server: RedisServer, storage: StorageSettings, networks: Networks,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    async with site_of(server, storage) as site:
        job, _ = await site.job_store.submit(spec_of(count=8))
        await _change_spec(site.redis, job.job_id, {"style": "baroque"})
        async with worker_of(server, storage, networks, site):
            await until(lambda: "surprised this worker" in caplog.text)
            await site.next_is_served_within_two_leases()
            job = await site.at_an_end(job.job_id)
            assert (job.state, job.error_code) == ("failed", "poison-job")
            assert "style: there is no such field" in (job.error_message or "")
            assert "bring the workers up to date" in (job.error_message or "")
            await until(site.nothing_is_left)
            letters = await entries(site.redis, KEYS.dead_letters)
            assert [fields[b"reason"] for _, fields in letters] == [b"surprise"]


async def test_a_record_of_a_newer_release_is_left_to_a_newer_worker_for_as_long_as_it_takes(
    server: RedisServer, storage: StorageSettings, networks: Networks,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level("INFO")
    async with site_of(server, storage) as site:
        job, _ = await site.job_store.submit(spec_of(count=8))
        spec = await site.redis.hget(KEYS.generation(job.job_id), "spec")  # pyright: ignore[reportGeneralTypeIssues]
        await _change_spec(site.redis, job.job_id, {"style": "baroque"})
        async with worker_of(server, storage, networks, site):
            [old] = await site.client.workers()
            assert old.release == RELEASE
            newer = replace(old, worker_id="newer", release="9.0.0")
            await site.redis.set(KEYS.worker("newer"), encode_worker(newer))
            await site.redis.sadd(KEYS.workers, "newer")
            await until(lambda: caplog.text.count("a worker of a newer release is there") > 4)
            await site.next_is_served_within_two_leases()
            assert (await site.job_store.get(job.job_id)).state == "queued"
            # As the newer worker would read it:
            await site.redis.hset(KEYS.generation(job.job_id), "spec", spec)  # pyright: ignore
            assert (await site.at_an_end(job.job_id)).state == "done"


@pytest.mark.parametrize(
    ("field", "value"),
    [("spec", "no json"), ("spec", "[]"), ("spec", b"\xff"), ("window_start", "x")],
)
async def test_a_damaged_record_fails_its_job_and_hides_no_other(
    server: RedisServer, storage: StorageSettings, networks: Networks, field: str, value: Any
) -> None:
    async with site_of(server, storage) as site:
        job, _ = await site.job_store.submit(spec_of(count=8))
        other, _ = await site.job_store.submit(spec_of(count=8))
        await site.redis.hset(KEYS.generation(job.job_id), field, value)  # pyright: ignore
        async with worker_of(server, storage, networks, site):
            await site.next_is_served_within_two_leases()
            job = await site.at_an_end(job.job_id)
            assert (job.state, job.error_code) == ("failed", "poison-job")
            assert "the job's record is damaged" in (job.error_message or "")
            assert (await site.at_an_end(other.job_id)).state == "done"
        assert {seen.job_id for seen in await site.job_store.list()} == {job.job_id, other.job_id}


async def test_a_record_of_the_wrong_type_holds_nothing(
    server: RedisServer, storage: StorageSettings, networks: Networks
) -> None:
    async with site_of(server, storage) as site:
        job, _ = await site.job_store.submit(spec_of(count=8))
        other, _ = await site.job_store.submit(spec_of(count=8))
        await site.redis.set(KEYS.generation(job.job_id), "no hash")
        async with worker_of(server, storage, networks, site):
            await site.next_is_served_within_two_leases()
            assert (await site.at_an_end(other.job_id)).state == "done"
            await until(site.nothing_is_left)
        with pytest.raises(JobFailed, match="is damaged"):
            await site.job_store.get(job.job_id)
        assert [seen.job_id for seen in await site.job_store.list()] == [other.job_id]


async def test_storage_that_cannot_be_freed_holds_nothing(
    server: RedisServer, storage: StorageSettings, networks: Networks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    freed: list[str] = []

    def refuse(storage: StorageSettings, job_id: str) -> None:
        freed.append(job_id)
        raise PermissionError(1, "not on this file system")

    async with site_of(server, storage) as site:
        job, _ = await site.job_store.submit(spec_of(count=8))
        await site.job_store.delete(job.job_id)
        monkeypatch.setattr(runner, "free_storage", refuse)
        async with worker_of(server, storage, networks, site):
            await until(lambda: len(freed) == 2)  # both deliveries
            await site.next_is_served_within_two_leases()
            await until(site.nothing_is_left)


async def _change_spec(redis: Redis, job_id: str, more: dict[str, Any]) -> None:
    record: Any = await redis.hget(KEYS.generation(job_id), "spec")  # pyright: ignore[reportGeneralTypeIssues]
    await redis.hset(KEYS.generation(job_id), "spec", json.dumps({**json.loads(record), **more}))  # pyright: ignore


async def _ready(client: JobClient) -> bool:
    return await ready_workers(client) >= 1
