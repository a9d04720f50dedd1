"""Generation jobs over the queue, on tiny networks: any number of workers, the same files.

What ends processes is in tests/faults; here workers share one process.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from redis.asyncio import Redis

from dgnet.generation.making.kept_codes import KeptCodes
from dgnet.generation.upload.store import Store
from dgnet.jobs.contract import DatasetCheckJob, DatasetCheckResult, SwapJob
from dgnet.jobs.embedded import embedded_redis
from dgnet.jobs.errors import BadJob
from dgnet.jobs.generation.job_store import JobStore
from dgnet.jobs.keys import Keys
from dgnet.jobs.storage import StorageSettings, job_folder
from dgnet.model.checkpoints import Checkpoint
from dgnet.model.predictor import Predictor
from dgnet.worker import bulk_turns, runner
from dgnet.worker.bulk_turns import BulkTurns
from tests.generation.jobs import PERSONS, contents, job_of, run
from tests.model.tiny import write_people
from tests.worker.bulk import (
    Networks,
    bulk_worker,
    ended,
    files_of,
    spec_of,
    state_of,
)
from tests.worker.harness import Connect, entries, queue_settings, running_client, until

SETTINGS = queue_settings()


@pytest.fixture
def storage(tmp_path: Path) -> StorageSettings:
    """With five persons in `people`."""
    write_people(tmp_path / "data" / "people", persons=PERSONS)
    return StorageSettings(data_root=tmp_path / "data")


@pytest.fixture
def redis() -> Redis:
    return embedded_redis()


@pytest.fixture
def job_store(redis: Redis, storage: StorageSettings) -> JobStore:
    return JobStore(redis, SETTINGS, storage)


@pytest.fixture(scope="module")
def made_before() -> dict[str, dict[str, str]]:
    """What `undisturbed` made, by spec: the people are the same in every test."""
    return {}


@pytest.fixture
def undisturbed(
    storage: StorageSettings, networks: Networks, tmp_path: Path,
    made_before: dict[str, dict[str, str]],
) -> Callable[..., dict[str, str]]:  # fmt: skip
    """What `dgnet generate` makes of the same spec on one machine."""

    def made(**changes: Any) -> dict[str, str]:
        key = json.dumps(changes, sort_keys=True)
        if key not in made_before:
            folder = tmp_path / "undisturbed"
            run(job_of(storage.data_root / "people", networks, **changes), folder)
            made_before[key] = contents(folder)
        return made_before[key]

    return made


class Gate:
    """Holds bulk batches on the device until it is opened, and counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self._open = threading.Event()
        composed = Predictor._composed  # pyright: ignore[reportPrivateUsage]

        def held(predictor: Predictor, *arguments: Any) -> Any:
            if isinstance(predictor.in_turn, BulkTurns):
                self.calls += 1
                assert self._open.wait(60)
            return composed(predictor, *arguments)

        monkeypatch.setattr(Predictor, "_composed", held)

    def open(self) -> None:
        self._open.set()


async def test_any_number_of_workers_makes_the_files_of_one_machine(
    connect: Connect, networks: Networks, storage: StorageSettings,
    undisturbed: Callable[..., dict[str, str]],
) -> None:  # fmt: skip
    spec: dict[str, Any] = {
        "labels": ["appearance", "two_labels"],
        "keep": {"minimum_identity_consistency": 0.98, "minimum_realism_percentile": 20},
        "top_up": 25,
    }
    expected = undisturbed(**spec)
    job_store = JobStore(connect(), SETTINGS, storage)
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(bulk_worker(connect(), networks, SETTINGS, storage))
        job, _ = await job_store.submit(spec_of(**spec))
        job = await ended(job_store, job.job_id)
    assert (job.state, job.error_message) == ("done", None)
    assert files_of(storage, job.job_id) == expected
    assert job.made == job.planned == 55  # the filters drop some of every window
    assert job.kept + sum(job.dropped.values()) == job.made
    assert job.shards == job.shards_done > 4
    assert job.model_version == networks[1].model_version


