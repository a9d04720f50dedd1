"""A predictor without networks: answers can be told by hand, and it misbehaves on demand."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dgnet.arrays import Floats, Pixels
from dgnet.jobs.contract import EmbedJob, GridCell, GridJob, Scene, SwapJob

HEIGHT, WIDTH, EMBEDDING_SIZE = 8, 4, 3

# Structure pictures of this one color misbehave.
FAILS = 251
KILLS_ITS_PROCESS = 252

GRID = tuple(GridCell(appearance=row, structure=column) for row in (0, 1) for column in (0, 1, 2))


class OutOfMemoryError(RuntimeError):
    """Named like torch's."""


@dataclass(frozen=True)
class FakeCodes:
    """The code of a picture is the picture."""

    images: Pixels

    def __getitem__(self, rows: slice | list[int]) -> FakeCodes:
        return FakeCodes(self.images[rows])

    @classmethod
    def cat(cls, parts: Sequence[FakeCodes]) -> FakeCodes:
        return cls(np.concatenate([part.images for part in parts]))


class FakePredictor:
    """Composite = half of each picture added, the structure's alone where a scene is to be kept;
    embedding = the picture's mean, three times."""

    height, width, embedding_size = HEIGHT, WIDTH, EMBEDDING_SIZE
    model_id, model_version, device_name = "fake", "0123456789ab", "cpu"

    def __init__(
        self,
        *,
        seconds_per_batch: float = 0.0,
        fits_in_memory: int | None = None,
        open_gate: bool = True,
        height: int = HEIGHT,
        width: int = WIDTH,
        keeps_scene: bool = False,
    ) -> None:
        self.height, self.width, self.keeps_scene = height, width, keeps_scene
        self.card: dict[str, Any] = {"license": "CC0-1.0"}
        self.batches: list[tuple[str, int]] = []  # kind and size of each device call
        self.gate = threading.Event()  # closed: every call waits
        if open_gate:
            self.gate.set()
        self.broken = False
        self.freed = 0
        """How often memory was given back."""
        self._seconds_per_batch = seconds_per_batch
        self._fits_in_memory = fits_in_memory

    def swap(
        self, appearance_images: Pixels, structure_images: Pixels, *, scene: list[Scene | None]
    ) -> Pixels:
        self._run("swap", structure_images)
        composites = appearance_images // 2 + structure_images // 2
        kept = np.array([one == "keep" for one in scene])[:, None, None, None]
        return np.where(kept, structure_images, composites)

    def embed(self, images: Pixels) -> Floats:
        self._run("embed", images)
        means = images.mean(axis=(1, 2, 3), dtype=np.float32)
        return np.repeat(means[:, None], EMBEDDING_SIZE, axis=1)

    def appearance_styles(self, images: Pixels) -> FakeCodes:
        self._run("appearance", images)
        return FakeCodes(images)

    def structure_codes(self, images: Pixels) -> FakeCodes:
        self._run("structure", images)
        return FakeCodes(images)

    def compose(
        self, appearances: FakeCodes, structures: FakeCodes, *, scene: Scene | None
    ) -> Pixels:
        self._run("cell", structures.images)
        composites = appearances.images // 2 + structures.images // 2
        return structures.images if scene == "keep" else composites

    def interpolate(
        self,
        first: FakeCodes,
        second: FakeCodes,
        shares: Sequence[float],
        structures: FakeCodes,
        *,
        scene: Scene | None,
    ) -> Pixels:
        steps = np.array(shares)[:, None, None, None] * (second.images - first.images.astype(float))
        worn = FakeCodes((first.images + steps).astype(np.uint8))
        return self.compose(worn, structures, scene=scene)

    def free_memory(self) -> None:
        self.freed += 1

    def sizes(self, kind: str) -> list[int]:
        """Sizes of the batches of one kind since the canary."""
        return [size for name, size in self.batches if name == kind][1:]

    def _run(self, kind: str, images: Pixels) -> None:
        self.batches.append((kind, len(images)))
        if len(self.batches) > 2:  # the canary's two calls are quick
            self.gate.wait()
            time.sleep(self._seconds_per_batch)
        if self.broken:
            raise RuntimeError("the device fell off the bus")
        if self._fits_in_memory is not None and len(images) > self._fits_in_memory:
            raise OutOfMemoryError(f"{len(images)} pictures do not fit")
        colors = images[:, 0, 0, 0]
        if (colors == KILLS_ITS_PROCESS).any():
            os.kill(os.getpid(), signal.SIGKILL)
        if (colors == FAILS).any():
            raise ValueError("one of these pictures cannot be decoded")


def picture(color: int, *, height: int = HEIGHT, width: int = WIDTH) -> Pixels:
    """One color everywhere."""
    return np.full((height, width, 3), color, dtype=np.uint8)


def swap_job(appearance: int = 10, structure: int = 20) -> SwapJob:
    """Its composite has the color appearance // 2 + structure // 2."""
    return SwapJob(appearance_image=picture(appearance), structure_image=picture(structure))


def embed_job(*colors: int) -> EmbedJob:
    """Its embeddings are the colors, three times each."""
    return EmbedJob(images=np.stack([picture(color) for color in colors]))


def grid_job(
    appearances: tuple[int, ...] = (10, 20),
    structures: tuple[int, ...] = (100, 120, 140),
    cells: tuple[GridCell, ...] = GRID,
    scene: Scene | None = None,
) -> GridJob:
    """A cell's color is half of each picture's added."""
    return GridJob(
        appearance_images=np.stack([picture(color) for color in appearances]),
        structure_images=np.stack([picture(color) for color in structures]),
        cells=cells,
        scene=scene,
    )
