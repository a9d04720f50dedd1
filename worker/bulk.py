"""What a worker asks of whoever makes and checks data sets: the queue itself runs without torch."""

from __future__ import annotations

import threading
from typing import Protocol

from dgnet.jobs.contract import DatasetCheckJob, DatasetCheckResult
from dgnet.jobs.generation.jobs import GenerationTask


class LeaveToOthers(Exception):
    """This worker cannot go on with a message, another one may: it is put back."""


class Halted(Exception):
    """Work in a thread was told to stop."""


class Halt:
    """Tells work in a thread to stop; the thread asks between its pieces."""

    def __init__(self) -> None:
        self._set = threading.Event()

    def set(self) -> None:
        self._set.set()

    def check(self) -> None:
        """Raises Halted if it is time to stop."""
        if self._set.is_set():
            raise Halted


class BulkWork(Protocol):
    """Bulk work of one worker, a piece at a time."""

    @property
    def recipe(self) -> str:
        """What decides the bytes of data sets made here."""
        ...

    async def run(self, task: GenerationTask) -> None:
        """Do a step of a job and tell the job store, also if the job fails by it.

        Raises LeaveToOthers, or DeviceBroken.
        """
        ...

    async def give_up(self, task: GenerationTask, reason: Exception) -> None:
        """Let the task's job fail."""
        ...

    async def check_dataset(self, job: DatasetCheckJob) -> DatasetCheckResult:
        """Raises BadJob for what is no data set, or LeaveToOthers."""
        ...

    async def maintain(self) -> None:
        """What is to be done now and then, until cancelled."""
        ...

    def stop(self) -> None:
        """What is under way ends within a batch, by LeaveToOthers."""
        ...

    def close(self) -> None:
        """Ends the thread; does not wait for it."""
        ...
