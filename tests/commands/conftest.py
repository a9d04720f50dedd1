"""Pictures of one color, a predictor that can be computed by hand, and a real server around it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import pytest
import torch
from PIL import Image

from dgnet.commands import local
from tests.commands.fakes import FakePredictor, load_fake
from tests.processes import service, wait_until_ready

FAKES = "tests.commands.fakes"
Color = tuple[int, int, int]
PaintPicture = Callable[[str, Color], Path]


@pytest.fixture
def paint(tmp_path: Path) -> PaintPicture:
    """Writes a PNG of one color at the fake model's size."""

    def paint_picture(name: str, color: Color) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (FakePredictor.width, FakePredictor.height), color).save(path)
        return path

    return paint_picture


@pytest.fixture
def normal_arithmetic() -> Generator[None]:
    """Training on a CPU flushes the smallest numbers to zero, for the whole process."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture
def fake_predictor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Local commands compute with the fake."""
    monkeypatch.setattr(local, "load_predictor", load_fake)


@pytest.fixture(scope="module")
def server() -> Generator[str]:
    """Address of a running embedded service with the fake predictor."""
    with service(module=FAKES) as (process, address):
        wait_until_ready(process, address)
        yield address
