"""`dgnet worker --devices`: one worker process for each device and checkpoint, begun again where
one ends.

A process has one card and sees no other, by CUDA_VISIBLE_DEVICES: whatever it does without naming a
device happens on its own. Who is started here reads the same settings as a worker alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from dgnet.commands.failures import InputError

_log = logging.getLogger(__name__)

ALL = "all"
VISIBLE = "CUDA_VISIBLE_DEVICES"
METRICS_PORT = "DGNET_METRICS_PORT"

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
"""Before a worker that ended is begun again; twice as long each time, until one lives longer."""

KILL_SECONDS = 5.0
"""Beyond its own time to finish, before a worker that was told to end is killed."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What one process computes on."""

    name: str
    """For people: `card 2`, `cpu`."""
    device: str
    """As in `dgnet worker --device`."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


def places(devices: str, cards: Sequence[str]) -> list[Place]:
    """`all` cards, or names such as `cuda:0,cuda:1` and `cpu,cpu`; `cards` are the visible ones, as
    CUDA_VISIBLE_DEVICES calls them.

    Raises InputError.
    """
    if devices.strip() == ALL:
        if not cards:
            raise InputError(
                "--devices all: torch sees no CUDA device; see docs/gpu.md, or name devices, such "
                "as cpu"
            )
        names = [f"cuda:{number}" for number in range(len(cards))]
    else:
        names = [name.strip() for name in devices.split(",")]
    return [_place(name, cards) for name in names]


def _place(name: str, cards: Sequence[str]) -> Place:
    if name == "cpu":
        return Place(name=name, device=name)
    number = name.removeprefix("cuda:")
    if number == name or not number.isascii() or not number.isdecimal():
        raise InputError(f"--devices has {name!r}; expected all, or cpu and cuda:N by commas")
    if int(number) >= len(cards):
        raise InputError(f"--devices has {name}, but torch sees {len(cards)} CUDA devices")
    card = cards[int(number)]
    return Place(name=f"card {card}", device="cuda", environment={VISIBLE: card})


def visible_cards() -> list[str]:
    """The cards that torch can use, as CUDA_VISIBLE_DEVICES names them: numbers or UUIDs."""
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get(VISIBLE)
    names = named.split(",") if named else map(str, range(count))
    return [name.strip() for name in names][:count]


@dataclass(frozen=True, kw_only=True)
class WorkerProcess:
    """How one is started."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]


def worker_processes(
    places: Sequence[Place],
    options: Sequence[str],
    environment: Mapping[str, str],
    checkpoints: Sequence[Path] = (),
) -> list[WorkerProcess]:
    """This program again, as one worker at each place for each checkpoint; metrics are served at
    one port after the other.
    """
    made: list[WorkerProcess] = []
    for place, checkpoint in product(places, checkpoints or [None]):
        own = {**environment, **place.environment}
        if port := environment.get(METRICS_PORT):
            own[METRICS_PORT] = str(int(port) + len(made))
        command = [sys.executable, "-m", "dgnet", "worker", "--device", place.device, *options]
        name = place.name
        if checkpoint is not None:
            command += ["--checkpoint", str(checkpoint)]
            name += f" ({checkpoint.name})" if len(checkpoints) > 1 else ""
        made.append(WorkerProcess(name=name, command=command, environment=own))
    return made


async def supervise(processes: Sequence[WorkerProcess], *, finish_seconds: float) -> None:
    """Keeps each of the processes alive until SIGTERM or SIGINT, which lets them finish.

    Raises InputError, and ends all, if one says by its exit code that settings are wrong.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with asyncio.TaskGroup() as group:
            for process in processes:
                group.create_task(_keep(process, stop, finish_seconds))
    except* InputError as errors:
        raise errors.exceptions[0] from None
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _keep(kept: WorkerProcess, stop: asyncio.Event, finish_seconds: float) -> None:
    name, pause = kept.name, FIRST_PAUSE_SECONDS
    while not stop.is_set():
        begun = time.monotonic()
        process = await asyncio.create_subprocess_exec(*kept.command, env=kept.environment)
        _log.info("the worker on %s is process %d", name, process.pid)
        try:
            await _first_of(process, stop)
        finally:
            await _end(process, finish_seconds)
        if stop.is_set():
            return
        if process.returncode == InputError.exit_code:
            raise InputError(f"the worker on {name} cannot work with these settings, see above")
        if time.monotonic() - begun > LONGEST_PAUSE_SECONDS:
            pause = FIRST_PAUSE_SECONDS
        _log.error(
            "the worker on %s ended with %s and is begun again in %g s",
            name, process.returncode, pause,
        )  # fmt: skip
        try:
            async with asyncio.timeout(pause):
                await stop.wait()
        except TimeoutError:
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


async def _first_of(process: asyncio.subprocess.Process, stop: asyncio.Event) -> None:
    """Until the process ended, or all are to end."""
    waits = {asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())}
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiting in waits:
            waiting.cancel()


async def _end(process: asyncio.subprocess.Process, finish_seconds: float) -> None:
    """Lets a process that still runs finish what it has, for so long."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(finish_seconds + KILL_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
