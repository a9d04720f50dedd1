"""Warm-up ramps and learning rates at iterations worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from dgnet.model.config import ConfigError
from dgnet.model.training.config import JointConfig, LossWeights, TeacherConfig
from dgnet.model.training.schedule import (
    apply_learning_rate_factor,
    joint_learning_rate_factor,
    loss_weights,
    teacher_learning_rate_factor,
)

PAPER = JointConfig()


@pytest.mark.parametrize(
    ("iteration", "code", "cycle_and_primary"),
    [
        (0, 0, 0),
        (30_000, 0, 0),
        (30_001, 0.0005, 0.0005),
        (30_500, 0.25, 0.25),
        (32_000, 1, 1),
        (33_000, 1, 1.5),
        (34_000, 1, 2),
        (99_999, 1, 2),
    ],
)
def test_four_weights_grow_after_iteration_30000_up_to_their_maxima(
    iteration: int, code: float, cycle_and_primary: float
) -> None:
    weights = loss_weights(PAPER, iteration)
    assert weights.appearance_code_reconstruction == pytest.approx(code)
    assert weights.structure_code_reconstruction == pytest.approx(code)
    assert weights.cycle_reconstruction == pytest.approx(cycle_and_primary)
    assert weights.primary == pytest.approx(cycle_and_primary)
    assert weights.fine == pytest.approx(0.2 * cycle_and_primary)


def test_the_other_weights_never_change() -> None:
    first, last = loss_weights(PAPER, 0), loss_weights(PAPER, 99_999)
    for name, value in {
        "adversarial": 1,
        "self_reconstruction": 5,
        "same_person_reconstruction": 5,
        "identity": 1,
        "identity_positive": 1,
        "identity_generated": 0.5,
        "gradient_penalty": 0.01,
    }.items():
        assert getattr(first, name) == getattr(last, name) == value


def test_a_maximum_of_zero_switches_a_loss_off() -> None:
    off = JointConfig(final_weights=LossWeights(primary=0))
    weights = loss_weights(off, 99_999)
    assert weights.primary == weights.fine == 0


@pytest.mark.parametrize(
    ("iteration", "factor"),
    [(0, 1), (59_999, 1), (60_000, 0.1), (89_999, 0.1), (90_000, 0.01), (105_000, 0.001)],
)
def test_learning_rates_fall_by_ten_at_each_milestone(iteration: int, factor: float) -> None:
    assert joint_learning_rate_factor(PAPER, iteration) == pytest.approx(factor)


def test_a_shorter_schedule_keeps_its_shape() -> None:
    short = PAPER.scaled(1000)
    assert short.warmup_start == 300
    assert short.warmup_rate == pytest.approx(0.05)
    assert short.milestones == (600, 900, 1050)
    assert loss_weights(short, 340).primary == loss_weights(PAPER, 34_000).primary == 2


@pytest.mark.parametrize(
    ("iteration", "factor"),
    [(0, 0.1), (1000, 0.55), (2000, 1), (15_999, 1), (16_000, 0.1), (23_999, 0.1)],
)
def test_the_teacher_warms_up_from_a_tenth_and_falls_once(iteration: int, factor: float) -> None:
    assert teacher_learning_rate_factor(TeacherConfig(), iteration) == pytest.approx(factor)


def test_a_shorter_teacher_schedule_keeps_its_shape() -> None:
    short = TeacherConfig().scaled(240)
    assert (short.iterations, short.warmup_iterations, short.milestone) == (240, 20, 160)


def test_every_group_is_scaled_from_where_it_started() -> None:
    groups = [
        {"params": [nn.Parameter(torch.zeros(1))], "lr": 0.002, "initial_lr": 0.002},
        {"params": [nn.Parameter(torch.zeros(1))], "lr": 0.02, "initial_lr": 0.02},
    ]
    optimizer = torch.optim.SGD(groups)
    for _ in range(2):  # applying twice is applying once
        apply_learning_rate_factor(optimizer, 0.1)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.0002, 0.002])


@pytest.mark.parametrize("wrong", [{"iterations": 0}, {"batch_size": 1}])
def test_impossible_schedules_are_refused(wrong: dict[str, Any]) -> None:
    for kind in (JointConfig, TeacherConfig):
        with pytest.raises(ConfigError, match="at least"):
            kind(**wrong)


def test_a_stride_that_no_backbone_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="last_stride is 3; expected 1 or 2"):
        TeacherConfig(last_stride=3)


def test_reconstruction_first_brings_everything_else_in_with_the_ramp() -> None:
    config = JointConfig(reconstruction_first=True)
    before = loss_weights(config, 30_000)
    assert (before.self_reconstruction, before.same_person_reconstruction) == (0, 5)
    assert not before.use_generated
    assert not before.use_identities
    later = loss_weights(config, 30_500)
    assert (later.self_reconstruction, later.same_person_reconstruction) == (5, 5)
    assert later.use_generated
    assert later.use_identities
    assert (later.adversarial, later.identity_generated, later.identity) == (0.25, 0.25, 1)
    assert loss_weights(config, 32_000).identity_generated == 0.5
