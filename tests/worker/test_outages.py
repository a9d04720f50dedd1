"""Redis in bad states: silent, reset, full, read-only, refusing. What clients get, and how it ends.

docs/queue.md has a line for each. Sockets are broken by a proxy, the server is a real one. Whatever
breaks sockets is tried on uvloop, too, whose transports fail in their own way.
"""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop
from redis.asyncio import Redis
from redis.exceptions import ConnectionError, ReadOnlyError, ResponseError

from dgnet.jobs import scripts
from dgnet.jobs.client import JobClient
from dgnet.jobs.codec import Outcome
from dgnet.jobs.connection import connect
from dgnet.jobs.contract import SwapResult, WorkerInfo
from dgnet.jobs.errors import BadJob, QueueUnavailable, ResultExpired, UnknownJob
from dgnet.jobs.generation import scripts as generation_scripts
from dgnet.jobs.generation.job_store import JobStore
from dgnet.jobs.generation.records import new_job_id
from dgnet.jobs.keys import Keys
from dgnet.jobs.outages import is_outage
from dgnet.jobs.settings import QueueSettings
from dgnet.jobs.storage import StorageSettings
from dgnet.jobs.tasks import cancel_and_wait
from dgnet.worker.handlers import model_info
from dgnet.worker.heartbeat import Heartbeat
from dgnet.worker.leases import LeasedQueue
from dgnet.worker.requirements import COMMANDS, shortcomings
from tests.redis_server import RedisServer, redis_server_binary
from tests.tcp_proxy import Proxy
from tests.worker.fakes import FakePredictor, embed_job, swap_job
from tests.worker.harness import (
    entries,
    limit_memory,
    queue_settings,
    ready_workers,
    running_client,
    running_worker,
    until,
)

SETTINGS = queue_settings(lease_seconds=2.0, outage_seconds=0.5)
KEYS = Keys(SETTINGS.key_prefix)
SOON = 2 * SETTINGS.outage_seconds  # "after about DGNET_OUTAGE_SECONDS", on a busy machine


Run = Callable[[Coroutine[None, None, None]], None]


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a test in an event loop of its own."""
    return request.param


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A server of the test's own, to be stopped, filled and refused by."""
    if redis_server_binary() is None:
        pytest.skip("no redis-server on PATH or beside the interpreter")
    with RedisServer() as server:
        yield server


@asynccontextmanager
async def redis_of(url: str) -> AsyncGenerator[Redis]:
    redis = connect(url)
    try:
        yield redis
    finally:
        await redis.aclose()


@asynccontextmanager
async def installed(
    url: str, predictor: FakePredictor | None = None, settings: QueueSettings = SETTINGS
) -> AsyncGenerator[JobClient]:
    """A client and a worker that are ready for each other."""
    async with (
        redis_of(url) as redis,
        JobClient.from_url(url, settings) as client,
        running_worker(redis, predictor or FakePredictor(), settings),
    ):
        await until(lambda: _ready(client))
        yield client


def test_silent_redis_is_told_soon_and_comes_back_by_itself(
    own_server: RedisServer, run: Run
) -> None:
    run(_silent_redis(own_server))


async def _silent_redis(own_server: RedisServer) -> None:
    async with installed(own_server.url) as client:
        own_server.signal(signal.SIGSTOP)
        try:
            for ask in (
                lambda: client.submit(swap_job()),
                client.check,
                lambda: client.status("nobody's"),
                client.workers,
                lambda: client.depth("small"),
            ):
                begun = time.monotonic()
                with pytest.raises(QueueUnavailable):
                    await ask()
                assert time.monotonic() - begun < SOON
            # By now it is known: readiness is told at once.
            await until(lambda: _refused_at_once(client))
        finally:
            own_server.signal(signal.SIGCONT)
        await until(lambda: _ready(client))
        assert await client.wait(await client.submit(swap_job()), timeout_seconds=30)


