"""`dgnet worker --devices`: one process a card, begun again where one ends, ended together."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from dgnet.commands import worker_processes as supervisor
from dgnet.commands.failures import InputError
from dgnet.commands.worker_processes import (
    Place,
    WorkerProcess,
    places,
    supervise,
    visible_cards,
    worker_processes,
)
from dgnet.jobs.connection import connect
from dgnet.jobs.contract import WorkerInfo
from dgnet.jobs.keys import Keys
from dgnet.jobs.live_workers import read_workers
from tests.generation.jobs import save_tiny_checkpoint
from tests.processes import STOP_SECONDS, command
from tests.redis_server import RedisServer
from tests.worker.harness import until

STAYS = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()}\\n")
time.sleep(600)
"""


def staying(note: Path) -> WorkerProcess:
    """Notes its number and stays until it is told to end."""
    return WorkerProcess(
        name=note.name, command=[sys.executable, "-c", STAYS, str(note)], environment=os.environ
    )


def pids(note: Path) -> list[int]:
    """Of every process that noted itself so far."""
    lines = note.read_text().splitlines(keepends=True) if note.exists() else []
    return [int(line) for line in lines if line.endswith("\n")]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_all_is_a_process_for_each_visible_card_which_sees_no_other() -> None:
    assert places("all", ["2", "GPU-5e0a"]) == [
        Place(name="card 2", device="cuda", environment={"CUDA_VISIBLE_DEVICES": "2"}),
        Place(
            name="card GPU-5e0a", device="cuda", environment={"CUDA_VISIBLE_DEVICES": "GPU-5e0a"}
        ),
    ]


def test_devices_may_be_named_and_twice() -> None:
    assert [place.name for place in places("cuda:1, cpu,cuda:1", ["4", "7"])] == [
        "card 7", "cpu", "card 7",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        ("all", "torch sees no CUDA device"),
        ("cuda:0", "has cuda:0, but torch sees 0 CUDA devices"),
        ("auto", "has 'auto'; expected all, or cpu and cuda:N by commas"),
        ("cpu,", "has ''; expected"),
        ("cuda", "has 'cuda'; expected"),
    ],
)
def test_what_is_no_device_is_refused(devices: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        places(devices, [])


@pytest.mark.parametrize(
    ("variable", "count", "expected"),
    [(None, 2, ["0", "1"]), ("3,1", 2, ["3", "1"]), ("3, 9,1", 1, ["3"]), ("", 0, [])],
)
def test_cards_are_called_as_the_driver_calls_them(
    variable: str | None, count: int, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if variable is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    assert visible_cards() == expected


def test_processes_serve_their_metrics_at_ports_of_their_own() -> None:
    made = worker_processes(
        places("all", ["0", "1"]), ["--precision", "bf16"], {"DGNET_METRICS_PORT": "9100", "A": "B"}
    )
    assert [process.environment for process in made] == [
        {"DGNET_METRICS_PORT": "9100", "A": "B", "CUDA_VISIBLE_DEVICES": "0"},
        {"DGNET_METRICS_PORT": "9101", "A": "B", "CUDA_VISIBLE_DEVICES": "1"},
    ]
    assert made[0].command[1:] == [
        "-m", "dgnet", "worker", "--device", "cuda", "--precision", "bf16",
    ]  # fmt: skip


async def test_a_process_that_ends_is_begun_again_and_a_signal_ends_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.05)
    one, other = tmp_path / "one", tmp_path / "other"
    running = asyncio.create_task(supervise([staying(one), staying(other)], finish_seconds=20))
    await until(lambda: bool(pids(one) and pids(other)))
    os.kill(pids(one)[0], signal.SIGKILL)
    await until(lambda: len(pids(one)) == 2)
    assert is_alive(pids(other)[0])
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(STOP_SECONDS):
        await running
    assert not any(is_alive(pid) for pid in (*pids(one), *pids(other)))
    assert len(pids(other)) == 1


async def test_wrong_settings_end_all_instead_of_being_tried_for_ever(tmp_path: Path) -> None:
    stays = tmp_path / "stays"
    refuses = WorkerProcess(
        name="card 1",
        command=[sys.executable, "-c", "raise SystemExit(2)"],
        environment=os.environ,
    )
    with pytest.raises(InputError, match="the worker on card 1 cannot work with these settings"):
        await supervise([staying(stays), refuses], finish_seconds=20)
    assert not any(is_alive(pid) for pid in pids(stays))


async def test_a_process_that_does_not_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "KILL_SECONDS", 0.1)
    note = tmp_path / "deaf"
    deaf = STAYS.replace("lambda number, frame: sys.exit(0)", "signal.SIG_IGN")
    process = WorkerProcess(
        name="deaf", command=[sys.executable, "-c", deaf, str(note)], environment=os.environ
    )
    running = asyncio.create_task(supervise([process], finish_seconds=0.1))
    await until(lambda: bool(pids(note)))
    os.kill(os.getpid(), signal.SIGINT)
    async with asyncio.timeout(STOP_SECONDS):
        await running
    assert not is_alive(pids(note)[0])


@pytest.mark.slow
async def test_two_workers_on_one_machine_share_the_queue(tmp_path: Path) -> None:
    checkpoint = save_tiny_checkpoint(tmp_path / "checkpoint")
    with RedisServer() as server:
        redis = connect(server.url)

        async def ready() -> list[WorkerInfo]:
            return [one for one in await read_workers(redis, Keys("dgnet")) if one.ready]

        options = ("--devices", "cpu,cpu", "--checkpoint", str(checkpoint))
        with command("worker", *options, "--redis-url", server.url) as process:
            async with asyncio.timeout(STOP_SECONDS):
                while len(await ready()) < 2:
                    assert process.poll() is None
                    await asyncio.sleep(0.1)
            process.terminate()
            assert await asyncio.to_thread(process.wait, STOP_SECONDS) == 0
        assert await read_workers(redis, Keys("dgnet")) == []
        await redis.aclose()
