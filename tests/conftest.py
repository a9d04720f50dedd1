"""What tests of several packages stand on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from tests.s3_server import S3Server

# Commands of tests, and processes that they start, compute in float32 unless a test says else:
# what `auto` chooses hangs on the processor.
os.environ["DGNET_PRECISION"] = "fp32"


@pytest.fixture(autouse=True)
def numbers_as_they_are() -> Iterator[None]:
    """Training flushes the smallest ones to zero, for the whole thread; other tests need them."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """An empty store; whatever runs in this process or is started from it finds it."""
    with S3Server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server
