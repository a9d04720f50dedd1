"""One small world for all tests: figures and sprites are made once."""

from __future__ import annotations

import pytest

from dgnet.people.world import World


@pytest.fixture(scope="package")
def world() -> World:
    return World(seed=5, cameras=3)
