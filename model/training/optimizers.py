"""The three optimizers of joint training and the teacher's (spec, "Schedule").

Every group remembers its `initial_lr`, which the schedule scales.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from dgnet.model.appearance_encoder import AppearanceEncoder
from dgnet.model.dgnet import DETAIL_PARTS, DGNet
from dgnet.model.teacher import Teacher
from dgnet.model.training.config import JointConfig, TeacherConfig
from dgnet.model.training.muon import ConvolutionMuon, is_hidden_matrix

AnyOptimizer = TypeVar("AnyOptimizer", bound=Optimizer)


@dataclass(frozen=True, kw_only=True)
class JointOptimizers:
    """One optimizer for each group of networks that is updated on its own terms."""

    generator: Optimizer  # E_s, G and the style MLPs, less what `matrices` takes
    matrices: Optimizer | None = None  # of these networks, where Muon steps them
    appearance: Optimizer  # E_a and its heads
    discriminator: Optimizer

    def by_name(self) -> dict[str, Optimizer]:
        """All of them, as checkpoints and schedules name them."""
        optimizers = {
            "generator": self.generator,
            "appearance": self.appearance,
            "discriminator": self.discriminator,
        }
        return optimizers if self.matrices is None else {**optimizers, "matrices": self.matrices}

    def of_generator(self) -> list[Optimizer]:
        """Everything that follows the generator's objective, but the appearance encoder's."""
        return [self.generator] if self.matrices is None else [self.generator, self.matrices]


def joint_optimizers(networks: DGNet, config: JointConfig) -> JointOptimizers:
    """Adam for generator and discriminator (or Muon for the generator's matrices), Nesterov SGD for
    the appearance encoder.
    """
    rates = {
        "structure_encoder": config.generator_learning_rate,
        "decoder": config.generator_learning_rate,
        "style_mlps": config.style_learning_rate or config.generator_learning_rate,
        **dict.fromkeys(
            DETAIL_PARTS, config.detail_learning_rate or config.generator_learning_rate
        ),
    }
    parts = networks.generator_parts
    generator = [_group(parts[name], rate) for name, rate in rates.items() if name in parts]
    matrices = None
    if config.generator_optimizer == "muon":
        hidden = [_part(group, is_hidden_matrix) for group in generator]
        generator = [_part(group, _is_left_to_adam) for group in generator]
        matrices = _remember(ConvolutionMuon(hidden, weight_decay=config.weight_decay))
    return JointOptimizers(
        generator=_adam(generator, config.weight_decay, momentum=config.generator_momentum),
        matrices=matrices,
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


def _part(group: dict[str, Any], wanted: Callable[[Tensor], bool]) -> dict[str, Any]:
    return {**group, "params": [weight for weight in group["params"] if wanted(weight)]}


def _is_left_to_adam(weight: Tensor) -> bool:
    return not is_hidden_matrix(weight)


def _adam(groups: list[dict[str, Any]], weight_decay: float, *, momentum: float = 0.0) -> Adam:
    return _remember(
        Adam(
            groups,
            betas=(momentum, 0.999),
            weight_decay=weight_decay,
            fused=_fused(groups),
        )
    )


def _nesterov(
    backbone: nn.Module, heads: nn.Module, backbone_rate: float, head_rate: float, decay: float
) -> SGD:
    groups = [
        _group(backbone, backbone_rate),
        _group(heads, head_rate),
    ]
    return _remember(
        SGD(groups, momentum=0.9, nesterov=True, weight_decay=decay, fused=_fused(groups))
    )


def _fused(groups: list[dict[str, Any]]) -> bool | None:
    """One kernel for all weights of a GPU; elsewhere whatever torch does by itself."""
    return True if all(weight.is_cuda for group in groups for weight in group["params"]) else None


def _remember(optimizer: AnyOptimizer) -> AnyOptimizer:
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer
