"""Training of the teacher: the plain Re-ID baseline that labels generated pictures (spec,
"Teacher").

Identification loss on real pictures with flip and pad-and-crop; everything about the run is
`training_run`'s.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dgnet.model.backbones import imagenet_efficientnet_lite0
from dgnet.model.checkpoints import Metadata
from dgnet.model.config import ConfigError, NetworkConfig
from dgnet.model.data.pairs import PictureBatch
from dgnet.model.data.shares import Share, split_rows
from dgnet.model.data.transforms import random_erasing
from dgnet.model.devices import placed
from dgnet.model.teacher import Teacher
from dgnet.model.training.config import TeacherConfig, require_equal_shares
from dgnet.model.training.micro_batches import mean_losses
from dgnet.model.training.optimizers import teacher_optimizer
from dgnet.model.training.pace import Moment
from dgnet.model.training.schedule import (
    apply_learning_rate_factor,
    iteration_seed,
    teacher_learning_rate_factor,
)
from dgnet.model.training.training_run import Learner, TrainingRun
from dgnet.model.training.validation import TeacherEmbedder, Validation


def require_same_backbone(pretrained: NetworkConfig, network: NetworkConfig) -> None:
    """Raise ConfigError where the weights would not fit."""
    if pretrained.backbone != network.backbone:
        raise ConfigError(
            f"the backbone to start from is {pretrained.backbone}, the one to train "
            f"{network.backbone}: expected the same"
        )


def train_teacher(
    network: NetworkConfig,
    config: TeacherConfig,
    run: TrainingRun,
    *,
    imagenet: bool = True,
    pretrained: Teacher | None = None,
) -> tuple[Teacher, Metadata]:
    """Train from ImageNet weights where the backbone's are at hand, or from the backbone of
    `pretrained`, a teacher of any identities.
    """
    require_equal_shares(config.batch_size, config.accumulate, processes=run.workers.count)
    torch.manual_seed(config.seed)  # pyright: ignore[reportUnknownMemberType]
    teacher = Teacher(network, last_stride=config.last_stride)
    if pretrained is not None:
        require_same_backbone(pretrained.config, network)
        teacher.backbone.load_state_dict(pretrained.backbone.state_dict())
    elif imagenet and network.backbone == "efficientnet_lite0":
        teacher.backbone.load_state_dict(imagenet_efficientnet_lite0())
    teacher = placed(teacher, run.device).train()
    run.execution.prepare(teacher)
    run.execution.compile([teacher.backbone])
    settings = {"network": network.to_json(), "teacher": config.to_json()}
    metadata = run.train(_TeacherTraining(teacher, config, run).learner(settings))
    return teacher.eval(), metadata


class _TeacherTraining:
    """A teacher that learns, and the answers to what the loop asks of it."""

    def __init__(self, teacher: Teacher, config: TeacherConfig, run: TrainingRun) -> None:
        self._teacher, self._config, self._run = teacher, config, run
        self._optimizer = teacher_optimizer(teacher, config)

    def learner(self, settings: dict[str, Any]) -> Learner:
        """What the run is given; `settings` as `Learner` describes them."""
        return Learner(
            config=self._config,
            settings=settings,
            networks={"teacher": self._teacher},
            optimizers={"sgd": self._optimizer},
            step=self._iterate,
            scalars=lambda position: {
                "learning_rate_factor": teacher_learning_rate_factor(self._config, position)
            },
            measure=self._measure,
            teacher=self._teacher,
        )

    def _iterate(self, moment: Moment) -> dict[str, Tensor]:
        config, workers, share = self._config, self._run.workers, self._run.share
        iteration = moment.number
        factor = teacher_learning_rate_factor(config, moment.position)
        apply_learning_rate_factor(self._optimizer, factor)
        batch = self._run.pictures.picture_batch(iteration, config.batch_size, config.seed, share)
        seed = iteration_seed(config.seed, iteration)
        self._optimizer.zero_grad()
        found = [
            self._learn_from(part, rows, torch.Generator().manual_seed(seed))
            for part, rows in zip(
                split_rows(batch, config.accumulate), share.split(config.accumulate), strict=True
            )
        ]
        workers.average_gradients(self._teacher)
        workers.average_statistics(self._teacher)
        self._optimizer.step()
        return mean_losses(found)

    def _learn_from(
        self, batch: PictureBatch, rows: Share, draws: torch.Generator
    ) -> dict[str, Tensor]:
        """Add the gradients of a micro-batch, which holds these rows of the whole batch."""
        config, autocast = self._config, self._run.autocast
        images = batch.images
        if config.random_erasing:
            images = random_erasing(images, draws, probability=config.random_erasing, share=rows)
        with torch.autocast(self._run.device.type, dtype=autocast, enabled=autocast is not None):
            logits = self._teacher(images.to(memory_format=torch.channels_last)).logits
            loss = torch.nn.functional.cross_entropy(
                logits, batch.labels, label_smoothing=config.label_smoothing
            )
        (loss / config.accumulate).backward()  # pyright: ignore[reportUnknownMemberType]
        right = (logits.argmax(1) == batch.labels).float().mean()
        return {"identity": loss.detach(), "accuracy": right}

    def _measure(self, validation: Validation) -> dict[str, float]:
        device = self._run.device
        self._teacher.eval()
        try:
            return validation.measure(TeacherEmbedder(self._teacher, device), device)
        finally:
            self._teacher.train()
