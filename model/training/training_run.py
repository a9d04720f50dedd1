"""One training run, of the teacher or of DG-Net: what it is made from, and what it leaves.

What learns in it is the caller's, told as a `Learner`; the iterations are `run`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dgnet.model.checkpoints import Metadata, read_metadata, save_checkpoint
from dgnet.model.data.pairs import TrainingPictures
from dgnet.model.data.shares import Share
from dgnet.model.data.truth_batches import TruthTriples
from dgnet.model.dgnet import DGNet
from dgnet.model.teacher import Teacher
from dgnet.model.training.best import BestCheckpoint
from dgnet.model.training.config import JointConfig, TeacherConfig
from dgnet.model.training.execution import Execution
from dgnet.model.training.pace import Moment
from dgnet.model.training.run import Iterations, RunOptions, run_iterations
from dgnet.model.training.state import TrainingState
from dgnet.model.training.validation import Validation
from dgnet.model.training.whose import sources_of
from dgnet.model.training.workers import Workers
from dgnet.paths import local_path


@dataclass(frozen=True, kw_only=True)
class Learner:
    """What one kind of training brings to its run."""

    config: JointConfig | TeacherConfig
    settings: dict[str, Any]
    """What a resumed run must have in common with its start, and what the checkpoint tells."""
    networks: dict[str, nn.Module]
    """Whose weights a state keeps, by name."""
    optimizers: Mapping[str, Optimizer]
    step: Callable[[Moment], Mapping[str, Tensor]]
    """The losses of an iteration, after it."""
    scalars: Callable[[float], Mapping[str, float]]
    """The schedule at a position (see `pace`), for TensorBoard."""
    measure: Callable[[Validation], dict[str, float]]
    teacher: Teacher
    learned: Callable[[], DGNet | None] = lambda: None
    """What the checkpoint holds beside the teacher."""
    show: Callable[[int], None] = lambda _: None
    """Draws a grid after so many iterations."""
    truth: TruthTriples | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """What both kinds of training are given."""

    pictures: TrainingPictures
    options: RunOptions
    device: torch.device
    autocast: torch.dtype | None = None
    data: dict[str, Any] | None = None
    """Of the pictures, for the model card."""
    execution: Execution = field(default_factory=Execution)
    validation: Validation | None = None
    """Keeps the checkpoint that finds its people best in `options.folder/best`."""

    @property
    def workers(self) -> Workers:
        """Who compute the run together."""
        return self.execution.workers

    @property
    def share(self) -> Share:
        """This process's share of every batch."""
        return Share(self.workers.rank, self.workers.count)

    def train(self, learner: Learner) -> Metadata:
        """Run all iterations, from the saved state when resuming; writes
        `options.folder/checkpoint`.
        """
        options, validation = self.options, self.validation
        sources = sources_of(
            (self.data or {}).get("name"), self.pictures, validation, learner.truth
        )
        settings = learner.settings
        if options.minutes is not None:
            settings = {**settings, "minutes": options.minutes}
        state = TrainingState(
            options.folder, learner.networks, learner.optimizers, settings, sources
        )
        made: dict[str, int] = {}

        def save(directory: Path, metrics: dict[str, Any]) -> Metadata:
            return save_checkpoint(
                directory,
                learner.learned(),
                teacher=learner.teacher,
                training={**settings, **made},
                data=self.data,
                metrics=metrics,
                fingerprint=self.pictures.fingerprint.to_json(),
            )

        best = validation and BestCheckpoint(
            options.folder, measure=lambda: learner.measure(validation), save=save
        )
        with self.execution.compiling():
            done = run_iterations(
                options,
                state,
                Iterations(
                    count=learner.config.iterations,
                    seed=learner.config.seed,
                    step=learner.step,
                    scalars=learner.scalars,
                    show=learner.show,
                ),
                workers=self.workers,
                best=best,
            )
        if options.minutes is not None:
            made["iterations_done"] = done
        finished = checkpoint_directory(options.folder)
        metadata = save(finished, {}) if self.workers.is_first else None
        self.workers.wait()
        return metadata or read_metadata(finished)


def checkpoint_directory(run_directory: str | Path) -> Path:
    """Where a run leaves its finished checkpoint."""
    return local_path(run_directory) / "checkpoint"
