"""What every training run needs around its iterations: state on disk, progress, scalars, a guard.

The state of a run is its tensors (networks, optimisers) and its iteration. Schedules, data order
and random draws are pure functions of the iteration, so nothing else has to be kept for a resumed
run to equal an uninterrupted one.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.tensorboard.writer import SummaryWriter
from tqdm import tqdm

from model.checkpoints import CheckpointError
from model.files import read_tensors, replaced_directory, write_json, write_tensors
from model.training.schedule import iteration_seed

STATE_FOLDER = "state"
STATE_TENSORS = "state.safetensors"
STATE_JSON = "state.json"
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

SMOOTHING = 0.8
"""Weight of the past in what the progress bar shows: losses of a few pictures jump."""


class TrainingDiverged(RuntimeError):
    """A loss is no longer a number; the message says which, when, and what usually helps."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How often a run shows and saves itself; none of it changes what is learned."""

    directory: Path
    log_every: int = 10
    grid_every: int = 500
    checkpoint_every: int = 500
    resume: bool = False
    progress: bool = True


class TrainingState:
    """Networks and optimisers by name, saved and restored together."""

    def __init__(
        self,
        directory: Path,
        networks: Mapping[str, nn.Module],
        optimizers: Mapping[str, Optimizer],
        config: dict[str, Any],
    ) -> None:
        self.directory = directory / STATE_FOLDER
        self.networks = networks
        self.optimizers = optimizers
        self.config = cast(dict[str, Any], json.loads(json.dumps(config)))

    def save(self, iteration: int) -> None:
        """After `iteration` iterations. Atomic: a kill leaves the old state or the new."""
        tensors = {
            f"network.{name}.{key}": tensor
            for name, network in self.networks.items()
            for key, tensor in network.state_dict().items()
        }
        for name, optimizer in self.optimizers.items():
            state = cast(dict[int, dict[str, Any]], optimizer.state_dict()["state"])
            for index, entries in state.items():
                for key, value in entries.items():
                    tensors[f"optimizer.{name}.{index}.{key}"] = torch.as_tensor(value)
        with replaced_directory(self.directory) as folder:
            write_tensors(folder / STATE_TENSORS, tensors)
            write_json(folder / STATE_JSON, {"iteration": iteration, "config": self.config})

    def restore(self) -> int:
        """Put the saved state back and return the number of iterations done."""
        path = self.directory / STATE_JSON
        if not path.is_file():
            raise CheckpointError(f"{self.directory} holds no state to resume from")
        saved = cast(dict[str, Any], json.loads(path.read_text()))
        if saved["config"] != self.config:
            changed = sorted(
                key
                for key in {**saved["config"], **self.config}
                if saved["config"].get(key) != self.config.get(key)
            )
            raise CheckpointError(
                f"the run in {self.directory.parent} was started with other settings "
                f"({', '.join(changed)}): resume with the same ones, or start a new run folder"
            )
        tensors = read_tensors(self.directory / STATE_TENSORS)
        for name, network in self.networks.items():
            network.load_state_dict(_under(tensors, f"network.{name}."))
        for name, optimizer in self.optimizers.items():
            state: dict[int, dict[str, Tensor]] = {}
            for key, tensor in _under(tensors, f"optimizer.{name}.").items():
                index, entry = key.split(".", 1)
                state.setdefault(int(index), {})[entry] = tensor
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        return int(saved["iteration"])


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): tensor
        for key, tensor in tensors.items()
        if key.startswith(prefix)
    }