async def test_a_worker_encodes_each_picture_once_a_job_and_forgets_it_at_the_end(
    redis: Redis, job_store: JobStore, networks: Networks, storage: StorageSettings,
    undisturbed: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    expected = undisturbed()
    encoded: dict[KeptCodes, list[int]] = {}
    closed: list[KeptCodes] = []
    keep, close = KeptCodes.keep, KeptCodes.close

    def kept(codes: KeptCodes, pictures: list[int], *arguments: Any) -> bool:
        encoded.setdefault(codes, []).extend(pictures)
        return keep(codes, pictures, *arguments)

    def forgotten(codes: KeptCodes) -> None:
        closed.append(codes)
        close(codes)

    monkeypatch.setattr(KeptCodes, "keep", kept)
    monkeypatch.setattr(KeptCodes, "close", forgotten)
    async with bulk_worker(redis, networks, SETTINGS, storage):
        job, _ = await job_store.submit(spec_of())
        await ended(job_store, job.job_id)
        assert files_of(storage, job.job_id) == expected
        assert len(encoded) == 2  # appearances and structures, over four shards
        assert all(len(pictures) == len(set(pictures)) for pictures in encoded.values())
        await until(lambda: set(closed) >= set(encoded))


async def test_two_jobs_take_turns(
    redis: Redis, job_store: JobStore, networks: Networks, storage: StorageSettings
) -> None:
    first, _ = await job_store.submit(spec_of(count=64))
    second, _ = await job_store.submit(spec_of(count=64, seed=1))
    order: list[str] = []
    task_store = runner.TaskStore

    class Noting(task_store):
        async def complete(self, task: Any, **done: Any) -> bool:
            order.append(task.job_id)
            return await super().complete(task, **done)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "TaskStore", Noting)
        async with bulk_worker(redis, networks, SETTINGS, storage):
            for job in (first, second):
                assert (await ended(job_store, job.job_id)).state == "done"
    assert len(order) == 16
    assert {*order[2:6]} == {first.job_id, second.job_id}


