"""What a run shows while it runs, with a step that costs nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from dgnet.model.checkpoints import CheckpointError
from dgnet.model.training.pace import Moment
from dgnet.model.training.run import (
    Iterations,
    RunOptions,
    TrainingDiverged,
    run_iterations,
)
from dgnet.model.training.state import TrainingState, saved_iterations


def run(
    directory: Path,
    *,
    iterations: int = 2,
    progress: bool = False,
    resume: bool = False,
    log_every: int = 1,
    broken_at: int | None = None,
) -> None:
    """Losses 1, 2, 3, ... by the name that the bar shortens, none from `broken_at` on."""

    def step(moment: Moment) -> dict[str, torch.Tensor]:
        iteration = moment.number
        broken = broken_at is not None and iteration >= broken_at
        return {"total": torch.tensor(float("nan") if broken else iteration + 1.0)}

    network = nn.Linear(1, 1)
    state = TrainingState(
        directory, {"network": network}, {"sgd": torch.optim.SGD(network.parameters())}, {}
    )
    run_iterations(
        RunOptions(
            directory=directory,
            log_every=log_every,
            checkpoint_every=2,
            progress=progress,
            resume=resume,
        ),
        state,
        Iterations(count=iterations, seed=0, step=step, scalars=lambda position: {"rate": 0.5}),
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


def test_a_summary_tells_programs_how_far_a_run_is(tmp_path: Path) -> None:
    run(tmp_path / "run", iterations=2)
    run(tmp_path / "run", iterations=3, resume=True)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["seconds"] >= 0
    assert summary["iterations_per_second"] > 0
    del summary["seconds"], summary["iterations_per_second"]
    assert summary == {
        "iteration": 3,
        "iterations": 3,
        "finished": True,
        "resumed_from": 2,
        "losses": {"total": 3.0},
        "schedule": {"rate": 0.5},
    }


@pytest.mark.parametrize(("broken_at", "kept"), [(1, 0), (3, 2)])
def test_a_run_whose_loss_breaks_stops_before_it_saves(
    tmp_path: Path, broken_at: int, kept: int
) -> None:
    with pytest.raises(TrainingDiverged, match=f"iteration {broken_at}: total is not a finite"):
        run(tmp_path / "run", iterations=5, log_every=100, broken_at=broken_at)
    assert saved_iterations(tmp_path / "run") == kept


def test_resuming_what_was_never_saved_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no state to resume from"):
        run(tmp_path / "run", resume=True)
