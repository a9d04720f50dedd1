"""One tiny checkpoint, a folder of tiny people and a store for all tests of generation."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from dgnet.model.checkpoints import Checkpoint
from dgnet.model.predictor import Predictor
from tests.generation.jobs import PERSONS, load, save_tiny_checkpoint
from tests.model.tiny import write_people


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="session")
def networks(checkpoint: Path) -> tuple[Checkpoint, Predictor]:
    return load(checkpoint)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Five persons under three cameras."""
    return write_people(tmp_path / "people", persons=PERSONS)


@pytest.fixture
def memory() -> Iterator[str]:
    """URL of an empty place in this process, which any fsspec of it reaches."""
    yield "memory://sets/one"
    system = importlib.import_module("fsspec.implementations.memory").MemoryFileSystem
    system.store.clear()
    system.pseudo_dirs[:] = [""]
