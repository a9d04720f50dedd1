"""Pictures of one color, a predictor that can be computed by hand, and a real server around it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from dgnet import local
from tests.dgnet.fakes import FakePredictor, load_fake

ROOT = Path(__file__).parents[2]
START_SECONDS = 120.0
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
def fake_predictor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Local commands compute with the fake."""
    monkeypatch.setattr(local, "load_predictor", load_fake)


@contextmanager
def fake_service(*arguments: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """`dgnet serve` with the fake predictor, ready on a free port: the process and its address."""
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("DGNET_")}
    command = [sys.executable, "-m", "tests.dgnet.fakes", "serve", "--port", "0", *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            server = process.stdout.readline().split()[1]
            wait_until_ready(process, server)
            yield process, server
        finally:
            if process.poll() is None:
                process.kill()


def wait_until_ready(process: subprocess.Popen[str], server: str) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up_at:
        assert process.poll() is None, f"the service ended with {process.returncode}"
        try:
            with urllib.request.urlopen(f"{server}/readyz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise AssertionError(f"{server} was not ready after {START_SECONDS} s")


@pytest.fixture(scope="module")
def server() -> Generator[str]:
    """Address of a running embedded service with the fake predictor."""
    with fake_service() as (_, address):
        yield address
