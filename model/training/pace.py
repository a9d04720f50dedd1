"""How a run goes through its schedule: an iteration at a time, or as its minutes pass.

A schedule is written for a number of iterations; where a run stands in it is its *position*, from 0
to that number. Without minutes the position is the number of iterations done. With minutes it is
the share of them that has passed, times the schedule's length: milestones, ramps, cosine and
averages come at the same share of any run, which makes as many iterations as its machine can. What
a run has used is in its states, so that a resumed one goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from dgnet.model.training.workers import Workers


@dataclass(frozen=True)
class Moment:
    """An iteration's place in its run."""

    number: int
    """Iterations before it; decides data order and random draws."""
    position: float
    """In the schedule, in the iterations that it is written for."""
    advance: float = 1.0
    """By how much the position has moved since the iteration before."""


class Pace:
    """Where a run is; every process of it is told the same."""

    def __init__(
        self,
        length: int,
        *,
        minutes: float | None = None,
        workers: Workers | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """A schedule of `length` iterations, to be gone through in `minutes` if given."""
        self.length, self.minutes = length, minutes
        self.seconds = 0.0
        """Used so far, by all processes that carried the run on."""
        self._workers, self._clock = workers or Workers(), clock
        self._number, self._before = 0, clock()
        self._advance = 1.0 if minutes is None else 0.0

    def start(self, done: int, seconds: float) -> None:
        """From here on time counts; a saved run has `done` iterations and used `seconds`."""
        self._number, self.seconds, self._before = done, seconds, self._clock()

    @property
    def moment(self) -> Moment:
        """Of the iteration that comes next, or would."""
        return Moment(self._number, self._position, self._advance)

    @property
    def finished(self) -> bool:
        """Whether the schedule is at its end."""
        return self._position >= self.length

    def step(self) -> None:
        """An iteration is done."""
        before = self._position
        self._number += 1
        now = self._clock()
        passed = torch.tensor(now - self._before, device=self._workers.device)
        self.seconds += self._workers.averaged({"seconds": passed})["seconds"]
        self._before = now
        self._advance = self._position - before

    @property
    def _position(self) -> float:
        if self.minutes is None:
            return self._number
        return self.length * self.seconds / (60 * self.minutes)
