"""One tiny checkpoint and one folder of tiny people for all tests of generation."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.checkpoints import Checkpoint
from model.predictor import Predictor
from tests.model.tiny import write_people
from tests.worker.generation.jobs import PERSONS, load, save_tiny_checkpoint


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
