"""Real worker processes that make data sets on tiny networks, to be killed.

`python -m tests.faults.processes CHECKPOINT` is such a worker; settings come from DGNET_...
variables, as for `dgnet worker`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from dgnet.generation.upload.store import Store
from dgnet.jobs.settings import QueueSettings, WorkerSettings
from dgnet.jobs.storage import StorageSettings
from dgnet.worker.device import DeviceThread
from dgnet.worker.main import run_worker
from dgnet.worker.runner import GenerationRunner
from tests.generation.jobs import load
from tests.worker.harness import ROOT

SLOW = "TEST_SECONDS_PER_BATCH"
"""With this variable every bulk device call takes so much longer: there is time to kill."""
MOST_PUTS = "TEST_MOST_PUTS"
"""With this variable only so many files are put to a store; whoever puts another one hangs."""


class BulkProcess:
    """A worker in a process of its own."""

    def __init__(
        self,
        checkpoint: Path,
        settings: QueueSettings,
        storage: StorageSettings,
        *,
        seconds_per_batch: float,
        largest_file_bytes: int | None,
        most_puts: int | None,
    ) -> None:
        variables = {
            **settings.model_dump(exclude_none=True),
            **storage.model_dump(),
            "generation_batch": 4,
            "generation_threads": 1,
            "shutdown_seconds": 60,
        }
        environment = {f"DGNET_{name.upper()}": str(value) for name, value in variables.items()}
        command = [sys.executable, "-m", "tests.faults.processes", str(checkpoint)]
        if largest_file_bytes is not None:
            command = ["prlimit", f"--fsize={largest_file_bytes}", *command]
        if most_puts is not None:
            environment[MOST_PUTS] = str(most_puts)
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={
                **os.environ, **environment, SLOW: str(seconds_per_batch), "OMP_NUM_THREADS": "1",
            },
        )  # fmt: skip

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.process.wait(90)


@contextmanager
def bulk_process(
    checkpoint: Path,
    settings: QueueSettings,
    storage: StorageSettings,
    *,
    seconds_per_batch: float = 0.0,
    largest_file_bytes: int | None = None,
    most_puts: int | None = None,
) -> Generator[BulkProcess]:
    """A worker that lives as long as the context, unless it is killed before."""
    process = BulkProcess(
        checkpoint, settings, storage,
        seconds_per_batch=seconds_per_batch, largest_file_bytes=largest_file_bytes,
        most_puts=most_puts,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()


def hang_after(most_puts: int) -> None:
    """Whoever puts one file more waits for good."""
    left, put = threading.Semaphore(most_puts), Store.put

    def put_or_hang(self: Store, path: Path, name: str) -> None:
        left.acquire()
        put(self, path, name)

    Store.put = put_or_hang


def main() -> None:
    logging.basicConfig(level=logging.WARNING)
    torch.set_num_threads(1)
    checkpoint, predictor = load(Path(sys.argv[1]))
    settings, worker_settings = QueueSettings(), WorkerSettings()
    device, storage = DeviceThread(), StorageSettings()
    seconds = float(os.environ[SLOW])
    if seconds:
        run_bulk = device.run_bulk

        def slowly(call: Callable[[], Any]) -> Any:
            time.sleep(seconds)
            return run_bulk(call)

        device.run_bulk = slowly
    if MOST_PUTS in os.environ:
        hang_after(int(os.environ[MOST_PUTS]))
    asyncio.run(
        run_worker(
            predictor, settings, worker_settings, device=device,
            bulk_work=lambda redis: GenerationRunner(
                redis, checkpoint, predictor, device, settings, worker_settings, storage
            ),
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
