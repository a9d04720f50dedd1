"""`dgnet worker`: takes jobs from Redis and runs them in batches on one device, or with a process
for each of several, and for each of several checkpoints.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dgnet.commands.failures import InputError, needs_extra
from dgnet.commands.options import (
    CompileOption,
    Compiling,
    DeviceOption,
    Precision,
    PrecisionOption,
    RedisUrlOption,
)
from dgnet.commands.processes import (
    exit_cleanly_while_starting,
    read_settings,
    start_logging,
    unusable_queue,
)

if TYPE_CHECKING:
    from dgnet.commands.worker_processes import Place


def worker(
    redis_url: RedisUrlOption = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            envvar="DGNET_CHECKPOINT",
            help="Checkpoint folder; the bundled one if absent. May be repeated: a worker process "
            "for each, on the same device.",
        ),
    ] = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    compiling: CompileOption = "auto",
    devices: Annotated[
        str | None,
        typer.Option(
            envvar="DGNET_DEVICES",
            metavar="NAMES",
            help="Instead of --device: a worker process for each of all visible cards (all), or "
            "of cpu and cuda:N, separated by commas.",
        ),
    ] = None,
) -> None:
    """Take jobs from Redis until SIGTERM, then finish what is in flight."""
    import uvloop

    from dgnet.commands.bulk import bulk_work
    from dgnet.commands.local import load_networks
    from dgnet.jobs.connection import connect
    from dgnet.jobs.settings import QueueSettings, WorkerSettings
    from dgnet.worker.device import DeviceThread
    from dgnet.worker.main import run_worker

    exit_cleanly_while_starting()
    if redis_url is None:
        raise InputError("a worker needs a queue: give --redis-url or set DGNET_REDIS_URL")
    try:
        connect(redis_url)
    except ValueError as error:
        raise unusable_queue(redis_url) from error
    settings = read_settings(QueueSettings).model_copy(update={"redis_url": redis_url})
    worker_settings = read_settings(WorkerSettings)
    start_logging()
    weights = list(checkpoint or [])
    if devices or len(weights) > 1:
        chosen = _places(devices, device)
        seconds = worker_settings.shutdown_seconds
        _on_all(chosen, redis_url, weights, precision, compiling, seconds)
        return
    networks, predictor = load_networks(
        weights[0] if weights else None,
        device=device,
        precision=precision,
        compiling=compiling,
        warm=worker_settings.max_batch,
    )
    thread = DeviceThread()
    bulk = bulk_work(networks, predictor, thread, settings)
    uvloop.run(run_worker(predictor, settings, worker_settings, device=thread, bulk_work=bulk))


def _places(devices: str | None, device: str) -> list[Place]:
    from dgnet.commands.worker_processes import Place, places, visible_cards

    if not devices:
        return [Place(name=device, device=device)]
    with needs_extra("worker"):
        return places(devices, visible_cards())


def _on_all(
    chosen: list[Place],
    redis_url: str,
    checkpoints: list[Path],
    precision: Precision,
    compiling: Compiling,
    finish_seconds: float,
) -> None:
    """A process for each device and checkpoint, until a signal."""
    from dgnet.commands.worker_processes import supervise, worker_processes

    # The queue's URL may hold a password: other users of the machine see command lines.
    own = {**os.environ, "DGNET_REDIS_URL": redis_url}
    for name in ("DGNET_DEVICES", "DGNET_CHECKPOINT"):
        own.pop(name, None)
    options = ["--precision", precision, "--compile", compiling]
    processes = worker_processes(chosen, options, own, checkpoints)
    asyncio.run(supervise(processes, finish_seconds=finish_seconds))
