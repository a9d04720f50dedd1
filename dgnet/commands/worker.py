"""`dgnet worker`: takes jobs from Redis and runs them in batches on one device."""

from __future__ import annotations

from dgnet.commands.failures import InputError
from dgnet.commands.options import CheckpointOption, DeviceOption, PrecisionOption, RedisUrlOption
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
    networks, predictor = load_networks(checkpoint, device=device, precision=precision)
    thread = DeviceThread()
    bulk = bulk_work(networks, predictor, thread, settings)
    uvloop.run(run_worker(predictor, settings, worker_settings, device=thread, bulk_work=bulk))
