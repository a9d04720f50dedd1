"""Runs of both kinds of training for `test_parallel`: alone, or as one of torchrun's processes.

`python -m tests.model.training.parallel_runs teacher|joint RUN PICTURES TRIPLES ACCUMULATE`

What a share of a batch cannot know of the rest is left out: dropout, and the statistics of batch
normalization, which stands still here. Adam divides by more than usual: its first steps would be of
one size whatever the gradient's, and rounding decide where a weight goes that no loss depends on.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from dgnet.model.data.pairs import TrainingPictures
from dgnet.model.data.persons import PersonIndex
from dgnet.model.data.truth_batches import TruthTriples
from dgnet.model.teacher import Teacher
from dgnet.model.training import optimizers
from dgnet.model.training.config import JointConfig, TeacherConfig
from dgnet.model.training.execution import Execution
from dgnet.model.training.joint import train_joint
from dgnet.model.training.run import RunOptions
from dgnet.model.training.teacher import train_teacher
from dgnet.model.training.training_run import TrainingRun
from dgnet.model.training.workers import launched_workers
from tests.model.tiny import HEIGHT, PERSONS, WIDTH, tiny_network

CPU = torch.device("cpu")
ITERATIONS = 3


def still(self: nn.Module, mode: bool = True) -> nn.Module:
    """In place of `train`: evaluation mode, whatever is asked for."""
    self.training = False
    return self


def main(kind: str, run: Path, pictures_folder: Path, triples: Path, accumulate: int) -> None:
    for layer in (nn.Dropout, nn.modules.batchnorm._BatchNorm):  # pyright: ignore[reportPrivateUsage]
        cast(Any, layer).train = still
    optimizers.Adam = partial(torch.optim.Adam, eps=0.1)
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)  # two processes share what there is
    pictures = TrainingPictures.load(pictures_folder, HEIGHT, WIDTH)
    options = RunOptions(
        directory=run, log_every=1, checkpoint_every=1, keep=ITERATIONS, progress=False
    )
    training = TrainingRun(
        pictures=pictures,
        options=options,
        device=CPU,
        execution=Execution(workers=launched_workers("cpu")),
    )
    network = tiny_network(backbone="resnet18")
    if kind == "teacher":
        config = TeacherConfig(
            iterations=ITERATIONS,
            batch_size=8,
            head_learning_rate=1e-3,
            backbone_learning_rate=1e-4,
            random_erasing=0.5,
            accumulate=accumulate,
        )
        train_teacher(network, config, training)
        return
    torch.manual_seed(11)  # pyright: ignore[reportUnknownMemberType]
    train_joint(
        network,
        # The ramps start inside the run: some iterations lack what later ones learn.
        JointConfig(
            iterations=ITERATIONS,
            batch_size=8,
            warmup_start=0,
            warmup_rate=0.4,
            # Without batch statistics larger steps run away.
            appearance_learning_rate=1e-5,
            generator_learning_rate=1e-5,
            discriminator_learning_rate=1e-5,
            head_learning_rate=1e-4,
            train_bn=False,
            accumulate=accumulate,
        ),
        Teacher(network),
        training,
        truth=TruthTriples(
            triples, PersonIndex(tuple(range(1, PERSONS + 1))), height=HEIGHT, width=WIDTH
        ),
    )


if __name__ == "__main__":
    kind, run, pictures, triples, accumulate = sys.argv[1:]
    main(kind, Path(run), Path(pictures), Path(triples), int(accumulate))
