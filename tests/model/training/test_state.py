"""Saved states: the last few, whole or not at all, and the way back when one is damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from dgnet.model.checkpoints import CheckpointError
from dgnet.model.training.state import STATE_JSON, STATE_TENSORS, TrainingState, saved_iterations


def a_state(run: Path, value: float = 0.0) -> tuple[TrainingState, nn.Linear]:
    """Of a network whose only weight is `value`."""
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, value)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0, momentum=0.9)
    return TrainingState(run, {"network": network}, {"sgd": optimizer}, {"seed": 1}), network


def saved(run: Path, *iterations: int, keep: int = 2) -> None:
    for iteration in iterations:
        a_state(run, float(iteration))[0].save(iteration, keep=keep)


def names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "state").iterdir())


def test_the_newest_states_are_kept(tmp_path: Path) -> None:
    saved(tmp_path, 1, 2, 3)
    assert names(tmp_path) == ["000002", "000003"]
    saved(tmp_path, 4, keep=1)
    assert names(tmp_path) == ["000004"]
    assert saved_iterations(tmp_path) == 4


def test_states_are_ordered_by_number_beyond_six_digits(tmp_path: Path) -> None:
    saved(tmp_path, 999_999, 1_000_000, 1_000_001)
    assert names(tmp_path) == ["1000000", "1000001"]
    assert saved_iterations(tmp_path) == 1_000_001


def cut_short(folder: Path) -> None:
    path = folder / STATE_TENSORS
    path.write_bytes(path.read_bytes()[:-1])


def changed(folder: Path) -> None:
    path = folder / STATE_TENSORS
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")


def without_tensors(folder: Path) -> None:
    (folder / STATE_TENSORS).unlink()


def without_words(folder: Path) -> None:
    (folder / STATE_JSON).write_text("{")


def of_another_iteration(folder: Path) -> None:
    path = folder / STATE_JSON
    path.write_text(json.dumps({**json.loads(path.read_text()), "iteration": 7}))


@pytest.mark.parametrize(
    "damage",
    [cut_short, changed, without_tensors, without_words, of_another_iteration],
    ids=lambda damage: damage.__name__,
)
def test_a_damaged_state_is_told_and_the_one_before_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: object
) -> None:
    assert callable(damage)
    saved(tmp_path, 1, 2)
    damage(tmp_path / "state" / "000002")
    state, network = a_state(tmp_path)
    assert state.restore() == 1
    assert network.weight.item() == 1.0
    told = capsys.readouterr().err
    assert "state/000002 is damaged" in told
    assert "going back to" in told
    state.tidy()
    assert names(tmp_path) == ["000001"]


def test_a_run_whose_states_are_all_damaged_is_not_begun_anew(tmp_path: Path) -> None:
    saved(tmp_path, 1, 2)
    for name in ("000001", "000002"):
        cut_short(tmp_path / "state" / name)
    state, _ = a_state(tmp_path)
    with pytest.raises(CheckpointError, match="no saved state can be resumed from"):
        state.restore()
    assert names(tmp_path) == ["000001", "000002"]


def test_what_killed_processes_left_is_no_state_and_is_tidied_up(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    for name in (".000002-half", ".000000-discarded"):
        (tmp_path / "state" / name).mkdir()
    state, _ = a_state(tmp_path)
    assert state.restore() == 1
    state.tidy()
    assert names(tmp_path) == ["000001"]
