"""Tests that need a card are left out where there is none.

`GPU_TESTS_ON=cpu` runs those that can be on the CPU: to write them, and to rehearse the day on
which there is a card.
"""

from __future__ import annotations

import os

import pytest
import torch

REHEARSED_ON = os.environ.get("GPU_TESTS_ON")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if torch.cuda.is_available() or REHEARSED_ON:
        return
    without = [item for item in items if item.get_closest_marker("gpu")]
    items[:] = [item for item in items if not item.get_closest_marker("gpu")]
    if without:
        config.hook.pytest_deselected(items=without)


@pytest.fixture
def device() -> str:
    return REHEARSED_ON or "cuda"


@pytest.fixture
def card(device: str) -> torch.device:
    """For what only a real one does."""
    if device == "cpu":
        pytest.skip("only a card does this")
    return torch.device(device)
