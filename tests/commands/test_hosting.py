"""`dgnet serve` and `dgnet worker` as processes: start, stop, exit codes."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from dgnet.commands.failures import CommandError
from dgnet.commands.hosting import host_all, listen
from dgnet.model.predictor import Predictor
from tests.commands.conftest import FAKES
from tests.commands.fakes import BROKEN, load_networks
from tests.processes import STOP_SECONDS, command, readiness, service, wait_until_ready
from tests.redis_server import RedisServer
from tests.worker.harness import until


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with RedisServer() as redis:
        yield redis.url


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_embedded_service_stops_with_exit_code_0(number: signal.Signals) -> None:
    with service(module=FAKES) as (process, server):
        wait_until_ready(process, server)
        process.send_signal(number)
        assert process.wait(STOP_SECONDS) == 0


@pytest.mark.parametrize("front_ends", ["1", "2"])
def test_front_end_and_worker_meet_at_redis_and_stop_with_exit_code_0(
    redis_url: str, front_ends: str
) -> None:
    queue = ["--redis-url", redis_url]
    with service(*queue, "--workers", front_ends, module=FAKES) as (front_end, server):
        with command("worker", *queue, module=FAKES) as worker:
            wait_until_ready(front_end, server)
            worker.terminate()
            assert worker.wait(STOP_SECONDS) == 0
        # The worker took its leave; without it the front end lives and says that it cannot serve.
        give_up_at = time.monotonic() + STOP_SECONDS
        while readiness(server) != 503:
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
        with urllib.request.urlopen(f"{server}/livez") as answer:
            assert answer.status == 200
        front_end.terminate()
        assert front_end.wait(STOP_SECONDS) == 0


def test_an_unfit_device_ends_the_service_with_exit_code_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(BROKEN, "1")
    with service(module=FAKES) as (process, _):
        assert process.wait(STOP_SECONDS) == 1


async def test_a_worker_that_is_killed_ends_the_service(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DGNET_DATA_ROOT", str(tmp_path))
    checkpoint, predictor = load_networks(None, device="cpu", precision="fp32")
    with listen("127.0.0.1", 0) as listener:
        hosting = asyncio.create_task(host_all(listener, checkpoint, cast("Predictor", predictor)))
        await until(lambda: bool(_tasks("heartbeat")))
        [worker] = _tasks("worker")
        while not worker.done():  # Python 3.11 may swallow one, see `cancel_and_wait`
            worker.cancel()
            await asyncio.wait([worker], timeout=1)
        with pytest.raises(CommandError, match="the worker's task was ended by somebody else"):
            await asyncio.wait_for(hosting, STOP_SECONDS)


def _tasks(name: str) -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == name]


def test_a_port_in_use_is_told_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"cannot listen on 127.0.0.1:{port}: Address"):
            listen("127.0.0.1", port)
