"""Minutes instead of iterations: a clock that is wound by hand, and runs that go by it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dgnet.model.checkpoints import CheckpointError
from dgnet.model.training import run as run_module
from dgnet.model.training.config import JointConfig
from dgnet.model.training.pace import Moment, Pace
from dgnet.model.training.run import Iterations, RunOptions, run_iterations
from dgnet.model.training.schedule import joint_learning_rate_factor, loss_weights
from dgnet.model.training.state import STATE_JSON, TrainingState


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_without_minutes_the_position_is_the_number_of_iterations() -> None:
    pace = Pace(2)
    pace.start(0, 0.0)
    moments: list[Moment] = []
    while not pace.finished:
        moments.append(pace.moment)
        pace.step()
    assert moments == [Moment(0, 0, 1.0), Moment(1, 1, 1.0)]


def test_with_minutes_the_position_is_their_share_of_the_schedule() -> None:
    clock = Clock()
    pace = Pace(100, minutes=2, clock=clock)
    clock.now += 500  # before the start nothing counts
    pace.start(0, 0.0)
    moments: list[Moment] = []
    for seconds in (30, 60, 40):
        assert not pace.finished
        moments.append(pace.moment)
        clock.now += seconds
        pace.step()
    # 30 and 90 of 120 seconds are 25 and 75 of 100 iterations; 130 are the end.
    assert moments == [Moment(0, 0.0, 0.0), Moment(1, 25.0, 25.0), Moment(2, 75.0, 50.0)]
    assert pace.finished
    assert pace.seconds == 130


def test_a_resumed_pace_goes_on_from_what_was_used() -> None:
    clock = Clock()
    pace = Pace(100, minutes=2, clock=clock)
    pace.start(7, 90.0)
    assert pace.moment == Moment(7, 75.0, 0.0)
    clock.now += 30
    pace.step()
    assert pace.finished


def test_a_schedule_is_stretched_over_the_minutes() -> None:
    # The paper's 100,000 iterations in one minute: ramps and milestones come at their shares.
    clock, config = Clock(), JointConfig()
    pace = Pace(config.iterations, minutes=1, clock=clock)
    pace.start(0, 0.0)
    found: list[tuple[float, float]] = []
    while not pace.finished:
        position = pace.moment.position
        found.append(
            (
                loss_weights(config, position).cycle_reconstruction,
                joint_learning_rate_factor(config, position),
            )
        )
        clock.now += 15.5
        pace.step()
    # At 0, 15.5, 31 and 46.5 s: the ramp to 2 begins at 30,000, the rate falls at 60,000.
    assert [weight for weight, _ in found] == [0, 0, 2, 2]
    assert [factor for _, factor in found] == pytest.approx([1, 1, 1, 0.1])


def run(
    folder: Path, clock: Clock, *, minutes: float | None, resume: bool = False, dies_at: int = 99
) -> tuple[list[float], int]:
    """Positions of a run whose iterations take 20 seconds, and how many were done."""
    positions: list[float] = []

    def step(moment: Moment) -> dict[str, Tensor]:
        if moment.number == dies_at:
            raise KeyboardInterrupt
        positions.append(moment.position)
        clock.now += 20
        return {"total": torch.tensor(1.0)}

    network = nn.Linear(1, 1)
    optimizers = {"sgd": torch.optim.SGD(network.parameters())}
    settings = {} if minutes is None else {"minutes": minutes}
    state = TrainingState(folder, {"network": network}, optimizers, settings)
    options = RunOptions(
        directory=folder, minutes=minutes, resume=resume, checkpoint_every=2, progress=False
    )
    iterations = Iterations(count=10, seed=0, step=step, scalars=lambda position: {"at": position})
    try:
        done = run_iterations(options, state, iterations)
    except KeyboardInterrupt:
        done = dies_at
    return positions, done


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(run_module, "Pace", partial(Pace, clock=clock))
    return clock


def test_a_run_ends_with_its_minutes_and_says_so(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    positions, done = run(folder, clock, minutes=2)
    # 20 of 120 seconds each: a sixth of 10 iterations.
    assert positions == pytest.approx([0, 10 / 6, 20 / 6, 5, 40 / 6, 50 / 6])
    assert done == 6
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["iteration"], summary["iterations"], summary["finished"]) == (6, None, True)
    assert (summary["minutes"], summary["used"]) == (2, 2)
    assert "2.0 of 2 min" in capsys.readouterr().out
    again, done = run(folder, clock, minutes=2, resume=True)
    assert (again, done) == ([], 6)


def test_a_killed_run_has_used_what_its_state_says(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "run"
    run(folder, clock, minutes=2, dies_at=3)
    state = json.loads((folder / "state" / "000002" / STATE_JSON).read_text())
    assert state["seconds"] == 40
    clock.now += 10_000  # between two processes
    positions, done = run(folder, clock, minutes=2, resume=True)
    assert positions == pytest.approx([20 / 6, 5, 40 / 6, 50 / 6])
    assert done == 6


def test_states_of_runs_that_count_iterations_tell_no_seconds(tmp_path: Path, clock: Clock) -> None:
    run(tmp_path / "run", clock, minutes=None)
    state = json.loads((tmp_path / "run" / "state" / "000010" / STATE_JSON).read_text())
    assert "seconds" not in state


def test_a_run_is_not_resumed_in_other_minutes(tmp_path: Path, clock: Clock) -> None:
    run(tmp_path / "run", clock, minutes=2, dies_at=3)
    with pytest.raises(CheckpointError, match="minutes"):
        run(tmp_path / "run", clock, minutes=3, resume=True)
