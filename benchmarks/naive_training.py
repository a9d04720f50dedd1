"""The loop that a reader of the paper writes first, for `benchmarks.train` to compare with.

The same losses as `dgnet.model.training.step` (a check in the benchmark holds it to that), one
direction after the other: every picture is encoded and decoded when a loss needs it, frozen copies
are copies, networks are contiguous float32, patches are erased picture by picture.

Legend: i gives the appearance or is the own direction, j is the other one; `t` marks a positive.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torchvision.transforms import RandomErasing

from dgnet.model.data.pairs import PairBatch
from dgnet.model.dgnet import DGNet
from dgnet.model.losses import (
    discriminator_loss,
    fine_loss,
    generator_adversarial_loss,
    gradient_penalty,
    identity_loss,
    primary_loss,
    reconstruction_loss,
)
from dgnet.model.teacher import Teacher, apply_label_policy, soft_labels
from dgnet.model.training.config import JointConfig, LossWeights
from dgnet.model.training.draws import Draws
from dgnet.model.training.micro_batches import Losses
from dgnet.model.training.optimizers import JointOptimizers

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Direction:
    """One of the two batches and what the networks say of it."""

    real: Tensor
    positive: Tensor
    labels: Tensor
    structure: Tensor
    code: Tensor


class NaiveStep:
    """Runs iterations; called like `JointStep`."""

    def __init__(
        self, networks: DGNet, teacher: Teacher, optimizers: JointOptimizers, config: JointConfig
    ) -> None:
        self.networks = networks.train()
        self.teacher = teacher.eval().requires_grad_(False)
        for layer in self.teacher.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):  # pyright: ignore[reportPrivateUsage]
                layer.train(config.train_bn)
        self.optimizers = optimizers
        self.config = config
        self.erase = RandomErasing(p=config.random_erasing, scale=(0.02, 0.4))

    def __call__(self, batch: PairBatch, weights: LossWeights, draws: Draws) -> Losses:
        """Update every network once; returns the losses of the step."""
        a = self._encoded(batch.images_a, batch.positives_a, batch.labels_a)
        b = self._encoded(batch.images_b, batch.positives_b, batch.labels_b)
        pairs = ((a, b), (b, a))
        generated = [self.networks.decode(i.code, j.structure) for i, j in pairs]
        losses = self._update_discriminator((a, b), generated, weights)
        total = torch.zeros((), device=a.real.device)

        def add(name: str, loss: Tensor, weight: float) -> None:
            nonlocal total
            losses[name] = losses.get(name, torch.zeros(())) + loss.detach()
            total = total + weight * loss

        encoder = self.networks.appearance_encoder
        frozen_encoder = self._frozen(encoder, batch_statistics=self.config.train_bn)
        frozen_structures = self._frozen(self.networks.structure_encoder)
        frozen_discriminator = self._frozen(self.networks.discriminator)
        re_encoded: list[tuple[Tensor, Tensor]] = []
        for (i, j), picture in zip(pairs, generated, strict=True):
            own = self.networks.decode(i.code, i.structure)
            add(
                "self_reconstruction",
                reconstruction_loss(own, i.real),
                weights.self_reconstruction,
            )
            same = self.networks.decode(encoder(i.positive).codes, i.structure)
            add(
                "same_person_reconstruction",
                reconstruction_loss(same, i.real),
                weights.same_person_reconstruction,
            )
            scores = frozen_discriminator(picture)
            add("adversarial", generator_adversarial_loss(scores), weights.adversarial)
            primary, fine = encoder.identify(self._erased(i.real))
            add("identity", identity_loss(primary.logits, i.labels), weights.identity)
            add("fine_real", identity_loss(fine.logits, i.labels), weights.fine_real)
            primary, _ = encoder.identify(self._erased(i.positive))
            add(
                "identity_positive",
                identity_loss(primary.logits, i.labels),
                weights.identity_positive,
            )
            seen = frozen_encoder(picture, detach_code=self.config.detach_appearance_code)
            add(
                "identity_generated",
                identity_loss(seen.primary.logits, i.labels),
                weights.identity_generated,
            )
            add(
                "appearance_code_reconstruction",
                reconstruction_loss(seen.codes, i.code),
                weights.appearance_code_reconstruction,
            )
            structure = (
                self.networks.structure_encoder(picture.detach())
                if draws.encoder_learns
                else frozen_structures(picture)
            )
            add(
                "structure_code_reconstruction",
                reconstruction_loss(structure, j.structure),
                weights.structure_code_reconstruction,
            )
            re_encoded.append((seen.codes, structure))
            targets = apply_label_policy(
                self.config.label_policy,
                soft_labels(self.teacher, picture.detach()),
                i.labels,
                j.labels,
            )
            primary, fine = encoder.identify(picture.detach())
            add("primary", primary_loss(primary.logits, targets), weights.primary)
            add("fine", fine_loss(fine.logits, j.labels), weights.fine)
        for place, (i, _) in enumerate(pairs):
            cycled = self.networks.decode(re_encoded[place][0], re_encoded[1 - place][1])
            add(
                "cycle_reconstruction",
                reconstruction_loss(cycled, i.real),
                weights.cycle_reconstruction,
            )
        learning = [*self.optimizers.of_generator(), self.optimizers.appearance]
        for optimizer in learning:
            optimizer.zero_grad()
        total.backward()  # pyright: ignore[reportUnknownMemberType]
        for optimizer in learning:
            optimizer.step()
        return {**losses, "total": total.detach()}

    def _encoded(self, real: Tensor, positive: Tensor, labels: Tensor) -> Direction:
        return Direction(
            real,
            positive,
            labels,
            self.networks.structure_encoder(real),
            self.networks.appearance_encoder(real).codes,
        )

    def _update_discriminator(
        self, directions: tuple[Direction, Direction], generated: list[Tensor], weights: LossWeights
    ) -> Losses:
        discriminator = self.networks.discriminator
        total = torch.zeros((), device=generated[0].device)
        for direction, picture in zip(directions, generated, strict=True):
            real = direction.real.detach().requires_grad_()
            scores = discriminator(real)
            total = total + discriminator_loss(discriminator(picture.detach()), scores)
            total = total + weights.gradient_penalty * gradient_penalty(real, scores)
        self.optimizers.discriminator.zero_grad()
        total.backward()  # pyright: ignore[reportUnknownMemberType]
        self.optimizers.discriminator.step()
        return {"discriminator": total.detach()}

    def _erased(self, images: Tensor) -> Tensor:
        return torch.stack([self.erase(image) for image in images])

    @staticmethod
    def _frozen(network: Network, *, batch_statistics: bool = False) -> Network:
        twin = copy.deepcopy(network).requires_grad_(False).eval()
        for layer in twin.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):  # pyright: ignore[reportPrivateUsage]
                layer.train(batch_statistics)
        return twin
