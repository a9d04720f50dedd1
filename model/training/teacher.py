"""Training of the teacher: the plain Re-ID baseline that labels generated pictures (spec,
"Teacher").

Identification loss on real pictures with flip and pad-and-crop; everything about the run's state is
`run`'s.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model.backbones import imagenet_efficientnet_lite0
from model.checkpoints import Metadata, save_checkpoint
from model.config import NetworkConfig
from model.data.pairs import TrainingPictures
from model.data.transforms import random_erasing
from model.devices import placed
from model.teacher import Teacher
from model.training.config import TeacherConfig
from model.training.optimizers import teacher_optimizer
from model.training.run import RunOptions, TrainingState, run_iterations
from model.training.schedule import (
    apply_learning_rate_factor,
    iteration_seed,
    teacher_learning_rate_factor,
)


def train_teacher(
    network: NetworkConfig,
    config: TeacherConfig,
    pictures: TrainingPictures,
    options: RunOptions,
    *,
    device: torch.device,
    autocast: torch.dtype | None = None,
    imagenet: bool = True,
    data: dict[str, Any] | None = None,
) -> tuple[Teacher, Metadata]:
    """Train from ImageNet weights where the backbone's are at hand; writes
    `options.directory/checkpoint`.
    """
    torch.manual_seed(config.seed)  # pyright: ignore[reportUnknownMemberType]
    teacher = Teacher(network, last_stride=config.last_stride)
    if imagenet and network.backbone == "efficientnet_lite0":
        teacher.backbone.load_state_dict(imagenet_efficientnet_lite0())
    teacher = placed(teacher, device).train()
    optimizer = teacher_optimizer(teacher, config)
    settings = {"network": network.to_json(), "teacher": config.to_json()}
    state = TrainingState(options.directory, {"teacher": teacher}, {"sgd": optimizer}, settings)

    def step(iteration: int) -> dict[str, Tensor]:
        apply_learning_rate_factor(optimizer, teacher_learning_rate_factor(config, iteration))
        batch = pictures.picture_batch(iteration, config.batch_size, config.seed)
        images = batch.images
        if config.random_erasing:
            draws = torch.Generator().manual_seed(iteration_seed(config.seed, iteration))
            images = random_erasing(images, draws, probability=config.random_erasing)
        with torch.autocast(device.type, dtype=autocast, enabled=autocast is not None):
            logits = teacher(images.to(memory_format=torch.channels_last)).logits
            loss = torch.nn.functional.cross_entropy(
                logits, batch.labels, label_smoothing=config.label_smoothing
            )
        optimizer.zero_grad()
        loss.backward()  # pyright: ignore[reportUnknownMemberType]
        optimizer.step()
        right = (logits.argmax(1) == batch.labels).float().mean()
        return {"identity": loss.detach(), "accuracy": right}

    run_iterations(
        options,
        state,
        iterations=config.iterations,
        seed=config.seed,
        step=step,
        scalars=lambda iteration: {
            "learning_rate_factor": teacher_learning_rate_factor(config, iteration)
        },
        show=lambda _: None,
    )
    metadata = save_checkpoint(
        checkpoint_directory(options.directory),
        None,
        teacher=teacher.eval(),
        training=settings,
        data=data,
    )
    return teacher, metadata


def checkpoint_directory(run_directory: Path) -> Path:
    """Where a run leaves its finished checkpoint."""
    return run_directory / "checkpoint"
