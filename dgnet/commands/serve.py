"""`dgnet serve`: the HTTP service, whole in one process or the front end alone.

Without a Redis URL front end, queue and worker share this process and its event loop (device work
runs in a thread); with one this is the front end, and `dgnet worker` does the work elsewhere.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from dgnet.commands.failures import InputError
from dgnet.commands.options import (
    CheckpointOption,
    CompileOption,
    DeviceOption,
    PrecisionOption,
    RedisUrlOption,
)
from dgnet.commands.processes import exit_cleanly_while_starting, read_settings, start_logging


def serve(
    host: Annotated[
        str, typer.Option(envvar="DGNET_HOST", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="DGNET_PORT", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = 8000,
    redis_url: RedisUrlOption = None,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    compiling: CompileOption = "auto",
    workers: Annotated[
        int, typer.Option(min=1, help="Front-end processes; several need --redis-url.")
    ] = 1,
) -> None:
    """Serve the HTTP API: all in one process, or with --redis-url the front end alone."""
    import uvloop

    from dgnet.commands.hosting import host_all, host_front_end, host_front_ends, listen
    from dgnet.commands.local import load_networks
    from dgnet.jobs.addresses import without_secrets
    from dgnet.jobs.settings import WorkerSettings

    if redis_url is None and workers > 1:
        raise InputError(
            f"--workers {workers} needs a queue to share: give --redis-url, or leave --workers out"
        )
    exit_cleanly_while_starting()
    start_logging()
    with listen(host, port) as listener:
        url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
        if redis_url is None:
            networks, predictor = load_networks(
                checkpoint,
                device=device,
                precision=precision,
                compiling=compiling,
                warm=read_settings(WorkerSettings).max_batch,
            )
            typer.echo(
                f"dgnet: {url} serves {predictor.model_id} ({predictor.model_version}) "
                f"on {predictor.device_name}"
            )
            uvloop.run(host_all(listener, networks, predictor))
            return
        os.environ["DGNET_REDIS_URL"] = redis_url  # front-end processes read their settings there
        typer.echo(f"dgnet: {url} queues at {without_secrets(redis_url)}")
        if workers == 1:
            uvloop.run(host_front_end(listener))
        else:
            host_front_ends(listener, processes=workers)
