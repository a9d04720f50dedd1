"""The three optimisers of joint training and the teacher's (spec, "Schedule").

Every group remembers its `initial_lr`, which the schedule scales.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from torch import nn
from torch.optim import SGD, Adam, Optimizer

from model.appearance_encoder import AppearanceEncoder
from model.dgnet import DGNet
from model.teacher import Teacher
from model.training.config import JointConfig, TeacherConfig

AnyOptimizer = TypeVar("AnyOptimizer", bound=Optimizer)


@dataclass(frozen=True, kw_only=True)
class JointOptimizers:
    """One optimiser for each group of networks that is updated on its own terms."""

    generator: Optimizer  # E_s, G and the style MLPs
    appearance: Optimizer  # E_a and its heads
    discriminator: Optimizer

    def by_name(self) -> dict[str, Optimizer]:
        """For checkpoints and schedules."""
        return {
            "generator": self.generator,
            "appearance": self.appearance,
            "discriminator": self.discriminator,
        }


def joint_optimizers(networks: DGNet, config: JointConfig) -> JointOptimizers:
    """Adam for generator and discriminator, Nesterov SGD for the appearance encoder."""
    generator_rate = config.generator_learning_rate
    generator = [
        _group(networks.structure_encoder, generator_rate),
        _group(networks.decoder, generator_rate),
        _group(networks.style_mlps, config.style_learning_rate or generator_rate),
    ]
    return JointOptimizers(
        generator=_adam(generator, config.weight_decay, momentum=config.generator_momentum),
        discriminator=_adam(
            [_group(networks.discriminator, config.discriminator_learning_rate)],
            config.weight_decay,
        ),
        appearance=_nesterov(
            networks.appearance_encoder.backbone,
            _heads(networks.appearance_encoder),
            config.appearance_learning_rate,
            config.head_learning_rate,
            config.weight_decay,
        ),
    )


def teacher_optimizer(teacher: Teacher, config: TeacherConfig) -> Optimizer:
    """Nesterov SGD, the head ten times faster than the backbone."""
    return _nesterov(
        teacher.backbone,
        teacher.head,
        config.backbone_learning_rate,
        config.head_learning_rate,
        config.weight_decay,
    )


def _heads(encoder: AppearanceEncoder) -> nn.Module:
    return nn.ModuleList([encoder.primary, encoder.fine])


def _group(network: nn.Module, learning_rate: float) -> dict[str, Any]:
    return {"params": list(network.parameters()), "lr": learning_rate}


def _adam(groups: list[dict[str, Any]], weight_decay: float, *, momentum: float = 0.0) -> Adam:
    return _remember(Adam(groups, betas=(momentum, 0.999), weight_decay=weight_decay))


def _nesterov(
    backbone: nn.Module, heads: nn.Module, backbone_rate: float, head_rate: float, decay: float
) -> SGD:
    groups = [
        _group(backbone, backbone_rate),
        _group(heads, head_rate),
    ]
    return _remember(SGD(groups, momentum=0.9, nesterov=True, weight_decay=decay))


def _remember(optimizer: AnyOptimizer) -> AnyOptimizer:
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer
