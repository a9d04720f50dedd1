"""The states of a run on disk: networks, optimizers and the number of iterations done.

Schedules, data order and random draws are pure functions of the iteration, so nothing else has to
be kept for a resumed run to equal an uninterrupted one. A state is a folder named after its
iteration, which appears whole or not at all; the last few are kept, so that one that a full disk
or a power cut damaged costs a run some iterations and not everything.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from torch import Tensor, as_tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from dgnet.files import file_sha256, replaced_directory, write_json
from dgnet.model.checkpoints import CheckpointError
from dgnet.model.tensor_files import TensorFileError, not_finite, read_tensors, write_tensors
from dgnet.model.training.whose import require_same_data
from dgnet.paths import local_path

STATE_FOLDER = "state"
STATE_TENSORS = "state.safetensors"
STATE_JSON = "state.json"
KEPT_STATES = 2


class _DamagedState(Exception):
    """A state cannot be read as it was written; the message says what is wrong with it."""


class TrainingState:
    """Networks and optimizers by name, saved and restored together."""

    def __init__(
        self,
        directory: str | Path,
        networks: Mapping[str, nn.Module],
        optimizers: Mapping[str, Optimizer],
        config: dict[str, Any],
        data: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """`directory` is the run's; `data` is what it learns from, as `whose.sources_of`
        tells."""
        self.directory = local_path(directory) / STATE_FOLDER
        self.networks = networks
        self.optimizers = optimizers
        self.config = cast(dict[str, Any], json.loads(json.dumps(config)))
        self.data = None if data is None else {name: dict(part) for name, part in data.items()}
        self.seconds = 0.0
        """That the restored run had used, where its minutes are counted."""
        self._damaged: list[Path] = []

    def save(
        self, iteration: int, *, keep: int = KEPT_STATES, seconds: float | None = None
    ) -> None:
        """After `iteration` iterations, in which a run whose minutes are counted used `seconds`;
        then the oldest states go, until `keep` are left.

        A kill at any moment leaves every older state, or the new one, whole.
        """
        tensors = {
            f"network.{name}.{key}": tensor
            for name, network in self.networks.items()
            for key, tensor in network.state_dict().items()
        }
        for name, optimizer in self.optimizers.items():
            state = cast(dict[int, dict[str, Any]], optimizer.state_dict()["state"])
            for index, entries in state.items():
                for key, value in entries.items():
                    tensors[f"optimizer.{name}.{index}.{key}"] = as_tensor(value)
        with replaced_directory(self.directory / f"{iteration:06d}", make_parents=True) as folder:
            write_tensors(folder / STATE_TENSORS, tensors)
            description = {
                "iteration": iteration,
                "config": self.config,
                "sha256": file_sha256(folder / STATE_TENSORS),
                **({} if self.data is None else {"data": self.data}),
                **({} if seconds is None else {"seconds": seconds}),
            }
            write_json(folder / STATE_JSON, description)
        for old in _states(self.directory)[:-keep]:
            _discard(old)

    def not_finite(self) -> str | None:
        """The first weight or statistic that is not made of finite numbers, by its name."""
        return not_finite(
            {
                f"{name}.{key}": tensor
                for name, network in self.networks.items()
                for key, tensor in network.state_dict().items()
            }
        )

    def restore(self) -> int:
        """Put the newest sound state back and return the number of iterations done.

        A damaged one is told on stderr and passed over.
        """
        states = _states(self.directory)
        if not states:
            raise CheckpointError(f"{self.directory} holds no state to resume from")
        problems: list[str] = []
        for folder in reversed(states):
            try:
                description, tensors = self._read(folder)
            except _DamagedState as error:
                problems.append(str(error))
                self._damaged.append(folder)
                continue
            for problem in problems:
                tqdm.write(f"{problem}; going back to {folder}", file=sys.stderr)
            self._fill(tensors)
            self.seconds = float(description.get("seconds", 0.0))
            return int(description["iteration"])
        raise CheckpointError(
            f"no saved state can be resumed from: {'; '.join(problems)}. Start a new run folder"
        )

    def tidy(self) -> None:
        """Remove what killed processes left half-written, and the states that `restore` passed
        over.
        """
        for left in self.directory.glob(".*"):
            shutil.rmtree(left, ignore_errors=True)
        for folder in self._damaged:
            _discard(folder)
        self._damaged.clear()

    def _read(self, folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
        description = _verified(folder)
        if self.data is not None:
            run = str(self.directory.parent)
            for warning in require_same_data(run, description.get("data"), self.data):
                tqdm.write(f"warning: {warning}", file=sys.stderr)
        saved = cast(dict[str, Any], description["config"])
        if saved != self.config:
            changed = sorted(
                key for key in {**saved, **self.config} if saved.get(key) != self.config.get(key)
            )
            raise CheckpointError(
                f"the run in {self.directory.parent} was started with other settings "
                f"({', '.join(changed)}): resume with the same ones, or start a new run folder"
            )
        try:
            tensors = read_tensors(folder / STATE_TENSORS)
        except TensorFileError as error:
            raise _DamagedState(str(error)) from error
        if name := not_finite(_under(tensors, "network.")):
            raise _DamagedState(f"{folder} is of no use: {name} has values that are no numbers")
        return description, tensors

    def _fill(self, tensors: Mapping[str, Tensor]) -> None:
        for name, network in self.networks.items():
            network.load_state_dict(_under(tensors, f"network.{name}."))
        for name, optimizer in self.optimizers.items():
            state: dict[int, dict[str, Tensor]] = {}
            for key, tensor in _under(tensors, f"optimizer.{name}.").items():
                index, entry = key.split(".", 1)
                state.setdefault(int(index), {})[entry] = tensor
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def saved_iterations(run: str | Path) -> int:
    """Iterations done in the newest state of a run folder; 0 where it holds none."""
    states = _states(local_path(run) / STATE_FOLDER)
    return int(states[-1].name) if states else 0


def _states(directory: Path) -> list[Path]:
    """Published states, oldest first."""
    if not directory.is_dir():
        return []
    return sorted((path for path in directory.iterdir() if path.name.isdigit()), key=_iteration)


def _iteration(folder: Path) -> int:
    return int(folder.name)


def _verified(folder: Path) -> dict[str, Any]:
    """What a state says of itself, its tensors' hash compared with what is there."""
    try:
        description = cast(dict[str, Any], json.loads((folder / STATE_JSON).read_text()))
        whole = (
            description["sha256"] == file_sha256(folder / STATE_TENSORS)
            and description["iteration"] == _iteration(folder)
            and isinstance(description["config"], dict)
        )
    except (OSError, KeyError, TypeError, ValueError) as error:  # ValueError: JSON and UTF-8
        raise _DamagedState(f"{folder} is damaged: {error!r}") from error
    if not whole:
        raise _DamagedState(f"{folder} is damaged: it does not hold what was saved")
    return description


def _discard(folder: Path) -> None:
    """Out of sight in one step, so that no half-removed state is ever taken for one."""
    hidden = folder.with_name(f".{folder.name}-discarded")
    folder.rename(hidden)
    shutil.rmtree(hidden)


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): tensor
        for key, tensor in tensors.items()
        if key.startswith(prefix)
    }
