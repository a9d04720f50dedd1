"""What every training run needs around its iterations: progress, scalars, a guard, saving.

What a state is, is `state`'s; who computes, `workers`'. The first process alone shows and writes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.tensorboard.writer import SummaryWriter
from tqdm import tqdm

from dgnet.files import write_json
from dgnet.model.checkpoints import CheckpointError
from dgnet.model.training.best import BestCheckpoint
from dgnet.model.training.pace import Moment, Pace
from dgnet.model.training.schedule import iteration_seed
from dgnet.model.training.state import KEPT_STATES, TrainingState, saved_iterations
from dgnet.model.training.workers import Workers
from dgnet.paths import local_path

SUMMARY = "summary.json"

HEADLINE = {
    "total": "total",
    "self_reconstruction": "self",
    "adversarial": "adv",
    "discriminator": "dis",
    "identity": "id",
    "primary": "prim",
    "accuracy": "accuracy",
}
"""Losses that the progress bar shows, with the names that fit there; a run shows those it has."""

_WORKER_SEEDS = 1_000_000_007
"""Keeps apart what processes draw for their shares of one iteration."""

SMOOTHING = 0.8
"""Weight of the past in what the progress bar shows: losses of a few pictures jump."""


class TrainingDiverged(RuntimeError):
    """A loss is no longer a number; the message says which, when, and what usually helps."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where a run goes, how often it shows and saves itself, and how long it takes."""

    directory: str | Path
    minutes: float | None = None
    """In which the schedule is gone through; None: in as many iterations as it is written for."""
    log_every: int = 10
    grid_every: int = 500
    checkpoint_every: int = 500
    keep: int = KEPT_STATES
    """States to keep, the newest ones."""
    resume: bool = False
    progress: bool = True

    @property
    def folder(self) -> Path:
        """`directory`, if it is one."""
        return local_path(self.directory)


@dataclass(frozen=True, kw_only=True)
class Iterations:
    """What a run repeats; iterations are numbered from 0."""

    count: int
    """That the schedule is written for."""
    seed: int
    step: Callable[[Moment], Mapping[str, Tensor]]
    """Learns from an iteration; returns its losses."""
    scalars: Callable[[float], Mapping[str, float]]
    """The schedule at a position (see `pace`), for TensorBoard."""
    show: Callable[[int], None] = lambda _: None
    """Draws a grid after so many iterations."""


def run_iterations(
    options: RunOptions,
    state: TrainingState,
    iterations: Iterations,
    *,
    workers: Workers | None = None,
    best: BestCheckpoint | None = None,
) -> int:
    """Run all iterations, from the saved state when resuming; `best` measures at every saved state.
    Returns how many were done.

    Dropout and everything else that draws from torch's global generator is seeded anew for each
    iteration, in each of the workers.
    """
    workers = workers or Workers()
    if not options.resume and saved_iterations(options.folder):
        raise CheckpointError(
            f"{options.folder} already holds a run: resume it, or choose another folder"
        )
    done = state.restore() if options.resume else 0
    workers.wait()  # until everybody has read what the first one tidies up and writes anew
    workers.start_alike(*state.networks.values())
    pace = Pace(iterations.count, minutes=options.minutes, workers=workers)
    pace.start(done, state.seconds)
    recorder = _Recorder(options, state, pace, best) if workers.is_first else None
    try:
        while not pace.finished:
            moment = pace.moment
            iteration = moment.number
            seed = iteration_seed(iterations.seed, iteration) + workers.rank * _WORKER_SEEDS
            _seed_dropout(seed)
            losses = iterations.step(moment)
            pace.step()
            number = iteration + 1
            if recorder:
                recorder.bar.update()
            logs, draws, saves = (
                number % every == 0 or pace.finished
                for every in (options.log_every, options.grid_every, options.checkpoint_every)
            )
            if logs or saves:
                values = workers.averaged(losses)
                _guard(values, iteration)  # before saving: a broken state is nothing to resume from
                if saves:
                    _guard_weights(state, iteration)
                if recorder:
                    schedule = iterations.scalars(moment.position)
                    if logs:
                        recorder.log(number, values, schedule)
                    if saves:
                        recorder.save(number, values, schedule)
            if draws and recorder:
                iterations.show(number)
            if saves or draws:
                workers.wait()
    finally:
        if recorder:
            recorder.close()
    return pace.moment.number


