"""Where the time of a job goes, by stage.

Stages on threads add up the seconds of all threads, so that their sum may exceed the clock's. On a
GPU work is queued: what the host waits for is counted where it waits, mostly under `decode`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal, get_args

Stage = Literal[
    "read", "wait for pictures", "appearance codes", "structure codes", "decode", "judge",
    "write", "wait for writing", "publish",
]  # fmt: skip


class StageClock:
    """Seconds by stage; any thread may report."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: dict[Stage, float] = dict.fromkeys(get_args(Stage), 0.0)

    @contextmanager
    def stage(self, name: Stage) -> Generator[None]:
        """Counts the time of its block."""
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - start
            with self._lock:
                self._seconds[name] += seconds

    @property
    def seconds(self) -> dict[Stage, float]:
        with self._lock:
            return dict(self._seconds)
