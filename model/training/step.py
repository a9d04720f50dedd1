"""One iteration of joint training: forward, discriminator update, generator update (paper, section 3.3).

Networks without batch statistics see both directions in one pass, which changes nothing but the time; every
batch goes through E_a on its own, because its batch normalisation would mix them. Work whose weight is 0 (before
the warm-ups) is not done. What the loop owns (schedule, data, checkpoints) is not here.

Legend: directions are laid end to end: "real" holds [x_a, x_b], "generated" holds [x_b^a, x_a^b] (superscript
appearance, subscript structure), each (2B, 3, H, W).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.appearance_encoder import Identification
from model.data.pairs import PairBatch
from model.data.transforms import random_erasing
from model.dgnet import DGNet
from model.frozen import frozen_twin, use_batch_statistics
from model.losses import (
    discriminator_loss,
    fine_loss,
    generator_adversarial_loss,
    gradient_penalty,
    identity_loss,
    primary_loss,
    reconstruction_loss,
)
from model.teacher import Teacher, apply_label_policy, soft_labels
from model.training.config import JointConfig, LossWeights
from model.training.optimizers import JointOptimizers

Losses = dict[str, Tensor]
"""Unweighted losses by name, plus the weighted `total`; scalars, detached."""


@dataclass(frozen=True, kw_only=True)
class Forward:
    """What the forward pass of a step hands to the two updates."""

    real: Tensor  # [x_a, x_b], (2B, 3, H, W)
    structure_codes: Tensor  # [s_a, s_b]
    appearance_codes: Tensor  # [a_a, a_b]
    self_reconstructions: Tensor  # [G(a_a, s_a), G(a_b, s_b)]
    same_person_reconstructions: Tensor  # [G(a_ta, s_a), G(a_tb, s_b)], t a positive
    generated: Tensor  # [x_b^a, x_a^b]
    identifications: list[tuple[Identification, Identification]]  # x_a, x_b, positives of a, of b


@dataclass(frozen=True, kw_only=True)
class Draws:
    """The random choices of one step."""

    encoder_learns: bool
    """Structure-code reconstruction: true, E_s learns from detached pictures; false, the picture learns."""
    erasing: torch.Generator


def draw(seed: int, iteration: int) -> Draws:
    """The choices of an iteration, a pure function of its number: a resumed run draws the same."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + iteration)
    encoder_learns = bool(torch.rand((), generator=generator) < 0.5)
    return Draws(encoder_learns=encoder_learns, erasing=generator)


