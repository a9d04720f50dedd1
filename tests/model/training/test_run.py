"""What a run shows while it runs, with a step that costs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from model.checkpoints import CheckpointError
from model.training.run import RunOptions, TrainingState, run_iterations, saved_iterations


def run(
    directory: Path, *, iterations: int = 2, progress: bool = False, resume: bool = False
) -> None:
    """Losses 1, 2, 3, ... by the name that the bar shortens."""
    network = nn.Linear(1, 1)
    state = TrainingState(
        directory, {"network": network}, {"sgd": torch.optim.SGD(network.parameters())}, {}
    )
    run_iterations(
        RunOptions(
            directory=directory, log_every=1, checkpoint_every=2, progress=progress, resume=resume
        ),
        state,
        iterations=iterations,
        seed=0,
        step=lambda iteration: {"total": torch.tensor(iteration + 1.0)},
        scalars=lambda iteration: {},
        show=lambda number: None,
    )


def test_the_bar_shows_smoothed_losses_and_speed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "run", progress=True)
    last = capsys.readouterr().err.strip().rsplit("\r", 1)[-1]
    assert "2/2" in last
    assert "it/s" in last
    # 0.8 * 1 + 0.2 * 2.
    assert "total 1.200" in last


def test_a_log_file_gets_a_line_with_every_loss_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "run")
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["1", "2"]
    assert lines[1].endswith("it/s total 2.000")
    assert printed.err == ""


def test_a_run_folder_tells_how_far_it_came(tmp_path: Path) -> None:
    assert saved_iterations(tmp_path / "run") == 0
    run(tmp_path / "run", iterations=2)
    assert saved_iterations(tmp_path / "run") == 2


def test_resuming_what_was_never_saved_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no state to resume from"):
        run(tmp_path / "run", resume=True)
