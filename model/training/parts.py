"""What training steps are made from: networks on their device, frozen twins, optimizers."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dgnet.model.appearance_encoder import AppearanceEncoder
from dgnet.model.dgnet import DGNet
from dgnet.model.discriminator import Discriminator
from dgnet.model.frozen import frozen_twin
from dgnet.model.imagenet_features import ImageNetFeatures
from dgnet.model.structure_encoder import StructureEncoder
from dgnet.model.teacher import Teacher
from dgnet.model.training.config import JointConfig
from dgnet.model.training.discriminator_losses import DiscriminatorLosses
from dgnet.model.training.optimizers import JointOptimizers
from dgnet.model.training.workers import Workers


@dataclass(frozen=True, kw_only=True)
class Twins:
    """Networks that share every weight with those that learn, and never learn themselves."""

    teacher: Teacher
    appearance: AppearanceEncoder
    ahead_appearance: AppearanceEncoder
    """Gives the codes that E_a will give."""
    still_appearance: AppearanceEncoder
    """Whose backbone the look-up of clothes reads."""
    structure: StructureEncoder
    discriminator: Discriminator

    @staticmethod
    def of(networks: DGNet, teacher: Teacher, config: JointConfig) -> Twins:
        """Valid until the networks move to another device."""
        encoder = networks.appearance_encoder
        return Twins(
            teacher=frozen_twin(teacher, batch_statistics=config.train_bn),
            appearance=frozen_twin(encoder, batch_statistics=config.train_bn),
            ahead_appearance=frozen_twin(
                encoder, batch_statistics=config.backbone_batch_statistics
            ),
            still_appearance=frozen_twin(encoder, batch_statistics=False),
            structure=frozen_twin(networks.structure_encoder, batch_statistics=False),
            discriminator=frozen_twin(networks.discriminator, batch_statistics=False),
        )


@dataclass(frozen=True, kw_only=True)
class StepParts:
    """Shared by every part of a step."""

    networks: DGNet
    twins: Twins
    discriminator_losses: DiscriminatorLosses
    optimizers: JointOptimizers
    config: JointConfig
    autocast: torch.dtype | None
    workers: Workers
    """Each computes its share of every batch."""
    features: ImageNetFeatures | None = None
    """What true composites are also compared by."""

    def precision(self) -> torch.autocast:
        """What forward passes run under."""
        device = next(self.networks.parameters()).device
        return torch.autocast(device.type, dtype=self.autocast, enabled=self.autocast is not None)
