"""Where the time of a job goes, by stage.

Stages on threads add up the seconds of all threads, so that their sum may exceed the clock's. On a
GPU work is queued: what the host waits for is counted where it waits, mostly under `decode`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, get_args

Stage = Literal[
    "read", "wait for pictures", "appearance codes", "structure codes", "wait for codes", "decode",
    "judge", "wait for device", "write", "wait for writing", "publish",
]  # fmt: skip


Role = Literal["appearance", "structure"]

ENCODING: dict[Role, Stage] = {"appearance": "appearance codes", "structure": "structure codes"}


@dataclass(kw_only=True)
class CodeCounts:
    """What became of the codes of pictures in one role, each counted once by every shard that needs
    it."""

    encoded: int = 0
    from_earlier_shards: int = 0


class StageClock:
    """Seconds by stage, and how many codes were made; any thread may report."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._codes: dict[Role, CodeCounts] = {role: CodeCounts() for role in get_args(Role)}
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

    def count_codes(self, role: Role, *, encoded: int = 0, from_earlier_shards: int = 0) -> None:
        """So many more."""
        with self._lock:
            self._codes[role].encoded += encoded
            self._codes[role].from_earlier_shards += from_earlier_shards

    @property
    def codes(self) -> dict[Role, CodeCounts]:
        with self._lock:
            return {role: replace(counts) for role, counts in self._codes.items()}