class JointStep:
    """Runs iterations on networks that already live on their device."""

    def __init__(
        self,
        networks: DGNet,
        teacher: Teacher,
        optimizers: JointOptimizers,
        config: JointConfig,
        *,
        autocast: torch.dtype | None = None,
    ) -> None:
        self.networks = networks.train()
        self.optimizers = optimizers
        self.config = config
        self.autocast = autocast
        self.device = next(networks.parameters()).device
        self.teacher = teacher.eval().requires_grad_(False)
        if config.train_bn:
            use_batch_statistics(self.teacher)
        self.frozen_appearance = frozen_twin(
            networks.appearance_encoder, batch_statistics=config.train_bn
        )
        self.frozen_structure = frozen_twin(networks.structure_encoder, batch_statistics=False)
        self.frozen_discriminator = frozen_twin(networks.discriminator, batch_statistics=False)

    def __call__(self, batch: PairBatch, weights: LossWeights, draws: Draws) -> Losses:
        """Update every network once; returns the losses of the step."""
        with self._precision():
            forward = self.forward(batch, draws)
            adversary = self.update_discriminator(forward, weights)
            losses = self.generator_losses(forward, batch, weights, draws)
            total = self.weighted_total(losses, weights)
        self.optimizers.generator.zero_grad()
        self.optimizers.appearance.zero_grad()
        total.backward()  # pyright: ignore[reportUnknownMemberType]
        self.optimizers.generator.step()
        self.optimizers.appearance.step()
        return {
            name: loss.detach() for name, loss in {**losses, **adversary, "total": total}.items()
        }

    def forward(self, batch: PairBatch, draws: Draws) -> Forward:
        """Encode, decode in all six combinations, identify the real pictures."""
        networks = self.networks
        groups = (batch.images_a, batch.images_b, batch.positives_a, batch.positives_b)
        real = torch.cat(groups[:2])
        structure_codes = networks.structure_encoder(real)
        codes, identifications = self._appearances(groups, draws)
        styles = networks.style_mlps(torch.cat(codes))  # (4B, ...): a, b, positives of a, of b
        own, positive = styles.chunk(2)
        style_a, style_b = own.chunk(2)
        structure_a, structure_b = structure_codes.chunk(2)
        decoded = networks.decoder(
            torch.cat([structure_codes, structure_codes, structure_b, structure_a]),
            torch.cat([own, positive, style_a, style_b]),
        )
        reconstructed, same_person, generated = decoded.chunk(3)
        return Forward(
            real=real,
            structure_codes=structure_codes,
            appearance_codes=torch.cat(codes[:2]),
            self_reconstructions=reconstructed,
            same_person_reconstructions=same_person,
            generated=generated,
            identifications=identifications,
        )

    def _appearances(
        self, groups: tuple[Tensor, ...], draws: Draws
    ) -> tuple[list[Tensor], list[tuple[Identification, Identification]]]:
        """Codes come from the pictures as they are; identities from pictures with an erased patch."""
        encoder = self.networks.appearance_encoder
        if not self.config.random_erasing:
            outputs = [encoder(images) for images in groups]
            return [out.codes for out in outputs], [(out.primary, out.fine) for out in outputs]
        with torch.no_grad():
            codes = [encoder.codes(images) for images in groups]
        probability = self.config.random_erasing
        return codes, [
            encoder.identify(random_erasing(images, draws.erasing, probability=probability))
            for images in groups
        ]

    def update_discriminator(self, forward: Forward, weights: LossWeights) -> Losses:
        """D learns to tell real pictures from generated ones."""
        discriminator = self.networks.discriminator
        real = forward.real.detach().requires_grad_()
        real_scores = discriminator(real)
        fake_scores = discriminator(forward.generated.detach())
        # Sums over both directions, here and below, are twice the mean over both at once.
        adversary = 2 * discriminator_loss(fake_scores, real_scores)
        penalty = 2 * gradient_penalty(real, real_scores)
        total = adversary + weights.gradient_penalty * penalty
        self.optimizers.discriminator.zero_grad()
        total.backward()  # pyright: ignore[reportUnknownMemberType]
        self.optimizers.discriminator.step()
        return {"discriminator": total, "gradient_penalty": penalty}

    def generator_losses(
        self, forward: Forward, batch: PairBatch, weights: LossWeights, draws: Draws
    ) -> Losses:
        """Every loss that E_s, G, the MLPs and E_a learn from, unweighted, summed over directions."""
        labels = torch.cat([batch.labels_a, batch.labels_b])
        losses: Losses = {
            "adversarial": 2
            * generator_adversarial_loss(self.frozen_discriminator(forward.generated)),
            "self_reconstruction": 2
            * reconstruction_loss(forward.self_reconstructions, forward.real),
            "same_person_reconstruction": 2
            * reconstruction_loss(forward.same_person_reconstructions, forward.real),
        }
        primary, fine = (
            torch.cat([heads[index].logits for heads in forward.identifications])
            for index in (0, 1)
        )  # (4B, I) each: a, b, positives of a, of b
        on_real, on_positives = primary.chunk(2)
        losses["identity"] = 2 * identity_loss(on_real, labels)
        losses["identity_positive"] = 2 * identity_loss(on_positives, labels)
        if weights.fine:
            losses["fine_real"] = 2 * identity_loss(fine.chunk(2)[0], labels)
        losses |= self._generated_code_losses(forward, labels, weights, draws)
        if weights.primary:
            losses |= self._discriminative_losses(forward, batch)
        return losses

    def _generated_code_losses(
        self, forward: Forward, labels: Tensor, weights: LossWeights, draws: Draws
    ) -> Losses:
        """Re-encode the generated pictures: identity, appearance code, structure code, cycle."""
        encoded = [
            self.frozen_appearance(half, detach_code=self.config.detach_appearance_code)
            for half in forward.generated.chunk(2)
        ]
        logits = torch.cat([output.primary.logits for output in encoded])
        losses: Losses = {"identity_generated": 2 * identity_loss(logits, labels)}
        appearance_codes = torch.cat([output.codes for output in encoded])  # a of [x_b^a, x_a^b]
        if weights.appearance_code_reconstruction:
            losses["appearance_code_reconstruction"] = 2 * reconstruction_loss(
                appearance_codes, forward.appearance_codes
            )
        if not (weights.structure_code_reconstruction or weights.cycle_reconstruction):
            return losses
        structure_codes = (
            self.networks.structure_encoder(forward.generated.detach())
            if draws.encoder_learns
            else self.frozen_structure(forward.generated)
        )
        # x_b^a shows the structure of b, x_a^b that of a: swap the halves to the order [a, b].
        structure_codes = torch.cat(structure_codes.chunk(2)[::-1])
        losses["structure_code_reconstruction"] = 2 * reconstruction_loss(
            structure_codes, forward.structure_codes
        )
        if weights.cycle_reconstruction:
            cycled = self.networks.decode(appearance_codes, structure_codes)
            losses["cycle_reconstruction"] = 2 * reconstruction_loss(cycled, forward.real)
        return losses

    def _discriminative_losses(self, forward: Forward, batch: PairBatch) -> Losses:
        """What E_a learns from the generated pictures (section 3.2): primary and fine-grained features."""
        generated = forward.generated.detach()
        primary: list[Tensor] = []
        fine: list[Tensor] = []
        pairs = ((batch.labels_a, batch.labels_b), (batch.labels_b, batch.labels_a))
        for half, (appearance_labels, structure_labels) in zip(
            generated.chunk(2), pairs, strict=True
        ):
            target = apply_label_policy(
                self.config.label_policy,
                soft_labels(self.teacher, half),
                appearance_labels,
                structure_labels,
            )
            by_primary, by_fine = self.networks.appearance_encoder.identify(half)
            primary.append(primary_loss(by_primary.logits, target))
            fine.append(fine_loss(by_fine.logits, structure_labels))
        return {"primary": torch.stack(primary).sum(), "fine": torch.stack(fine).sum()}

    @staticmethod
    def weighted_total(losses: Losses, weights: LossWeights) -> Tensor:
        """The generator's objective; the fine head's loss on real pictures weighs as on generated ones."""
        weight_of = {
            name: getattr(weights, "fine" if name == "fine_real" else name) for name in losses
        }
        return torch.stack([weight_of[name] * loss for name, loss in losses.items()]).sum()

    def _precision(self) -> torch.autocast:
        return torch.autocast(
            self.device.type, dtype=self.autocast, enabled=self.autocast is not None
        )


def gradient_norm(network: nn.Module) -> Tensor:
    """L2 norm over all gradients of a network, for logs and parity tests."""
    gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
    return torch.stack([gradient.norm() for gradient in gradients]).norm()
