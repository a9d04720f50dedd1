"""All followers of a process share one reader: each hears everything, in order and once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest
from redis.asyncio import Redis

from dgnet.jobs.connection import connect as connect_to
from dgnet.jobs.errors import QueueUnavailable
from dgnet.jobs.generation import feed
from dgnet.jobs.generation.job_store import JobStore
from dgnet.jobs.generation.jobs import JobEvent
from dgnet.jobs.keys import Keys
from dgnet.jobs.storage import StorageSettings
from tests.redis_server import RedisServer
from tests.worker.bulk import spec_of
from tests.worker.harness import Connect, flush, queue_settings, until

SETTINGS = queue_settings()
KEYS = Keys(SETTINGS.key_prefix)


@pytest.fixture
def storage(tmp_path: Path) -> StorageSettings:
    (tmp_path / "people").mkdir()
    return StorageSettings(data_root=tmp_path)


async def told(redis: Redis, job_id: str, made: int) -> None:
    """An event as the scripts write it."""
    fields = cast("dict[bytes, bytes]", await redis.hgetall(KEYS.generation(job_id)))  # pyright: ignore
    event = {**fields, b"kind": b"progress", b"made": str(made).encode()}
    event.pop(b"spec", None)
    await redis.xadd(KEYS.generation(job_id, "events"), event)  # pyright: ignore


async def heard(
    job_store: JobStore, job_id: str, into: list[JobEvent], after: str | None = None
) -> None:
    async for events in job_store.events(job_id, after=after):
        into += events


async def waiting_connections(redis: Redis) -> int:
    """Of the server's clients, those whom a command lets wait."""
    clients = cast("list[dict[str, str]]", await redis.client_list())  # pyright: ignore
    return sum("b" in client["flags"] for client in clients)


async def test_two_hundred_followers_hear_all_over_one_connection(
    connect: Connect, storage: StorageSettings
) -> None:
    redis = connect()
    await flush(redis)
    job_store = JobStore(redis, SETTINGS, storage)
    jobs = [(await job_store.submit(spec_of()))[0].job_id for _ in range(4)]
    lists: list[list[JobEvent]] = [[] for _ in range(200)]
    following = [
        asyncio.create_task(heard(job_store, jobs[number % 4], events))
        for number, events in enumerate(lists)
    ]
    await until(lambda: all(lists))  # each has the submission
    for made in range(1, 21):
        for job in jobs:
            await told(redis, job, made)
    await until(lambda: all(events[-1].job.made == 20 for events in lists))
    for number, events in enumerate(lists):
        assert [event.job.made for event in events] == list(range(21))
        assert {event.job.job_id for event in events} == {jobs[number % 4]}
    for job in jobs:
        await job_store.cancel(job)
    await asyncio.wait_for(asyncio.gather(*following), 30)
    assert {events[-1].job.state for events in lists} == {"cancelled"}
    await until(lambda: not [t for t in asyncio.all_tasks() if t.get_name() == "job-events"])


async def test_a_patient_follower_holds_no_connection(storage: StorageSettings) -> None:
    with RedisServer() as server:
        redis = connect_to(server.url)
        job_store = JobStore(redis, SETTINGS, storage)
        job = (await job_store.submit(spec_of()))[0].job_id
        lists: list[list[JobEvent]] = [[] for _ in range(150)]
        following = [asyncio.create_task(heard(job_store, job, events)) for events in lists]
        await until(lambda: all(lists))
        watcher = connect_to(server.url)
        assert await waiting_connections(watcher) <= 1
        answers = await asyncio.gather(*(job_store.get(job) for _ in range(150)))
        assert {answer.job_id for answer in answers} == {job}
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        await redis.aclose()
        await watcher.aclose()


async def calls(redis: Redis) -> int:
    """Commands that the server has carried out since `config_resetstat`."""
    stats = cast("dict[str, dict[str, int]]", await redis.info("commandstats"))  # pyright: ignore
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("hgetall", "xread"))


async def test_those_who_begin_together_share_what_they_read(storage: StorageSettings) -> None:
    """Each alone would read the record twice and the events in three pages: 1,500 commands."""
    with RedisServer() as server:
        redis = connect_to(server.url)
        job_store = JobStore(redis, SETTINGS, storage)
        job = (await job_store.submit(spec_of()))[0].job_id
        for made in range(1, 250):
            await told(redis, job, made)
        await redis.config_resetstat()  # pyright: ignore
        lists: list[list[JobEvent]] = [[] for _ in range(300)]
        following = [asyncio.create_task(heard(job_store, job, events)) for events in lists]
        await until(lambda: all(len(events) == 250 for events in lists))
        assert await calls(redis) < 40
        await told(redis, job, 250)
        await job_store.cancel(job)
        await asyncio.wait_for(asyncio.gather(*following), 30)
        for events in lists:
            assert [event.job.made for event in events if event.kind == "progress"] == list(
                range(1, 251)
            )
            assert events[-1].job.state == "cancelled"
        await redis.aclose()


