"""A real worker process around a model that costs nothing: `python -m benchmarks.null_worker`.

What remains is the path around the model: HTTP, decoding, queue, batching, encoding.
`DGNET_REDIS_URL` names the queue; the arguments are the model's height and width.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import uvloop

from dgnet.arrays import Floats, Pixels
from dgnet.jobs.contract import Scene
from dgnet.jobs.settings import QueueSettings, WorkerSettings
from dgnet.worker.main import run_worker


class NullPredictor:
    """The composite is the structure picture, the embedding one constant unit vector."""

    embedding_size = 1024
    model_id, model_version, device_name = "null", "000000000000", "none"
    keeps_scene = False

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.card: dict[str, Any] = {}

    def swap(
        self, appearance_images: Pixels, structure_images: Pixels, *, scene: list[Scene | None]
    ) -> Pixels:
        return structure_images

    def embed(self, images: Pixels) -> Floats:
        return np.full((len(images), self.embedding_size), self.embedding_size**-0.5, np.float32)

    def appearance_styles(self, images: Pixels) -> Pixels:
        return images

    def structure_codes(self, images: Pixels) -> Pixels:
        return images

    def compose(self, appearances: Pixels, structures: Pixels, *, scene: Scene | None) -> Pixels:
        return structures

    def interpolate(
        self,
        first: Pixels,
        second: Pixels,
        shares: Sequence[float],
        structures: Pixels,
        *,
        scene: Scene | None,
    ) -> Pixels:
        return structures

    def free_memory(self) -> None:
        """There is none."""


if __name__ == "__main__":
    predictor = NullPredictor(int(sys.argv[1]), int(sys.argv[2]))
    uvloop.run(run_worker(predictor, QueueSettings(), WorkerSettings()))
