"""An untrained checkpoint of few pixels: its composites look like nothing, yet are defined."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dgnet.model.checkpoints import save_checkpoint
from dgnet.model.config import preset
from dgnet.model.dgnet import DGNet


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1904)  # pyright: ignore[reportUnknownMemberType]
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    save_checkpoint(folder, DGNet(preset("small", identities=4, height=64, width=48)))
    return folder
