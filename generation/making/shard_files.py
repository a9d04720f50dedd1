"""Composites of one shard on their way to the disk: threads encode and write them.

Legend: H x W pixels.
"""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Executor, Future
from pathlib import Path

from dgnet.arrays import Pixels
from dgnet.generation.making.encoding import encode_composite
from dgnet.generation.making.stages import StageClock
from dgnet.generation.output.publication import make_below
from dgnet.jobs.generation.manifest import Written
from dgnet.jobs.generation.spec import OutputSpec


class ShardFiles:
    """Below one folder; places are those of the shard's positions."""

    def __init__(
        self, folder: Path, output: OutputSpec, threads: Executor, clock: StageClock
    ) -> None:
        self.written: dict[int, Written] = {}
        """What was waited for, by its place."""
        self._folder = folder
        self._output = output
        self._threads = threads
        self._clock = clock
        self._unfinished: deque[tuple[int, Future[Written]]] = deque()

    def write(self, place: int, name: str, pixels: Pixels) -> None:
        """Begin to write a composite (H, W, 3) at a path below the folder."""
        self._unfinished.append((place, self._threads.submit(self._write, name, pixels)))

    def wait(self, *, leave: int) -> None:
        """Until at most so many are unwritten; raises what went wrong."""
        while len(self._unfinished) > leave:
            place, future = self._unfinished.popleft()
            self.written[place] = future.result()

    def cancel(self) -> None:
        """Nothing is written any more: a folder that is still written to cannot be removed."""
        for _, future in self._unfinished:
            if not future.cancel():
                future.exception()
        self._unfinished.clear()

    def _write(self, name: str, pixels: Pixels) -> Written:
        path = self._folder / name
        with self._clock.stage("write"):
            data = encode_composite(pixels, self._output)
            try:
                path.write_bytes(data)
            except FileNotFoundError:
                make_below(self._folder, path.parent)  # never more: the folder may be closed
                path.write_bytes(data)
            return Written(name, hashlib.sha256(data).hexdigest(), len(data))
