"""Slow clients of every kind, two hundred at once, keep no fast one waiting; each is cut in time,
and what it held is given back.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from dgnet.jobs.connection import connect
from dgnet.jobs.generation.job_store import JobStore
from dgnet.jobs.generation.jobs import GenerationJob
from dgnet.jobs.generation.spec import spec_from
from dgnet.jobs.keys import Keys
from dgnet.jobs.storage import StorageSettings, job_folder
from tests.service.fakes import png
from tests.service.real_service import RealService, real_service
from tests.service.sockets import FORM, HEAD, PART, connection
from tests.worker.harness import queue_settings

IDLE_SECONDS = 6.0
HEAD_SECONDS = 6.0
FAST_SECONDS = 1.0
BODY_BYTES = 500_000
ARCHIVE_BYTES = 60_000_000
SWAP_FORM = {"appearance": png(), "structure": png()}
HOST = b"Host: localhost\r\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    (root / "market").mkdir()
    return root


@pytest.fixture(scope="module")
def there(root: Path) -> Generator[RealService]:
    limits = {
        "max_body_bytes": BODY_BYTES + 1000,
        "max_picture_bytes": BODY_BYTES,
        "max_held_bytes": 10 * BODY_BYTES,
        "head_timeout_seconds": HEAD_SECONDS,
        "body_idle_seconds": IDLE_SECONDS,
        "upload_idle_seconds": IDLE_SECONDS,
        "max_followers": 30,
        "min_free_bytes": 0,
    }
    with real_service(root, **limits) as there:
        yield there


async def _submitted(redis_url: str, root: Path, *, done: bool) -> str:
    redis, settings = connect(redis_url), queue_settings()
    try:
        job_store = JobStore(redis, settings, StorageSettings(data_root=root))
        spec = spec_from({"source": {"folder": "market"}, "count": 4})
        job: GenerationJob = (await job_store.submit(spec))[0]
        if done:
            folder = job_folder(root, job.job_id)
            folder.mkdir(parents=True)
            (folder / "large.bin").write_bytes(os.urandom(1_000_000) * (ARCHIVE_BYTES // 1_000_000))
            key = Keys(settings.key_prefix).generation(job.job_id)
            await redis.hset(key, mapping={"state": "done", "finished": time.time()})  # pyright: ignore
        return job.job_id
    finally:
        await redis.aclose()


@pytest.fixture(scope="module")
def running(there: RealService, root: Path) -> str:
    """A job that nobody takes up: the worker makes none."""
    return asyncio.run(_submitted(there.redis_url, root, done=False))


@pytest.fixture(scope="module")
def finished(there: RealService, root: Path) -> str:
    return asyncio.run(_submitted(there.redis_url, root, done=True))


def slow_kinds(running: str, finished: str) -> dict[str, Callable[[socket.socket], None]]:
    """What each kind sends before it becomes slow."""
    body = PART + b"x" * (BODY_BYTES - len(PART))

    def says(*parts: bytes) -> Callable[[socket.socket], None]:
        def say(client: socket.socket) -> None:
            with suppress(ConnectionError, TimeoutError):  # refused already
                for part in parts:
                    client.sendall(part)

        return say

    swap = b"POST /v1/swaps HTTP/1.1\r\n" + HEAD + FORM
    upload = b"POST /v1/datasets HTTP/1.1\r\n" + HEAD + b"Content-Type: application/zip\r\n"
    events = b"GET /v1/jobs/%s/events HTTP/1.1\r\n" % running.encode()
    archive = b"GET /v1/jobs/%s/archive HTTP/1.1\r\n" % finished.encode()
    return {
        "silent": says(),
        "half a head": says(b"GET /v1/jobs HTTP/1.1\r\nHost: loc"),
        "swap without its last byte": says(
            swap + b"Content-Length: %d\r\n\r\n" % BODY_BYTES, body[:-1]
        ),
        "swap in chunks": says(
            swap + b"Transfer-Encoding: chunked\r\n\r\n186a0\r\n", body[:90_000]
        ),
        "upload that trickles": says(upload + b"Content-Length: 1000000\r\n\r\nPK\x03\x04"),
        "archive that nobody reads": says(archive + HEAD + b"\r\n"),
        "follower": says(events + HEAD + b"\r\n"),
        "pipeline that nobody reads": says((archive + HOST + b"\r\n") * 500),
    }


def served(url: str) -> list[float]:
    """Seconds of each of the requests that a fast client makes."""
    taken: list[float] = []
    with httpx.Client(base_url=url, timeout=30) as http:
        for ask in (
            lambda: http.get("/readyz"),
            lambda: http.post("/v1/swaps", files=SWAP_FORM),
            lambda: http.get("/v1/jobs"),
            lambda: http.post("/v1/datasets", json={"folder": "market"}, headers={
                "Prefer": "respond-async"}),
        ):  # fmt: skip
            started = time.monotonic()
            response = ask()
            taken.append(time.monotonic() - started)
            assert response.status_code < 300, response.text
    return taken


def are_served_at_once(url: str) -> bool:
    """A machine that is busy with others takes a second now and then, not every time."""
    return any(max(served(url)) < FAST_SECONDS for _ in range(5))


@pytest.mark.slow
def test_two_hundred_slow_clients_keep_no_fast_one_waiting(
    there: RealService, root: Path, running: str, finished: str
) -> None:
    kinds = slow_kinds(running, finished)
    with ExitStack() as stack:
        clients: list[tuple[str, socket.socket]] = []
        for name, begin in kinds.items():
            for _ in range(25):
                client = stack.enter_context(connection(there.url, receive_bytes=4096))
                client.settimeout(2)
                begin(client)
                clients.append((name, client))
        assert len(clients) == 200
        time.sleep(1.2)  # whoever is silent is slow only after a while
        served(there.url)  # until then all that could be sent to them is on its way
        assert are_served_at_once(there.url)
        # A fifth upload takes the place of one that trickles.
        headers = {"Content-Type": "application/zip"}
        time.sleep(1)
        for _ in range(3):
            response = httpx.post(
                f"{there.url}/v1/datasets", content=b"no archive", headers=headers, timeout=30
            )
            assert response.status_code == 415, response.text

        # In time all are cut but the followers, which are told that they are followed.
        give_up_at = time.monotonic() + 3 * IDLE_SECONDS + 30
        waiting = [(name, client) for name, client in clients if name != "follower"]
        while waiting:
            assert time.monotonic() < give_up_at, {name for name, _ in waiting}
            waiting = [(name, client) for name, client in waiting if not _is_cut(client)]
            time.sleep(0.2)
        assert are_served_at_once(there.url)
        assert there.open_files(root / "jobs") == 0
        assert there.open_files(root / "datasets") == 0


def _is_cut(client: socket.socket) -> bool:
    """Whether the server has closed or reset it, without reading what it sent."""
    info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    established = 1
    return info[0] != established


@pytest.mark.slow
def test_followers_have_a_limit_of_their_own(there: RealService, running: str) -> None:
    """Thirty follow; more are refused, and nobody else is."""
    ask = b"GET /v1/jobs/%s/events HTTP/1.1\r\n" % running.encode() + HEAD + b"\r\n"
    with ExitStack() as stack:
        answers: list[bytes] = []
        for _ in range(40):
            client = stack.enter_context(connection(there.url))
            client.sendall(ask)
            answers.append(client.recv(12))
        assert answers.count(b"HTTP/1.1 200") == 30
        assert answers.count(b"HTTP/1.1 503") == 10
        assert are_served_at_once(there.url)
    give_up_at = time.monotonic() + 30
    while True:  # their places are free again
        with connection(there.url) as client:
            client.sendall(ask)
            if client.recv(12) == b"HTTP/1.1 200":
                break
        assert time.monotonic() < give_up_at
        time.sleep(0.1)


@pytest.mark.slow
async def test_many_readers_of_a_job_wait_for_connections(there: RealService, running: str) -> None:
    limits = httpx.Limits(max_connections=150)
    async with httpx.AsyncClient(base_url=there.url, timeout=60, limits=limits) as http:
        answers = await asyncio.gather(*(http.get(f"/v1/jobs/{running}") for _ in range(150)))
    assert {response.status_code for response in answers} == {200}


@pytest.mark.slow
def test_files_of_clients_that_vanish_are_closed_at_once(
    there: RealService, root: Path, finished: str
) -> None:
    ask = b"GET /v1/jobs/%s/archive HTTP/1.1\r\n" % finished.encode() + HEAD + b"\r\n"
    for _ in range(10):
        with connection(there.url, receive_bytes=4096) as client:
            client.sendall(ask)
            client.recv(1000)
    give_up_at = time.monotonic() + IDLE_SECONDS
    while there.open_files(root / "jobs"):
        assert time.monotonic() < give_up_at
        time.sleep(0.02)
