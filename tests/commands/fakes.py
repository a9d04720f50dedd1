"""A predictor whose answers can be computed by hand, and the command line around it.

`python -m tests.commands.fakes serve --port 0` is `dgnet serve` with this predictor: everything is
real but the networks.

Legend: B pictures, H x W pixels.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from dgnet.arrays import Floats, Pixels
from dgnet.commands import local
from dgnet.commands.cli import main
from dgnet.model.checkpoints import Checkpoint, Metadata
from dgnet.model.codes import AppearanceCode, StructureCode, join_appearances
from dgnet.model.dgnet import DGNet
from dgnet.model.rows import nothing
from dgnet.model.waist import joined_at_waist
from tests.model.tiny import tiny_network

BROKEN: Final = "TEST_BROKEN_PREDICTOR"
"""With this variable set, `python -m tests.commands.fakes` has a device that does not compute."""


class FakePredictor:
    """The composite is the structure picture, every pixel moved halfway to the appearance's mean.

    Its style is the mean color (B, 3), its structure map the picture itself.
    """

    height = 32
    width = 16
    embedding_size = 3
    model_id = "fake"
    model_version = "0123456789ab"
    device_name = "cpu"
    precision = "float32"
    keeps_scene = False
    scene = "generate"
    device = torch.device("cpu")
    autocast = None
    is_compiled = False

    def __init__(self) -> None:
        self.card: dict[str, Any] = {"preset": "fake"}

    def taking_turns(self, in_turn: object) -> FakePredictor:
        """It has no device to wait for."""
        return self

    def free_memory(self) -> None:
        """It holds none."""

    def appearance_styles(self, images: Pixels) -> AppearanceCode:
        means = torch.tensor(images).float().mean(dim=(1, 2))  # (B, 3)
        return AppearanceCode(means, nothing(means), nothing(means), nothing(means))

    def join_appearances(self, codes: AppearanceCode, pictures: Sequence[int]) -> AppearanceCode:
        return join_appearances(codes, pictures)

    def structure_codes(self, images: Pixels) -> StructureCode:
        pixels = torch.tensor(images).float()  # (B, H, W, 3)
        return StructureCode(pixels, nothing(pixels), nothing(pixels), nothing(pixels))

    def compose(
        self,
        appearances: AppearanceCode,
        structures: StructureCode,
        *,
        scene: str | None = None,
    ) -> Pixels:
        mixed = (structures.maps + appearances.style[:, None, None]) / 2
        return mixed.to(torch.uint8).numpy()

    def compose_halves(
        self, upper: AppearanceCode, lower: AppearanceCode, structures: StructureCode
    ) -> Pixels:
        return joined_at_waist(*(self.compose(worn, structures) for worn in (upper, lower)))

    def interpolate(
        self,
        first: AppearanceCode,
        second: AppearanceCode,
        shares: Sequence[float],
        structures: StructureCode,
        *,
        scene: str | None = None,
    ) -> Pixels:
        style = torch.lerp(first.style, second.style, torch.tensor(shares)[:, None])
        return self.compose(replace(first, style=style), structures)

    def swap(
        self,
        appearance_images: Pixels,
        structure_images: Pixels,
        *,
        scene: object = None,
    ) -> Pixels:
        return self.compose(
            self.appearance_styles(appearance_images), self.structure_codes(structure_images)
        )

    def embed(self, images: Pixels) -> Floats:
        means = images.astype(np.float32).mean(axis=(1, 2)) + 1
        return means / np.linalg.norm(means, axis=1, keepdims=True)


class BrokenPredictor(FakePredictor):
    """A device that does not compute."""

    def compose(
        self,
        appearances: AppearanceCode,
        structures: StructureCode,
        *,
        scene: str | None = None,
    ) -> Pixels:
        raise RuntimeError("no kernel image is available")


def load_broken(
    checkpoint: Path | None, *, device: str, precision: str, scene: str | None = None
) -> FakePredictor:
    """Stands for `dgnet.commands.local.load_predictor` on a machine with an unfit device."""
    return BrokenPredictor()


def load_fake(
    checkpoint: Path | None, *, device: str, precision: str, scene: str | None = None
) -> FakePredictor:
    """Stands for `dgnet.commands.local.load_predictor`."""
    return FakePredictor()


def load_networks(
    checkpoint: Path | None, *, device: str, precision: str, **compiling: object
) -> tuple[Checkpoint, FakePredictor]:
    """Stands for `dgnet.commands.local.load_networks`; the checkpoint is one in name only."""
    load = load_broken if BROKEN in os.environ else load_fake
    metadata = Metadata(config=tiny_network(), networks=(), sha256=FakePredictor.model_version)
    nothing = Checkpoint(metadata=metadata, networks=DGNet(tiny_network()), teacher=None)
    return nothing, load(checkpoint, device=device, precision=precision)


if __name__ == "__main__":
    local.load_networks = load_networks  # pyright: ignore[reportAttributeAccessIssue]
    main()