def _seed_dropout(seed: int) -> None:
    """`torch.manual_seed` without the list that it grows where CUDA is built in but unused."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


class _Recorder:
    """Everything that a run leaves and says, one call for each occasion."""

    def __init__(
        self,
        options: RunOptions,
        state: TrainingState,
        pace: Pace,
        best: BestCheckpoint | None,
    ) -> None:
        self._options, self._state, self._pace, self._best = options, state, pace, best
        done = pace.moment.number
        state.tidy()
        if best:
            best.start(resume=options.resume)
        # Scalars of iterations after the last saved state are drawn again: hide the first ones.
        self._writer = SummaryWriter(str(options.folder / "tensorboard"), purge_step=done + 1)
        self._report = _Report(options, pace)
        self.bar = self._report.bar

    def log(self, number: int, values: Mapping[str, float], schedule: Mapping[str, float]) -> None:
        """The losses and the schedule of the iteration that makes `number` done."""
        self._report.losses(number, values)
        self._add({**values, **schedule}, number)

    def save(self, number: int, values: Mapping[str, float], schedule: Mapping[str, float]) -> None:
        """Measure, then save: what is measured again after a kill comes out the same."""
        summary = self._report.summary(number, values, schedule)
        if self._best:
            found = self._best.update(number)
            self._add({f"validation/{name}": value for name, value in found.items()}, number)
            summary |= {"validation": found, "best": self._best.scores}
        seconds = None if self._pace.minutes is None else self._pace.seconds
        self._state.save(number, keep=self._options.keep, seconds=seconds)
        write_json(self._options.folder / SUMMARY, summary)

    def close(self) -> None:
        self._report.bar.close()
        self._writer.close()

    def _add(self, values: Mapping[str, float], number: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, number)  # pyright: ignore[reportUnknownMemberType]


class _Report:
    """What a run says while it runs: a bar with smoothed losses, or a line each time it logs."""

    def __init__(self, options: RunOptions, pace: Pace) -> None:
        self.lines, self._pace = not options.progress, pace
        done = pace.moment.number
        self.started_from, self.started_at = done, time.perf_counter()
        total = pace.length if pace.minutes is None else None
        self.bar = tqdm(initial=done, total=total, unit="it", disable=self.lines)
        self.smoothed: dict[str, float] = {}
        self.logged = done
        self.logged_at = time.perf_counter()

    def losses(self, number: int, values: Mapping[str, float]) -> None:
        """The losses of the iteration that makes `number` done."""
        now = time.perf_counter()
        pace = self._pace
        if self.lines:
            speed = (number - self.logged) / (now - self.logged_at)
            parts = " ".join(f"{name} {value:.3f}" for name, value in values.items())
            spent = f" {_minutes(pace)}" if pace.minutes is not None else ""
            tqdm.write(f"{number}: {speed:.2f} it/s{spent} {parts}")
        self.logged, self.logged_at = number, now
        for name, short in HEADLINE.items():
            if name in values:
                past = self.smoothed.get(short, values[name])
                self.smoothed[short] = SMOOTHING * past + (1 - SMOOTHING) * values[name]
        shown = " ".join(f"{name} {value:.3f}" for name, value in self.smoothed.items())
        if pace.minutes is not None:
            shown = f"{_minutes(pace)} {shown}"
        self.bar.set_postfix_str(shown, refresh=False)

    def summary(
        self, number: int, losses: Mapping[str, float], schedule: Mapping[str, float]
    ) -> dict[str, Any]:
        """How far the run is, for programs; seconds and speed are of this process alone."""
        seconds, pace = time.perf_counter() - self.started_at, self._pace
        timed = {} if pace.minutes is None else {"minutes": pace.minutes, "used": pace.seconds / 60}
        return {
            "iteration": number,
            "iterations": pace.length if pace.minutes is None else None,
            **timed,
            "finished": pace.finished,
            "resumed_from": self.started_from,
            "seconds": round(seconds, 1),
            "iterations_per_second": round((number - self.started_from) / seconds, 3),
            "losses": dict(losses),
            "schedule": dict(schedule),
        }


def _minutes(pace: Pace) -> str:
    return f"{pace.seconds / 60:.1f} of {pace.minutes:g} min"


def _guard_weights(state: TrainingState, iteration: int) -> None:
    """Losses are of the weights before the iteration's steps; these are what would be saved."""
    if name := state.not_finite():
        raise TrainingDiverged(
            f"iteration {iteration}: {name} is not made of finite numbers any more and is not "
            "saved. Lower the learning rates, or train in float32, and resume from the last "
            "checkpoint"
        )


def _guard(losses: Mapping[str, float], iteration: int) -> None:
    bad = [name for name, value in losses.items() if not math.isfinite(value)]
    if bad:
        raise TrainingDiverged(
            f"iteration {iteration}: {', '.join(bad)} is not a finite number. Lower the learning "
            "rates, or train in float32, and resume from the last checkpoint"
        )
