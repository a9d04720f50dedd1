"""`--set`: values by the type of their field, and errors that name what there is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from dgnet.commands.failures import InputError
from dgnet.commands.overrides import apply_overrides, split_overrides


@dataclass(frozen=True, kw_only=True)
class Weights:
    cycle: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Schedule:
    iterations: int = 10
    rate: float = 0.1
    milestones: tuple[int, ...] = (1, 2)
    policy: Literal["soft", "uniform"] = "soft"
    merge: bool = False
    limit: int | None = 3
    weights: Weights = field(default_factory=Weights)

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise ValueError(f"iterations is {self.iterations}; expected at least 1")


@dataclass(frozen=True, kw_only=True)
class Sizes:
    height: int = 64
    identities: int = 3


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("iterations=20", "iterations", 20),
        ("rate=4e-4", "rate", 0.0004),
        ("milestones=5,6", "milestones", (5, 6)),
        ("milestones=", "milestones", ()),
        ("policy = uniform", "policy", "uniform"),
        ("merge=true", "merge", True),
        ("limit=none", "limit", None),
        ("limit=5", "limit", 5),
        ("weights.cycle=1", "weights", Weights(cycle=1)),
    ],
)
def test_a_field_takes_the_value_in_its_own_type(setting: str, name: str, value: Any) -> None:
    assert getattr(apply_overrides(Schedule(), [setting]), name) == value


def test_the_last_setting_of_a_field_wins_and_the_others_stay() -> None:
    changed = apply_overrides(Schedule(), ["rate=1", "rate=2"])
    assert changed == Schedule(rate=2)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("iterations", r"--set iterations: expected NAME=VALUE"),
        ("iterations=many", r"--set iterations=many: .*valid integer"),
        ("policy=hard", r"'soft' or 'uniform'"),
        ("color=1", r"no field 'color'; known: iterations, limit, merge"),
        ("weights=1", r"set weights\.NAME, one of cycle"),
        ("weights.total=1", r"no field 'total'; known: cycle"),
        ("rate.cycle=1", r"rate is a plain value"),
        ("iterations=0", r"--set iterations=0: iterations is 0; expected at least 1"),
    ],
)
def test_wrong_settings_say_what_was_expected(setting: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        apply_overrides(Schedule(), [setting])


def test_settings_go_to_the_configuration_that_has_the_field() -> None:
    settings = ["rate=1", "height=32", "weights.cycle=0"]
    sizes, schedule = split_overrides(settings, Sizes(), Schedule())
    assert (sizes, schedule) == (["height=32"], ["rate=1", "weights.cycle=0"])


def test_a_fixed_field_is_none_to_set() -> None:
    with pytest.raises(InputError, match="no field 'identities' to set; known: height"):
        split_overrides(["identities=4"], Sizes(), fixed=["identities"])