async def test_whoever_is_slow_reads_again_what_it_missed(
    connect: Connect, storage: StorageSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MOST_WAITING", 3)
    redis = connect()
    await flush(redis)
    job_store = JobStore(redis, SETTINGS, storage)
    job = (await job_store.submit(spec_of()))[0].job_id
    events = job_store.events(job)
    assert [event.job.made for event in await anext(events)] == [0]
    coming = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0.1)
    await told(redis, job, 1)
    assert [event.job.made for event in await coming] == [1]
    for made in range(2, 20):  # it does not ask meanwhile
        await told(redis, job, made)
    await asyncio.sleep(2 * feed.READ_SECONDS)
    made: list[int] = []
    while len(made) < 18:
        made += [event.job.made for event in await anext(events)]
    assert made == list(range(2, 20))
    await events.aclose()  # pyright: ignore


@pytest.mark.parametrize("comes_first", [True, False])
async def test_an_id_that_somebody_made_up_keeps_no_event_from_others(
    connect: Connect, storage: StorageSettings, comes_first: bool
) -> None:
    redis = connect()
    await flush(redis)
    job_store = JobStore(redis, SETTINGS, storage)
    job = (await job_store.submit(spec_of()))[0].job_id
    nothing: list[JobEvent] = []
    events: list[JobEvent] = []
    stranger = heard(job_store, job, nothing, f"{10**19 - 1}-{10**19 - 1}")
    following: list[asyncio.Task[None]] = []
    for follower in (stranger, heard(job_store, job, events)) if comes_first else (
        heard(job_store, job, events), stranger
    ):  # fmt: skip
        following.append(asyncio.create_task(follower))
        await asyncio.sleep(2 * feed.READ_SECONDS)
    for made in range(1, 6):
        await told(redis, job, made)
        await until(lambda made=made: bool(events) and events[-1].job.made == made)
    assert [event.job.made for event in events] == list(range(6))
    await job_store.cancel(job)
    await asyncio.wait_for(asyncio.gather(*following), 30)
    assert nothing == []


async def test_followers_are_told_that_redis_is_gone(storage: StorageSettings) -> None:
    with RedisServer() as server:
        redis = connect_to(server.url)
        job_store = JobStore(redis, SETTINGS, storage)
        job = (await job_store.submit(spec_of()))[0].job_id
        lists: list[list[JobEvent]] = [[] for _ in range(5)]
        following = [asyncio.create_task(heard(job_store, job, events)) for events in lists]
        await until(lambda: all(lists))
        server.kill()
        outcomes = await asyncio.wait_for(asyncio.gather(*following, return_exceptions=True), 60)
        assert {type(outcome) for outcome in outcomes} == {QueueUnavailable}
        server.start()
        await redis.aclose()


async def test_a_reader_that_is_killed_tells_its_followers_who_come_back(
    connect: Connect, storage: StorageSettings
) -> None:
    redis = connect()
    await flush(redis)
    job_store = JobStore(redis, SETTINGS, storage)
    job = (await job_store.submit(spec_of()))[0].job_id
    for _ in range(2):
        lists: list[list[JobEvent]] = [[] for _ in range(5)]
        following = [asyncio.create_task(heard(job_store, job, events)) for events in lists]
        await until(lambda lists=lists: all(lists))
        [reader] = [task for task in asyncio.all_tasks() if task.get_name() == "job-events"]
        reader.cancel()
        outcomes = await asyncio.wait_for(asyncio.gather(*following, return_exceptions=True), 30)
        assert {type(outcome) for outcome in outcomes} == {QueueUnavailable}


async def test_a_job_that_vanishes_ends_its_followers(
    connect: Connect, storage: StorageSettings
) -> None:
    redis = connect()
    await flush(redis)
    job_store = JobStore(redis, SETTINGS, storage)
    job = (await job_store.submit(spec_of()))[0].job_id
    lists: list[list[JobEvent]] = [[] for _ in range(5)]
    following = [asyncio.create_task(heard(job_store, job, events)) for events in lists]
    await until(lambda: all(lists))
    await flush(redis)
    await asyncio.wait_for(asyncio.gather(*following), 30)
