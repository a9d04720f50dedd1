"""`dgnet worker`: takes jobs from Redis and runs them in batches on one device, or with a process
for each of several.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from dgnet.commands.failures import InputError, needs_extra
from dgnet.commands.options import (
    CheckpointOption,
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


def worker(
    redis_url: RedisUrlOption = None,
    checkpoint: CheckpointOption = None,
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
    if devices:
        _on_all(
            devices, redis_url, checkpoint, precision, compiling, worker_settings.shutdown_seconds
        )
        return
    networks, predictor = load_networks(
        checkpoint,
        device=device,
        precision=precision,
        compiling=compiling,
        warm=worker_settings.max_batch,
    )
    thread = DeviceThread()
    bulk = bulk_work(networks, predictor, thread, settings)
    uvloop.run(run_worker(predictor, settings, worker_settings, device=thread, bulk_work=bulk))


def _on_all(
    devices: str,
    redis_url: str,
    checkpoint: Path | None,
    precision: Precision,
    compiling: Compiling,
    finish_seconds: float,
) -> None:
    """A process for each device, until a signal."""
    from dgnet.commands.worker_processes import places, supervise, visible_cards, worker_processes

    with needs_extra("worker"):
        chosen = places(devices, visible_cards())
    # The queue's URL may hold a password: other users of the machine see command lines.
    own = {**os.environ, "DGNET_REDIS_URL": redis_url}
    own.pop("DGNET_DEVICES", None)
    weights = [] if checkpoint is None else ["--checkpoint", str(checkpoint)]
    processes = worker_processes(
        chosen, ["--precision", precision, "--compile", compiling, *weights], own
    )
    asyncio.run(supervise(processes, finish_seconds=finish_seconds))
