"""A worker process with the fake predictor: `python -m tests.worker.worker_process SECONDS`.

Settings come from DGNET_... variables, as for the real one.
"""

from __future__ import annotations

import asyncio
import logging
import sys

from dgnet.jobs.settings import QueueSettings, WorkerSettings
from dgnet.worker.main import run_worker
from tests.worker.fakes import FakePredictor

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    predictor = FakePredictor(seconds_per_batch=float(sys.argv[1]))
    asyncio.run(run_worker(predictor, QueueSettings(), WorkerSettings()))
