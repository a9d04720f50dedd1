"""Gives a worker what it needs to make data sets, where the libraries for it are installed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from redis.asyncio import Redis

from dgnet.commands.judge_options import load_judge
from dgnet.commands.processes import read_settings
from dgnet.jobs.settings import QueueSettings, WorkerSettings
from dgnet.jobs.storage import StorageSettings

if TYPE_CHECKING:
    from dgnet.model.checkpoints import Checkpoint
    from dgnet.model.predictor import Predictor
    from dgnet.worker.bulk import BulkWork
    from dgnet.worker.device import DeviceThread

_log = logging.getLogger(__name__)


def bulk_work(
    checkpoint: Checkpoint, predictor: Predictor, device: DeviceThread, settings: QueueSettings
) -> Callable[[Redis], BulkWork] | None:
    """Makes the bulk work of a worker on a queue; None where a library is missing."""
    try:
        from dgnet.generation.local_run import require_libraries
        from dgnet.worker.runner import GenerationRunner

        require_libraries()
    except ModuleNotFoundError as error:
        _log.warning(
            "this worker makes no data sets, for %s is not installed: install dgnet[generate]",
            error.name,
        )
        return None
    worker_settings = read_settings(WorkerSettings)
    storage = read_settings(StorageSettings)
    judge = load_judge(worker_settings.judge, device=str(predictor.device))
    return lambda redis: GenerationRunner(
        redis, checkpoint, predictor, device, settings, worker_settings, storage, judge
    )