async def test_a_swap_is_served_while_a_shard_is_made(
    redis: Redis, job_store: JobStore, networks: Networks, storage: StorageSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The bulk thread is held between two device calls; the device is free."""
    held, go_on = threading.Event(), threading.Event()
    in_turn = BulkTurns.__call__

    def hold(turns: BulkTurns, call: Callable[[], Any]) -> Any:
        held.set()
        assert go_on.wait(60)
        return in_turn(turns, call)

    monkeypatch.setattr(BulkTurns, "__call__", hold)
    picture = black_picture(networks[1])
    async with (
        bulk_worker(redis, networks, SETTINGS, storage),
        running_client(redis, SETTINGS) as client,
    ):
        job, _ = await job_store.submit(spec_of())
        await until(held.is_set)
        swap = await client.submit(SwapJob(appearance_image=picture, structure_image=picture))
        assert await client.wait(swap, timeout_seconds=60)
        assert (await job_store.get(job.job_id)).state in ("planning", "running")
        go_on.set()
        assert (await ended(job_store, job.job_id)).state == "done"


async def test_cancelling_stops_within_one_batch_and_resuming_ends_with_the_same_files(
    redis: Redis, job_store: JobStore, networks: Networks, storage: StorageSettings,
    undisturbed: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    expected = undisturbed()
    async with bulk_worker(redis, networks, SETTINGS, storage):
        with monkeypatch.context() as patch:
            gate = Gate(patch)
            job, _ = await job_store.submit(spec_of())
            await until(lambda: gate.calls == 1)  # a batch is on the device
            halts: list[bool] = []
            halt_set = runner.Halt.set

            def heard(halt: runner.Halt) -> None:
                halts.append(True)
                halt_set(halt)

            patch.setattr(runner.Halt, "set", heard)
            assert (await job_store.cancel(job.job_id)).state == "cancelled"
            await until(lambda: bool(halts))
            gate.open()
            await until(lambda: lane_is_empty(redis))
            assert gate.calls == 1
        assert files_of(storage, job.job_id).keys() == {"job.json"}
        await job_store.resume(job.job_id)
        assert (await ended(job_store, job.job_id)).state == "done"
    assert files_of(storage, job.job_id) == expected


async def test_a_watch_that_is_killed_still_hears_that_the_job_was_cancelled(
    redis: Redis, job_store: JobStore, networks: Networks, storage: StorageSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    async with bulk_worker(redis, networks, SETTINGS, storage):
        gate = Gate(monkeypatch)
        job, _ = await job_store.submit(spec_of())
        await until(lambda: gate.calls == 1)
        [watch] = [task for task in asyncio.all_tasks() if task.get_name() == "watch"]
        watch.cancel()
        await until(watch.done)
        halts: list[bool] = []
        halt_set = runner.Halt.set

        def heard(halt: runner.Halt) -> None:
            halts.append(True)
            halt_set(halt)

        monkeypatch.setattr(runner.Halt, "set", heard)
        await job_store.cancel(job.job_id)
        await until(lambda: bool(halts))
        gate.open()
        await until(lambda: lane_is_empty(redis))
        assert gate.calls == 1


async def test_a_worker_that_stops_puts_its_shard_back_at_once(
    redis: Redis, job_store: JobStore, networks: Networks, storage: StorageSettings,
    undisturbed: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    expected = undisturbed()
    settings = queue_settings(lease_seconds=600)  # whoever waits for a lease fails the test
    with monkeypatch.context() as patch:
        gate = Gate(patch)
        async with bulk_worker(redis, networks, settings, storage) as worker:
            job, _ = await job_store.submit(spec_of())
            await until(lambda: gate.calls == 1)
            worker.stop()
            gate.open()
        assert gate.calls == 1
    assert (await job_store.get(job.job_id)).state == "running"
    async with bulk_worker(redis, networks, settings, storage):
        assert (await ended(job_store, job.job_id)).state == "done"
    assert files_of(storage, job.job_id) == expected


async def test_deleting_a_running_job_leaves_nothing(
    redis: Redis, job_store: JobStore, networks: Networks, storage: StorageSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    gate = Gate(monkeypatch)
    async with bulk_worker(redis, networks, SETTINGS, storage):
        job, _ = await job_store.submit(spec_of())
        await until(lambda: gate.calls == 1)
        await job_store.delete(job.job_id)
        gate.open()
        await until(lambda: lane_is_empty(redis))
    assert list((storage.data_root / "jobs").iterdir()) == []


async def test_an_unreadable_picture_is_counted_once_and_the_job_goes_on(
    redis: Redis, job_store: JobStore, networks: Networks, storage: StorageSettings,
    undisturbed: Callable[..., dict[str, str]],
) -> None:  # fmt: skip
    broken = sorted((storage.data_root / "people").iterdir())[0]
    broken.write_bytes(broken.read_bytes()[:100])
    expected = undisturbed(count=180)
    async with bulk_worker(redis, networks, SETTINGS, storage):
        job, _ = await job_store.submit(spec_of(count=180))
        job = await ended(job_store, job.job_id)
    assert (job.state, job.unreadable) == ("done", 1)
    assert job.dropped == {"unreadable_appearance": 12, "unreadable_structure": 12}
    assert files_of(storage, job.job_id) == expected


@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_a_source_that_vanished_fails_the_job_until_it_is_back(
    redis: Redis, job_store: JobStore, networks: Networks, storage: StorageSettings, when: str,
    undisturbed: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    expected = undisturbed()
    source, aside = storage.data_root / "people", storage.data_root / "aside"
    async with bulk_worker(redis, networks, SETTINGS, storage):
        if when == "before":
            source.rename(aside)
            job, _ = await job_store.submit(spec_of())
        else:
            with monkeypatch.context() as patch:
                gate = Gate(patch)
                job, _ = await job_store.submit(spec_of())
                await until(lambda: gate.calls == 1)
                source.rename(aside)
                gate.open()
                await until(lambda: state_of(job_store, job.job_id, "failed", "done"))
        job = await ended(job_store, job.job_id)
        assert job.state == "failed"
        assert job.error_message is not None
        assert "people" in job.error_message
        assert str(storage.data_root) not in job.error_message
        aside.rename(source)
        await job_store.resume(job.job_id)
        assert (await ended(job_store, job.job_id)).state == "done"
    assert files_of(storage, job.job_id) == expected


async def test_a_source_that_changed_is_not_resumed(
    redis: Redis, job_store: JobStore, networks: Networks, storage: StorageSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with monkeypatch.context() as patch:
        gate = Gate(patch)
        async with bulk_worker(redis, networks, SETTINGS, storage):
            job, _ = await job_store.submit(spec_of())
            await until(lambda: gate.calls == 1)
            await job_store.cancel(job.job_id)
            gate.open()
    sorted((storage.data_root / "people").iterdir())[0].unlink()
    async with bulk_worker(redis, networks, SETTINGS, storage):
        await job_store.resume(job.job_id)
        job = await ended(job_store, job.job_id)
    assert job.state == "failed"
    assert "listing_sha256" in (job.error_message or "")


async def test_memory_that_is_short_for_a_moment_changes_nothing(
    redis: Redis, job_store: JobStore, networks: Networks, storage: StorageSettings,
    undisturbed: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    expected = undisturbed()
    monkeypatch.setattr(bulk_turns, "OUT_OF_MEMORY_PAUSES", (0.0, 0.0))
    with monkeypatch.context() as patch:
        short_of_memory(patch, lambda calls: calls % 3 == 0)
        async with bulk_worker(redis, networks, SETTINGS, storage):
            job, _ = await job_store.submit(spec_of())
            assert (await ended(job_store, job.job_id)).state == "done"
    assert files_of(storage, job.job_id) == expected


async def test_memory_that_never_suffices_fails_the_job_until_there_is_more(
    redis: Redis, job_store: JobStore, networks: Networks, storage: StorageSettings,
    undisturbed: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    expected = undisturbed()
    monkeypatch.setattr(bulk_turns, "OUT_OF_MEMORY_PAUSES", (0.0, 0.0))
    async with bulk_worker(redis, networks, SETTINGS, storage):
        with monkeypatch.context() as patch:
            short_of_memory(patch, lambda calls: calls > 3)
            job, _ = await job_store.submit(spec_of())
            job = await ended(job_store, job.job_id)
        assert (job.state, job.error_code) == ("failed", "out-of-memory")
        assert "DGNET_GENERATION_BATCH" in (job.error_message or "")
        await job_store.resume(job.job_id)
        assert (await ended(job_store, job.job_id)).state == "done"
    assert files_of(storage, job.job_id) == expected


async def test_a_worker_with_other_networks_leaves_the_job_to_those_that_fit(
    redis: Redis, job_store: JobStore, networks: Networks, storage: StorageSettings,
    undisturbed: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    expected = undisturbed()
    with monkeypatch.context() as patch:
        gate = Gate(patch)
        async with bulk_worker(redis, networks, SETTINGS, storage):
            job, _ = await job_store.submit(spec_of())
            await until(lambda: gate.calls == 1)
            gate.open()
            async with bulk_worker(redis, other(networks), SETTINGS, storage):
                assert (await ended(job_store, job.job_id)).state == "done"
    assert files_of(storage, job.job_id) == expected


async def test_a_job_is_never_made_with_another_model(
    redis: Redis, job_store: JobStore, networks: Networks, storage: StorageSettings
) -> None:
    """Of the version that it was submitted for there is no worker, nor any folder yet."""
    async with bulk_worker(redis, networks, SETTINGS, storage):
        job, _ = await job_store.submit(spec_of(), model="f" * 12)
        job = await ended(job_store, job.job_id)
    assert (job.state, job.error_code, job.model_version) == ("failed", "wrong-networks", "f" * 12)
    assert "checkpoint ffffffffffff" in str(job.error_message)
    assert not job_folder(storage.data_root, job.job_id).exists()


async def test_a_job_whose_networks_nobody_has_fails_until_somebody_has(
    redis: Redis, job_store: JobStore, networks: Networks, storage: StorageSettings,
    undisturbed: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    expected = undisturbed()
    with monkeypatch.context() as patch:
        gate = Gate(patch)
        async with bulk_worker(redis, networks, SETTINGS, storage) as worker:
            job, _ = await job_store.submit(spec_of())
            await until(lambda: gate.calls == 1)
            worker.stop()
            gate.open()
    async with bulk_worker(redis, networks, SETTINGS, storage, generation_batch=2):
        job = await ended(job_store, job.job_id)
    assert (job.state, job.error_code) == ("failed", "wrong-networks")
    assert "batch 4" in (job.error_message or "")
    await job_store.resume(job.job_id)
    async with bulk_worker(redis, networks, SETTINGS, storage):
        assert (await ended(job_store, job.job_id)).state == "done"
    assert files_of(storage, job.job_id) == expected


async def test_a_complete_job_that_redis_forgot_is_done_again_at_once(
    redis: Redis, job_store: JobStore, networks: Networks, storage: StorageSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    async with bulk_worker(redis, networks, SETTINGS, storage):
        job, _ = await job_store.submit(spec_of())
        before = await ended(job_store, job.job_id)
        made = files_of(storage, job.job_id)
        await redis.delete(Keys(SETTINGS.key_prefix).generation(job.job_id))
        monkeypatch.setattr(Predictor, "_composed", None)  # nothing is made
        await job_store.resume(job.job_id)
        after = await ended(job_store, job.job_id)
    assert (after.state, after.made, after.kept) == ("done", before.made, before.kept)
    assert files_of(storage, job.job_id) == made


async def test_a_scene_that_the_networks_cannot_keep_fails_the_job(
    redis: Redis, job_store: JobStore, networks: Networks, storage: StorageSettings
) -> None:
    async with bulk_worker(redis, networks, SETTINGS, storage):
        job, _ = await job_store.submit(spec_of(scene="keep"))
        job = await ended(job_store, job.job_id)
    assert (job.state, job.error_code) == ("failed", "bad-job")
    assert "has no mask of what a swap changes" in (job.error_message or "")
    assert not (job_folder(storage.data_root, job.job_id) / "shards").exists()


async def test_a_job_that_is_impossible_says_why(
    redis: Redis, job_store: JobStore, networks: Networks, storage: StorageSettings
) -> None:
    async with bulk_worker(redis, networks, SETTINGS, storage):
        job, _ = await job_store.submit(spec_of(count=10**6))
        job = await ended(job_store, job.job_id)
    assert (job.state, job.error_code) == ("failed", "bad-job")
    assert "has only 180 pairs" in (job.error_message or "")


async def test_a_worker_uploads_nowhere_but_where_its_own_settings_allow(
    redis: Redis, networks: Networks, storage: StorageSettings, memory: str,
    undisturbed: Callable[..., dict[str, str]],
) -> None:  # fmt: skip
    """Whoever reaches Redis can submit a job, as this job store does."""
    expected = undisturbed()
    allowing = storage.model_copy(update={"job_destinations": "memory://sets"})
    job_store = JobStore(redis, SETTINGS, allowing)
    for other in ("", "memory://others"):
        refusing = storage.model_copy(update={"job_destinations": other})
        async with bulk_worker(redis, networks, SETTINGS, refusing):
            job, _ = await job_store.submit(spec_of(output={"destination": memory}))
            job = await ended(job_store, job.job_id)
        assert (job.state, job.error_code) == ("failed", "destination-refused")
        assert "DGNET_JOB_DESTINATIONS" in (job.error_message or "")
        assert Store(memory).is_empty()
    await job_store.resume(job.job_id)
    async with bulk_worker(redis, networks, SETTINGS, allowing):
        assert (await ended(job_store, job.job_id)).state == "done"
    there = {name: Store(memory).read(name) for name in expected}
    assert {name: sha256(data or b"").hexdigest() for name, data in there.items()} == expected


async def test_a_shard_that_is_gone_before_the_end_is_made_again_by_resuming(
    redis: Redis, job_store: JobStore, networks: Networks, storage: StorageSettings,
    undisturbed: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    expected = undisturbed()
    collected = runner._collected  # pyright: ignore[reportPrivateUsage]
    folder: list[Path] = []

    def lose_one(opened: Any, window: Any) -> Any:
        if not folder:
            folder.append(opened.folder / "shards" / "000001")
            shutil.rmtree(folder[0])
        return collected(opened, window)

    monkeypatch.setattr(runner, "_collected", lose_one)
    async with bulk_worker(redis, networks, SETTINGS, storage):
        job, _ = await job_store.submit(spec_of())
        job = await ended(job_store, job.job_id)
        assert (job.state, job.error_code) == ("failed", "bad-job")
        assert "shard 1 is gone" in (job.error_message or "")
        await job_store.resume(job.job_id)
        assert (await ended(job_store, job.job_id)).state == "done"
    assert files_of(storage, job.job_id) == expected


async def test_data_sets_are_checked_by_workers(
    redis: Redis, networks: Networks, storage: StorageSettings
) -> None:
    async with (
        bulk_worker(redis, networks, SETTINGS, storage),
        running_client(redis, SETTINGS) as client,
    ):
        await until(lambda: client_sees_a_worker(client))
        job = await client.submit(DatasetCheckJob(folder="people"), lane="bulk")
        result = await client.wait(job, timeout_seconds=60)
        assert isinstance(result, DatasetCheckResult)
        assert (result.report["root"], result.report["layout"]) == ("people", "market1501")
        assert result.report["total"]["pictures"] == 15
        for folder in ("nobody", "../other", "/etc"):
            job = await client.submit(DatasetCheckJob(folder=folder), lane="bulk")
            with pytest.raises(BadJob) as refused:
                await client.wait(job, timeout_seconds=60)
            assert str(storage.data_root) not in str(refused.value)


async def client_sees_a_worker(client: Any) -> bool:
    return any(worker.ready for worker in await client.workers())


async def lane_is_empty(redis: Redis) -> bool:
    return await entries(redis, Keys(SETTINGS.key_prefix).lane("bulk")) == []


def other(networks: Networks) -> Networks:
    """The same networks by another name."""
    checkpoint, predictor = networks
    renamed = Checkpoint(
        metadata=replace(checkpoint.metadata, sha256="f" * 64),
        networks=checkpoint.networks,
        teacher=checkpoint.teacher,
    )
    return renamed, predictor


def short_of_memory(patch: pytest.MonkeyPatch, fails: Callable[[int], bool]) -> None:
    """Bulk device calls fail by their number."""
    calls = 0
    composed = Predictor._composed  # pyright: ignore[reportPrivateUsage]

    def short(predictor: Predictor, *arguments: Any) -> Any:
        nonlocal calls
        if isinstance(predictor.in_turn, BulkTurns):
            calls += 1
            if fails(calls):
                raise MemoryError("no memory for a batch")
        return composed(predictor, *arguments)

    patch.setattr(Predictor, "_composed", short)


def black_picture(predictor: Predictor) -> NDArray[np.uint8]:
    return np.zeros((predictor.height, predictor.width, 3), np.uint8)