async def test_whoever_waits_while_redis_falls_silent_is_told(own_server: RedisServer) -> None:
    predictor = FakePredictor(open_gate=False)
    async with installed(own_server.url, predictor) as client:
        job_id = await client.submit(swap_job())
        waiting = asyncio.create_task(client.wait(job_id, timeout_seconds=60))
        await asyncio.sleep(0)
        own_server.signal(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            with pytest.raises(QueueUnavailable):
                await waiting
            assert time.monotonic() - begun < 4 * SOON
        finally:
            own_server.signal(signal.SIGCONT)
        predictor.gate.set()
        await until(lambda: _answers(client))
        assert await client.wait(job_id, timeout_seconds=60)  # nothing is lost


async def test_all_who_list_jobs_are_told_together_that_redis_is_silent(
    own_server: RedisServer, tmp_path: Path
) -> None:
    async with redis_of(own_server.url) as redis:
        job_store = JobStore(redis, SETTINGS, StorageSettings(data_root=tmp_path))
        assert await job_store.list() == []
        own_server.signal(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            lists = [job_store.list(limit=1 + number) for number in range(50)]
            answers = await asyncio.gather(*lists, return_exceptions=True)
            assert {type(answer) for answer in answers} == {QueueUnavailable}
            assert time.monotonic() - begun < SOON
        finally:
            own_server.signal(signal.SIGCONT)
        assert await job_store.list() == []


def test_a_network_that_was_cut_is_told_soon(own_server: RedisServer, run: Run) -> None:
    run(_cut_network(own_server))


async def _cut_network(server: RedisServer) -> None:
    async with Proxy(server.port) as proxy, installed(proxy.url) as client:
        proxy.stop_flowing()
        begun = time.monotonic()
        with pytest.raises(QueueUnavailable):
            await client.check()
        assert time.monotonic() - begun < SOON
        proxy.flow()
        await until(lambda: _answers(client))
        assert await client.wait(await client.submit(swap_job()), timeout_seconds=30)


@pytest.mark.parametrize("state", ["idle", "waiting", "working"])
def test_reset_connections_fail_nobody_for_long(
    own_server: RedisServer, run: Run, state: str
) -> None:
    run(_reset_connections(own_server, state))


async def _reset_connections(server: RedisServer, state: str) -> None:
    predictor = FakePredictor(open_gate=state != "working")
    async with Proxy(server.port) as proxy, installed(proxy.url, predictor) as client:
        for _ in range(5):
            jobs = [await client.submit(swap_job()) for _ in range(3)] if state != "idle" else []
            waits = [asyncio.create_task(client.wait(job, timeout_seconds=60)) for job in jobs]
            await asyncio.sleep(0.02)
            proxy.reset()
            await asyncio.sleep(0.02)
            predictor.gate.set()
            await client.check()  # not even one request fails: a command may be repeated
            for wait in waits:
                assert isinstance(await wait, SwapResult)
            assert await client.wait(await client.submit(swap_job()), timeout_seconds=30)
            await asyncio.sleep(2 * SETTINGS.heartbeat_seconds)
        assert await ready_workers(client) == 1
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert {"heartbeat", "leases", "claims of the small lane", "queue-replies"} <= names


def test_what_looks_like_an_outage() -> None:
    outages = [
        ConnectionError("reset"), ReadOnlyError("x"), OSError("no route"),
        ResponseError("MISCONF Redis is configured to save RDB snapshots"),
        ResponseError("BUSY Redis is busy running a script."),
        ResponseError("Error running script (call to f_1): @user_script:2: -READONLY You can't"),
        ResponseError("Error running script: @user_script: 9: -OOM command not allowed when used"),
        ResponseError("ACL failure in script: User w has no permissions to run the 'xadd' command"),
        ResponseError("The user executing the script can't run this command or subcommand"),
        ResponseError("unknown command 'XCLAIM', with args beginning with:"),
    ]  # fmt: skip
    others = [
        ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        ResponseError("BUSYGROUP Consumer Group name already exists"),
        ResponseError("NOGROUP No such key 'x' or consumer group"),
        ResponseError("Error running script: user_script:8: attempt to compare nil with number"),
        RuntimeError("a defect of ours"),
        BadJob("no job"),
    ]
    assert [is_outage(error) for error in outages] == [True] * len(outages)
    assert [is_outage(error) for error in others] == [False] * len(others)


async def test_a_full_redis_is_not_ready_finishes_what_it_has_and_comes_back(
    own_server: RedisServer,
) -> None:
    predictor = FakePredictor(open_gate=False)
    async with redis_of(own_server.url) as redis, installed(own_server.url, predictor) as client:
        jobs = [await client.submit(swap_job()) for _ in range(3)]
        await until(lambda: len(predictor.batches) >= 3)
        await limit_memory(redis, 1)
        with pytest.raises(QueueUnavailable, match="takes nothing now"):
            await client.check()
        with pytest.raises(QueueUnavailable, match="takes nothing now"):
            await client.submit(swap_job())
        predictor.gate.set()
        for job_id in jobs:  # what is there is finished, and makes room
            assert await client.wait(job_id, timeout_seconds=30)
        assert await client.depth("small") == 0
        await limit_memory(redis, 0)
        await until(lambda: _ready(client))
        assert await client.wait(await client.submit(swap_job()), timeout_seconds=30)


async def test_a_read_only_replica_is_not_ready_until_it_is_a_master(
    own_server: RedisServer,
) -> None:
    async with redis_of(own_server.url) as redis, installed(own_server.url) as client:
        await redis.execute_command("REPLICAOF", "127.0.0.1", "1")  # pyright: ignore
        with pytest.raises(QueueUnavailable):
            await client.check()
        with pytest.raises(QueueUnavailable):
            await client.submit(swap_job())
        await redis.execute_command("REPLICAOF", "NO", "ONE")  # pyright: ignore
        await until(lambda: _ready(client))
        assert await client.wait(await client.submit(swap_job()), timeout_seconds=30)


async def test_without_a_permission_the_front_end_is_not_ready(own_server: RedisServer) -> None:
    async with redis_of(own_server.url) as redis, installed(own_server.url):
        await _set_user(redis, "-eval")
        async with JobClient.from_url(_url_of_user(own_server), SETTINGS) as client:
            with pytest.raises(QueueUnavailable, match="NoPermissionError"):
                await client.check()
            await _set_user(redis, "+eval")
            await client.check()


@pytest.mark.parametrize("command", ["xclaim", "eval", "xpending", "getrange"])
async def test_a_worker_says_which_permission_it_lacks_and_is_ready_once_it_has_it(
    own_server: RedisServer, command: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with redis_of(own_server.url) as redis, running_client(redis, SETTINGS) as client:
        await _set_user(redis, f"-{command}")
        async with (
            redis_of(_url_of_user(own_server)) as limited,
            running_worker(limited, FakePredictor(), SETTINGS),
        ):
            await until(lambda: f"its user may not {command.upper()}" in caplog.text)
            await until(lambda: _workers(client, 1))
            assert await ready_workers(client) == 0
            assert "docs/queue.md" in caplog.text
            await _set_user(redis, f"+{command}")
            await until(lambda: _ready(client))
            assert await client.wait(await client.submit(swap_job()), timeout_seconds=30)


async def test_the_commands_that_are_tried_and_no_others_are_used(own_server: RedisServer) -> None:
    """As Redis counts them, those that scripts call included."""
    async with redis_of(own_server.url) as redis, installed(own_server.url) as client:
        await cast("Any", redis).config_resetstat()
        jobs = [await client.submit(swap_job()), await client.submit(embed_job(1))]
        for job_id in jobs:
            assert await client.wait(job_id, timeout_seconds=30)
            assert (await client.status(job_id)).state == "done"
        await asyncio.sleep(1.5 * SETTINGS.poll_seconds)
        stats = await cast("Any", redis).info("commandstats")
    used = {name.removeprefix("cmdstat_").partition("|")[0].upper() for name in stats}
    assert used - {"INFO", "CONFIG", "CLIENT", "SELECT", "SUBSCRIBE", "HELLO"} <= set(COMMANDS)


async def test_a_worker_that_loses_a_permission_is_not_ready_until_it_has_it_again(
    own_server: RedisServer,
) -> None:
    settings = queue_settings(lease_seconds=0.5)
    async with redis_of(own_server.url) as redis, running_client(redis, settings) as client:
        await _set_user(redis)
        async with (
            redis_of(_url_of_user(own_server)) as limited,
            running_worker(limited, FakePredictor(), settings),
        ):
            await until(lambda: _ready(client))
            await _set_user(redis, "-xreadgroup")
            await until(lambda: _nobody_is_ready(client))
            await _set_user(redis, "+xreadgroup")
            await until(lambda: _ready(client))
            assert await client.wait(await client.submit(swap_job()), timeout_seconds=30)


def test_scripts_call_no_command_that_is_not_tried() -> None:
    texts = [Path(str(module.__file__)).read_text() for module in (scripts, generation_scripts)]
    called = {name for text in texts for name in re.findall(r"redis\.p?call\('(\w+)'", text)}
    assert len(called) > 25
    assert called <= set(COMMANDS)


async def test_a_redis_that_throws_work_away_is_warned_of(
    own_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with redis_of(own_server.url) as redis:
        await limit_memory(redis, 10**9)
        await cast("Any", redis).config_set("maxmemory-policy", "allkeys-lru")
        async with installed(own_server.url):
            assert "its maxmemory-policy is allkeys-lru: it throws queued work away" in caplog.text


@pytest.mark.parametrize(
    ("version", "found"),
    [("6.0.16", ["it is version 6.0.16, expected 6.2 or newer"]), ("6.2.0", []), ("7.2.4", [])],
)
async def test_a_redis_that_is_too_old_is_said_to_be(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, version: str, found: list[str]
) -> None:
    async def info(redis: Redis, section: str) -> dict[str, str]:
        return {"redis_version": version}

    monkeypatch.setattr(Redis, "info", info)
    async with redis_of(server.url) as redis:
        assert await shortcomings(redis, KEYS) == found


async def test_a_worker_with_a_wrong_password_says_so_and_is_ready_once_it_is_right(
    own_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with redis_of(own_server.url) as redis, running_client(redis, SETTINGS) as client:
        await _set_user(redis, "resetpass", ">other")
        async with (
            redis_of(_url_of_user(own_server)) as refused,
            running_worker(refused, FakePredictor(), SETTINGS),
        ):
            await until(lambda: "Redis does not suit: it is out of reach" in caplog.text)
            assert await client.workers() == []
            await _set_user(redis, ">secret")
            await until(lambda: _ready(client))
            assert await client.wait(await client.submit(swap_job()), timeout_seconds=30)


async def test_after_the_password_is_right_again_it_is_ready_soon(own_server: RedisServer) -> None:
    """Not only with the next beat: what Redis has of a worker runs out meanwhile."""
    settings = queue_settings(
        lease_seconds=0.5, outage_seconds=1.0, heartbeat_seconds=60.0, heartbeat_ttl_seconds=90.0,
        workers_cache_seconds=1.0,
    )  # fmt: skip
    async with redis_of(own_server.url) as redis:
        await _set_user(redis)
        async with installed(_url_of_user(own_server), settings=settings) as client:
            await _set_user(redis, "resetpass", ">other")
            await redis.execute_command("CLIENT", "KILL", "USER", "queue")  # pyright: ignore
            await until(lambda: _is_not_ready(client))
            await _let_heartbeats_run_out(redis)
            await asyncio.sleep(3 * settings.lease_seconds)
            await _set_user(redis, ">secret")
            begun = time.monotonic()
            await until(lambda: _ready(client))
            assert time.monotonic() - begun < 4  # about two on a machine that is not busy
            assert await client.wait(await client.submit(swap_job()), timeout_seconds=30)


async def test_a_beat_that_failed_is_made_up_for_soon(own_server: RedisServer) -> None:
    settings = queue_settings(heartbeat_seconds=60.0, heartbeat_ttl_seconds=90.0)
    async with redis_of(own_server.url) as redis, running_client(redis, settings) as client:
        await _set_user(redis, "-sadd")
        async with redis_of(_url_of_user(own_server)) as limited:
            info = WorkerInfo(
                worker_id="w", device="cpu", ready=True, model=model_info(FakePredictor())
            )
            heartbeat = Heartbeat(limited, settings, info)
            beating = asyncio.create_task(heartbeat.run())
            await asyncio.sleep(0.2)
            await _set_user(redis, "+sadd")
            begun = time.monotonic()
            await until(lambda: _ready(client))
            assert time.monotonic() - begun < 4
            await cancel_and_wait([beating])


async def _let_heartbeats_run_out(redis: Redis) -> None:
    names = cast("set[bytes]", await cast("Any", redis).smembers(KEYS.workers))
    await redis.delete(*(KEYS.worker(name.decode()) for name in names))


@pytest.mark.parametrize("name", ["queue-replies", "queue-results", "queue-pulse"])
async def test_a_task_of_the_client_that_is_killed_is_begun_anew(
    server: RedisServer, name: str
) -> None:
    predictor = FakePredictor(open_gate=False)
    async with installed(server.url, predictor) as client:
        job_id = await client.submit(swap_job())
        waiting = asyncio.create_task(client.wait(job_id, timeout_seconds=30))
        [task] = [task for task in asyncio.all_tasks() if task.get_name() == name]
        task.cancel()
        await until(task.done)
        predictor.gate.set()
        assert await waiting
        await until(lambda: name in {task.get_name() for task in asyncio.all_tasks()})
        assert await client.wait(await client.submit(swap_job()), timeout_seconds=30)


async def test_a_trip_that_is_killed_is_made_again(own_server: RedisServer, tmp_path: Path) -> None:
    """A worker repeats it, a front end tells its client to."""
    predictor = FakePredictor(open_gate=False)
    async with redis_of(own_server.url) as redis, installed(own_server.url, predictor) as client:
        job_store = JobStore(redis, SETTINGS, StorageSettings(data_root=tmp_path))
        job_id = await client.submit(swap_job())
        await until(lambda: len(predictor.batches) == 3)  # it is on the device
        own_server.signal(signal.SIGSTOP)
        try:
            reading = asyncio.create_task(job_store.get(new_job_id()))
            await until(lambda: len(_tasks("combined trips")) == 1)
            _tasks("combined trips")[0].cancel()
            with pytest.raises(QueueUnavailable, match="ConnectionError"):
                await reading
            predictor.gate.set()
            await until(lambda: len(_tasks("combined trips")) == 1)
            _tasks("combined trips")[0].cancel()
        finally:
            own_server.signal(signal.SIGCONT)
        await until(lambda: _answers(client))
        assert await client.wait(job_id, timeout_seconds=30)


def _tasks(name: str) -> list[asyncio.Task[Any]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == name]


async def test_uncollected_results_are_bounded_and_the_oldest_say_so(server: RedisServer) -> None:
    """A swap's outcome is 203 bytes here: nine fit into 2,000."""
    settings = queue_settings(uncollected_bytes=2_000, poll_seconds=0.1)
    async with redis_of(server.url) as redis, installed(server.url, settings=settings) as client:
        jobs = [await client.submit(swap_job()) for _ in range(30)]
        await until(lambda: _is_empty(client))
        held = int(await redis.get(KEYS.uncollected_bytes) or 0)
        assert 0 < held <= 2_000
        size = await redis.strlen(KEYS.record(jobs[-1]))
        kept = 2_000 // size
        assert await redis.zcard(KEYS.uncollected) == kept
        async with JobClient.from_url(server.url, settings) as other:
            for ask in (other.status(jobs[0]), other.wait(jobs[0], timeout_seconds=5)):
                with pytest.raises(ResultExpired, match="expired: too many wait") as expired:
                    await ask
                assert expired.value.http_status == 410
        states = [await _state(client, job) for job in jobs]
        assert states.count("done") == kept
        assert states.count("expired") == 30 - kept
        # Those that somebody collects are no longer counted.
        for job, state in zip(jobs, states, strict=True):
            if state == "done":
                assert await client.wait(job, timeout_seconds=5)
        await until(lambda: _is_zero(redis))
        assert 0 < await redis.ttl(KEYS.uncollected_bytes) <= settings.result_ttl_seconds


async def test_results_that_made_room_are_remembered_in_bounds(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dgnet.worker.leases._EXPIRED_LENGTH", 5)
    settings = queue_settings(uncollected_bytes=1)
    async with redis_of(server.url) as redis, installed(server.url, settings=settings) as client:
        jobs = [await client.submit(swap_job()) for _ in range(20)]
        await until(lambda: _is_empty(client))
        states = [await _state(client, job) for job in jobs]
        assert (states.count("done"), states.count("expired"), states.count("unknown")) == (
            1,
            5,
            14,
        )
        assert await redis.llen(KEYS.expired) == 5  # pyright: ignore[reportGeneralTypeIssues]


async def test_a_wall_clock_that_steps_back_harms_nobody(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time
    predictor = FakePredictor(open_gate=False)
    async with installed(server.url, predictor) as client:
        job_id = await client.submit(swap_job())
        await until(lambda: len(predictor.batches) == 3)  # it is on the device
        monkeypatch.setattr(time, "time", lambda: now() - 3600)
        predictor.gate.set()
        for _ in range(3):
            result = await client.wait(job_id, timeout_seconds=10)
            assert isinstance(result, SwapResult)
            assert 0 <= result.timings.device_seconds < 60
            assert 0 <= result.timings.queue_seconds < 60
            job_id = await client.submit(swap_job())
        await client.wait(job_id, timeout_seconds=10)


async def test_a_full_redis_still_takes_a_dead_letter_and_an_outcome(
    own_server: RedisServer,
) -> None:
    async with redis_of(own_server.url) as redis:
        queue = LeasedQueue(redis, SETTINGS, "worker")
        await queue.ensure_group("small")
        await redis.xadd(KEYS.lane("small"), {"job": "one", "kind": "swap", "data": "garbage"})
        await redis.set(KEYS.record("one"), "o1 swap 1-1")
        [claim] = await queue.claim("small", 1, 1.0)
        await limit_memory(redis, 1)
        outcome = Outcome(kind="swap", error=BadJob("no job"))
        await queue.finish(claim, outcome, dead_reason="undecodable")
        await limit_memory(redis, 0)
        assert len(await entries(redis, KEYS.dead_letters)) == 1
        assert await redis.get(KEYS.record("one"))


async def _set_user(redis: Redis, *changes: str) -> None:
    """A user of the queue's keys who may do what docs/queue.md says, but for the changes."""
    allowed = [f"+{command.lower()}" for command in (*COMMANDS, "SUBSCRIBE", "UNSUBSCRIBE")]
    await redis.execute_command(  # pyright: ignore
        "ACL", "SETUSER", "queue", "on", ">secret", f"~{SETTINGS.key_prefix}:*", "+client|setinfo",
        "+select", *allowed, *changes,
    )  # fmt: skip


def _url_of_user(server: RedisServer) -> str:
    return server.url.replace("redis://", "redis://queue:secret@")


async def _ready(client: JobClient) -> bool:
    try:
        await client.check()
        return await ready_workers(client) == 1
    except QueueUnavailable:
        return False


async def _is_not_ready(client: JobClient) -> bool:
    return not await _ready(client)


async def _nobody_is_ready(client: JobClient) -> bool:
    return await ready_workers(client) == 0


async def _workers(client: JobClient, count: int) -> bool:
    return len(await client.workers()) == count


async def _answers(client: JobClient) -> bool:
    try:
        await client.depth("small")
    except QueueUnavailable:
        return False
    return True


async def _refused_at_once(client: JobClient) -> bool:
    begun = time.monotonic()
    with pytest.raises(QueueUnavailable):
        await client.check()
    return time.monotonic() - begun < 0.05


async def _is_empty(client: JobClient) -> bool:
    return await client.depth("small") == 0


async def _is_zero(redis: Redis) -> bool:
    return int(await redis.get(KEYS.uncollected_bytes) or 0) == 0


async def _state(client: JobClient, job_id: str) -> str:
    try:
        return (await client.status(job_id)).state
    except ResultExpired:
        return "expired"
    except UnknownJob:
        return "unknown"