def run_iterations(
    options: RunOptions,
    state: TrainingState,
    *,
    iterations: int,
    seed: int,
    step: Callable[[int], Mapping[str, Tensor]],
    scalars: Callable[[int], Mapping[str, float]],
    show: Callable[[int], None],
) -> None:
    """Run `step(iteration)` until `iterations` are done, from the saved state when resuming.

    `scalars` adds schedule state to TensorBoard; `show` draws a grid. Dropout and everything else
    that draws from torch's global generator is seeded anew for each iteration.
    """
    if not options.resume and (options.directory / STATE_FOLDER).exists():
        raise CheckpointError(
            f"{options.directory} already holds a run: resume it, or choose another folder"
        )
    done = state.restore() if options.resume else 0
    # Scalars of iterations after the last saved state are drawn again: hide the first ones.
    writer = SummaryWriter(str(options.directory / "tensorboard"), purge_step=done + 1)
    report = _Report(options, done, iterations)
    try:
        for iteration in range(done, iterations):
            _seed_dropout(iteration_seed(seed, iteration))
            losses = step(iteration)
            number = iteration + 1
            report.bar.update()
            logs, draws, saves = (
                number % every == 0 or number == iterations
                for every in (options.log_every, options.grid_every, options.checkpoint_every)
            )
            if logs or saves:
                values = {name: float(loss) for name, loss in losses.items()}
                _guard(values, iteration)  # before saving: a broken state is nothing to resume from
                schedule = scalars(iteration)
                if logs:
                    report.losses(number, values)
                    for name, value in {**values, **schedule}.items():
                        writer.add_scalar(name, value, number)  # pyright: ignore[reportUnknownMemberType]
                if saves:
                    state.save(number)
                    write_json(
                        options.directory / SUMMARY, report.summary(number, values, schedule)
                    )
            if draws:
                show(number)
    finally:
        report.bar.close()
        writer.close()


def saved_iterations(directory: Path) -> int:
    """Iterations done in the state that a run folder would resume from; 0 where it holds none."""
    path = directory / STATE_FOLDER / STATE_JSON
    return int(json.loads(path.read_text())["iteration"]) if path.is_file() else 0


def _seed_dropout(seed: int) -> None:
    """`torch.manual_seed` without the list that it grows where CUDA is built in but unused."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


class _Report:
    """What a run says while it runs: a bar with smoothed losses, or a line each time it logs."""

    def __init__(self, options: RunOptions, done: int, total: int) -> None:
        self.lines = not options.progress
        self.started_from, self.started_at = done, time.perf_counter()
        self.total = total
        self.bar = tqdm(initial=done, total=total, unit="it", disable=self.lines)
        self.smoothed: dict[str, float] = {}
        self.logged = done
        self.logged_at = time.perf_counter()

    def losses(self, number: int, values: Mapping[str, float]) -> None:
        """The losses of the iteration that makes `number` done."""
        now = time.perf_counter()
        if self.lines:
            speed = (number - self.logged) / (now - self.logged_at)
            parts = " ".join(f"{name} {value:.3f}" for name, value in values.items())
            tqdm.write(f"{number}: {speed:.2f} it/s {parts}")
        self.logged, self.logged_at = number, now
        for name, short in HEADLINE.items():
            if name in values:
                past = self.smoothed.get(short, values[name])
                self.smoothed[short] = SMOOTHING * past + (1 - SMOOTHING) * values[name]
        shown = " ".join(f"{name} {value:.3f}" for name, value in self.smoothed.items())
        self.bar.set_postfix_str(shown, refresh=False)

    def summary(
        self, number: int, losses: Mapping[str, float], schedule: Mapping[str, float]
    ) -> dict[str, Any]:
        """How far the run is, for programs; seconds and speed are of this process alone."""
        seconds = time.perf_counter() - self.started_at
        return {
            "iteration": number,
            "iterations": self.total,
            "finished": number == self.total,
            "resumed_from": self.started_from,
            "seconds": round(seconds, 1),
            "iterations_per_second": round((number - self.started_from) / seconds, 3),
            "losses": dict(losses),
            "schedule": dict(schedule),
        }


def _guard(losses: Mapping[str, float], iteration: int) -> None:
    bad = [name for name, value in losses.items() if not math.isfinite(value)]
    if bad:
        raise TrainingDiverged(
            f"iteration {iteration}: {', '.join(bad)} is not a finite number. Lower the learning "
            "rates, or train in float32, and resume from the last checkpoint"
        )
