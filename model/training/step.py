"""One iteration of joint training: forward, discriminator update, generator update (paper, section
3.3).

Networks without batch statistics see both directions in one pass, which changes nothing but the
time; every batch goes through E_a on its own, because its batch normalisation would mix them. Work
whose weight is 0 (before the warm-ups) is not done. What the loop owns (schedule, data,
checkpoints) is not here.

A step may be computed in micro-batches, and by several processes. Every loss is a mean over the
pictures, so the mean over equal parts is that of the whole, and so are its gradients; only batch
normalisation, which takes its statistics from what goes through at once, can tell. D is updated
before the generator's losses are known, on pictures of every micro-batch: with more than one they
are generated twice, first without gradients, because keeping them all would keep the memory that
micro-batches are there to save.

Legend: directions are laid end to end: "real" holds [x_a, x_b], "generated" holds [x_b^a, x_a^b]
(superscript appearance, subscript structure), each (2B, 3, H, W).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dgnet.model.appearance_encoder import Identification
from dgnet.model.data.pairs import PairBatch
from dgnet.model.data.transforms import random_erasing
from dgnet.model.data.truth_batches import TruthBatch
from dgnet.model.dgnet import DGNet
from dgnet.model.frozen import frozen_twin
from dgnet.model.losses import (
    discriminator_loss,
    fine_loss,
    generator_adversarial_loss,
    gradient_penalty,
    identity_loss,
    primary_loss,
    reconstruction_loss,
    squared_reconstruction_loss,
)
from dgnet.model.teacher import Teacher, apply_label_policy, soft_labels
from dgnet.model.training.config import JointConfig, LossWeights
from dgnet.model.training.draws import Draws, MicroBatch, mean_losses, micro_batches
from dgnet.model.training.optimizers import JointOptimizers
from dgnet.model.training.workers import Workers

Losses = dict[str, Tensor]
"""Unweighted losses by name, plus the weighted `total`; scalars."""

GROUPS = 4
"""Batches of a step that go through E_a: a, b and their positives."""


@dataclass(frozen=True, kw_only=True)
class Forward:
    """What the forward pass of a step hands to the two updates."""

    real: Tensor  # [x_a, x_b], (2B, 3, H, W)
    structure_codes: Tensor  # [s_a, s_b]
    appearance_codes: Tensor  # [a_a, a_b]
    self_reconstructions: Tensor  # [G(a_a, s_a), G(a_b, s_b)]; no rows where its weight is 0
    same_person_reconstructions: Tensor  # [G(a_ta, s_a), G(a_tb, s_b)], t a positive
    generated: Tensor  # [x_b^a, x_a^b]; no rows where no loss looks at them
    primary: Identification  # of x_a, x_b, the positives of a, of b: (4B, ...)
    fine: Identification


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
        workers: Workers | None = None,
    ) -> None:
        """`workers` each compute their share of every batch."""
        self.workers = workers or Workers()
        self.networks = networks
        self.optimizers = optimizers
        self.config = config
        self.autocast = autocast
        self.device = next(networks.parameters()).device
        self.frozen_teacher = frozen_twin(teacher, batch_statistics=config.train_bn)
        self.frozen_appearance = frozen_twin(
            networks.appearance_encoder, batch_statistics=config.train_bn
        )
        self.ahead_appearance = frozen_twin(  # gives the codes that E_a will give
            networks.appearance_encoder, batch_statistics=config.backbone_batch_statistics
        )
        self.frozen_structure = frozen_twin(networks.structure_encoder, batch_statistics=False)
        self.frozen_discriminator = frozen_twin(networks.discriminator, batch_statistics=False)
        self.start_learning()

    def start_learning(self) -> None:
        """Put the networks into training mode: at the start, and after somebody looked at them."""
        self.networks.train()
        backbone = self.networks.appearance_encoder.backbone
        backbone.requires_grad_(self.config.appearance_learns != "heads")
        if not self.config.backbone_batch_statistics:
            backbone.eval()

    def compilable(self) -> list[nn.Module]:
        """Everything that costs time, but D itself: its gradient penalty differentiates twice."""
        return [
            self.networks.appearance_encoder.backbone,
            self.networks.structure_encoder,
            self.networks.decoder,
            self.frozen_teacher.backbone,
            self.frozen_appearance.backbone,
            self.ahead_appearance.backbone,
            self.frozen_structure,
            self.frozen_discriminator,
        ]

    def __call__(
        self,
        batch: PairBatch,
        weights: LossWeights,
        draws: Draws,
        truth: TruthBatch | None = None,
    ) -> Losses:
        """Update every network once; returns the losses of the step."""
        parts = micro_batches(batch, draws, truth, self.config.accumulate)
        adversary: Losses = {}
        if weights.adversarial and len(parts) > 1:
            adversary = self._update_discriminator(
                (self.generated_ahead(part.batch, weights) for part in parts), weights
            )

        def losses_of(part: MicroBatch) -> Losses:
            forward = self.forward(part.batch, weights, part.draws)
            if weights.adversarial and len(parts) == 1:
                pictures = (forward.real.detach(), forward.generated.detach())
                adversary.update(self._update_discriminator((pictures,), weights))
            losses = self.generator_losses(forward, part.batch, weights, part.draws)
            if part.truth is not None:
                losses |= self._truth_losses(part.truth, weights)
            return losses

        networks = self.networks
        found = self.learn(
            parts,
            losses_of,
            weights,
            [*self.optimizers.of_generator(), self.optimizers.appearance],
            [
                networks.appearance_encoder,
                networks.structure_encoder,
                networks.style_mlps,
                networks.decoder,
            ],
        )
        return {**found, **adversary}

    def learn(
        self,
        parts: Sequence[MicroBatch],
        losses_of: Callable[[MicroBatch], Losses],
        weights: LossWeights,
        optimizers: Sequence[Optimizer],
        networks: Sequence[nn.Module],
    ) -> Losses:
        """Step the optimisers of these networks once by the mean of the weighted losses over all
        micro-batches of all workers; returns this worker's means, detached.
        """
        for optimizer in optimizers:
            optimizer.zero_grad()
        found: list[Losses] = []
        for part in parts:
            with self.precision():
                losses = losses_of(part)
                total = self.weighted_total(losses, weights)
            (total / len(parts)).backward()  # pyright: ignore[reportUnknownMemberType]
            found.append({**losses, "total": total})
        self.workers.average_gradients(*networks)
        self.workers.average_statistics(*networks)
        for optimizer in optimizers:
            optimizer.step()
        return mean_losses(found)

    def forward(self, batch: PairBatch, weights: LossWeights, draws: Draws) -> Forward:
        """Encode, decode in all six combinations, identify the real pictures."""
        networks = self.networks
        groups = (batch.images_a, batch.images_b, batch.positives_a, batch.positives_b)
        real = torch.cat(groups[:2])
        structure_codes = networks.structure_encoder(real)
        codes, (primary, fine) = self._appearances(groups, weights, draws)
        styles = networks.style_mlps(codes)  # (4B, ...): a, b, positives of a, of b
        own, positive = styles.chunk(2)
        style_a, style_b = own.chunk(2)
        structure_a, structure_b = structure_codes.chunk(2)
        structures, wanted = [structure_codes], [positive]
        if weights.self_reconstruction:
            structures.append(structure_codes)
            wanted.append(own)
        if weights.use_generated:
            structures += [structure_b, structure_a]
            wanted += [style_a, style_b]
        decoded = networks.decoder(torch.cat(structures), torch.cat(wanted))
        pictures = len(real)
        same_person, decoded = decoded.tensor_split((pictures,))
        own_pictures = pictures if weights.self_reconstruction else 0
        reconstructed, generated = decoded.tensor_split((own_pictures,))
        return Forward(
            real=real,
            structure_codes=structure_codes,
            appearance_codes=codes.chunk(2)[0],
            self_reconstructions=reconstructed,
            same_person_reconstructions=same_person,
            generated=generated,
            primary=primary,
            fine=fine,
        )

    def _appearances(
        self, groups: tuple[Tensor, ...], weights: LossWeights, draws: Draws
    ) -> tuple[Tensor, list[Identification]]:
        """Codes come from the pictures as they are; identities from pictures with an erased patch.

        Codes (4B, code) and primary and fine identification, all in the order of `groups`.
        """
        encoder = self.networks.appearance_encoder
        batches = self.passes(torch.cat(groups), len(groups))
        if not weights.use_identities:
            encoder = self.frozen_appearance  # stands still: no gradients to keep, no statistics
        if not (weights.use_identities and self.config.random_erasing):
            outputs = [encoder(images) for images in batches]
            codes = [output.codes for output in outputs]
            heads = [(output.primary, output.fine) for output in outputs]
        else:
            with torch.no_grad():
                codes = [encoder.codes(images) for images in batches]
            return torch.cat(codes), self.identified_with_erasing(batches, draws)
        return torch.cat(codes), [_joined(head) for head in zip(*heads, strict=True)]

    def identified_with_erasing(
        self, batches: tuple[Tensor, ...], draws: Draws
    ) -> list[Identification]:
        """Primary and fine identification of real pictures with an erased patch."""
        erased = [
            random_erasing(
                images,
                draws.erasing,
                probability=self.config.random_erasing,
                share=draws.share,
                groups=GROUPS // len(batches),
            )
            for images in batches
        ]
        return self._identified(erased)

    def _identified(self, batches: Iterable[Tensor]) -> list[Identification]:
        """Primary and fine identification, a batch at a time."""
        heads = [self.networks.appearance_encoder.identify(images) for images in batches]
        return [_joined(head) for head in zip(*heads, strict=True)]

    def passes(self, images: Tensor, batches: int) -> tuple[Tensor, ...]:
        """What goes through a batch-normalised network at a time: a batch, or everything."""
        return (images,) if self.config.merge_batches else images.chunk(batches)

    @torch.no_grad()
    def generated_ahead(self, batch: PairBatch, weights: LossWeights) -> tuple[Tensor, Tensor]:
        """Real pictures and those that `forward` will generate of them, (2B, 3, H, W) each."""
        groups = (batch.images_a, batch.images_b, batch.positives_a, batch.positives_b)
        real = torch.cat(groups[:2])
        encoder = self.ahead_appearance if weights.use_identities else self.frozen_appearance
        with self.precision():
            codes = torch.cat(
                [encoder.codes(images) for images in self.passes(torch.cat(groups), len(groups))]
            )[: len(real)]
            structure_a, structure_b = self.networks.structure_encoder(real).chunk(2)
            generated = self.networks.decode(codes, torch.cat([structure_b, structure_a]))
        return real, generated

    def _update_discriminator(
        self, pictures: Iterable[tuple[Tensor, Tensor]], weights: LossWeights
    ) -> Losses:
        """D learns to tell real pictures from generated ones, a micro-batch at a time."""
        discriminator, optimizer = self.networks.discriminator, self.optimizers.discriminator
        optimizer.zero_grad()
        found: list[Losses] = []
        for real, generated in pictures:
            real.requires_grad_()
            with self.precision():
                real_scores = discriminator(real)
                fake_scores = discriminator(generated)
                # Sums over both directions, here and below, are twice the mean over both at once.
                adversary = 2 * discriminator_loss(fake_scores, real_scores)
                penalty = 2 * gradient_penalty(real, real_scores)
                total = adversary + weights.gradient_penalty * penalty
            (total / self.config.accumulate).backward()  # pyright: ignore[reportUnknownMemberType]
            found.append({"discriminator": total, "gradient_penalty": penalty})
        self.workers.average_gradients(discriminator)
        optimizer.step()
        return mean_losses(found)

    def generator_losses(
        self, forward: Forward, batch: PairBatch, weights: LossWeights, draws: Draws
    ) -> Losses:
        """Every loss that E_s, G, the MLPs and E_a learn from, unweighted, summed over
        directions.
        """
        labels = torch.cat([batch.labels_a, batch.labels_b])
        compare = _comparison(weights)
        losses: Losses = {
            "same_person_reconstruction": 2
            * compare(forward.same_person_reconstructions, forward.real)
        }
        if weights.self_reconstruction:
            losses["self_reconstruction"] = 2 * compare(forward.self_reconstructions, forward.real)
        if weights.adversarial:
            scores = self.frozen_discriminator(forward.generated)
            losses["adversarial"] = 2 * generator_adversarial_loss(scores)
        losses |= self.real_identity_losses(forward.primary, forward.fine, labels, weights)
        losses |= self._generated_code_losses(forward, labels, weights, draws)
        if weights.primary:
            losses |= self.generated_identity_losses(forward.generated.detach(), batch, weights)
        return losses

    @staticmethod
    def real_identity_losses(
        primary: Identification, fine: Identification, labels: Tensor, weights: LossWeights
    ) -> Losses:
        """What E_a learns from real pictures, all (4B, ...): x_a, x_b and their positives."""
        losses: Losses = {}
        if weights.use_identities:
            on_real, on_positives = primary.logits.chunk(2)
            losses["identity"] = 2 * identity_loss(on_real, labels)
            losses["identity_positive"] = 2 * identity_loss(on_positives, labels)
        if weights.fine_real:
            losses["fine_real"] = 2 * identity_loss(fine.logits.chunk(2)[0], labels)
        return losses

    def _generated_code_losses(
        self, forward: Forward, labels: Tensor, weights: LossWeights, draws: Draws
    ) -> Losses:
        """Re-encode the generated pictures: identity, appearance code, structure code, cycle."""
        if not (
            weights.identity_generated
            or weights.appearance_code_reconstruction
            or weights.structure_code_reconstruction
            or weights.cycle_reconstruction
        ):
            return {}
        encoded = [
            self.frozen_appearance(half, detach_code=self.config.detach_appearance_code)
            for half in self.passes(forward.generated, 2)
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

    def generated_identity_losses(
        self, generated: Tensor, batch: PairBatch, weights: LossWeights
    ) -> Losses:
        """What E_a learns from generated pictures [x_b^a, x_a^b] (section 3.2): primary features
        from the teacher's labels, fine-grained ones from the structure's person.
        """
        batches = self.passes(generated, 2)
        structure_labels = torch.cat([batch.labels_b, batch.labels_a])
        primary, fine = self._identified(batches)
        losses: Losses = {}
        if not weights.fine_alone:
            targets = apply_label_policy(
                self.config.label_policy,
                torch.cat([soft_labels(self.frozen_teacher, images) for images in batches]),
                torch.cat([batch.labels_a, batch.labels_b]),
                structure_labels,
            )
            losses["primary"] = 2 * primary_loss(primary.logits, targets)
        losses["fine"] = 2 * fine_loss(fine.logits, structure_labels)
        return losses

    def _truth_losses(self, truth: TruthBatch, weights: LossWeights) -> Losses:
        """Composites against the pictures that a renderer made of the same swap (E_a stands still
        there, as its detached code does in every reconstruction), and whom E_a sees in those.
        """
        with torch.no_grad():
            codes = self.frozen_appearance.codes(truth.appearances)
        structure_codes = self.networks.structure_encoder(truth.structures)
        composites = self.networks.decode(codes, structure_codes)
        losses: Losses = {"truth": _comparison(weights)(composites, truth.truths)}
        if weights.truth_identity:
            primary, fine = self.networks.appearance_encoder.identify(truth.truths)
            losses["truth_identity"] = identity_loss(primary.logits, truth.appearance_labels)
            losses["truth_fine"] = fine_loss(fine.logits, truth.structure_labels)
        return losses

    @staticmethod
    def weighted_total(losses: Losses, weights: LossWeights) -> Tensor:
        """The generator's objective: every loss times the weight of its name."""
        return torch.stack([getattr(weights, name) * loss for name, loss in losses.items()]).sum()

    def precision(self) -> torch.autocast:
        """What forward passes run under."""
        return torch.autocast(
            self.device.type, dtype=self.autocast, enabled=self.autocast is not None
        )


def _comparison(weights: LossWeights) -> Callable[[Tensor, Tensor], Tensor]:
    return reconstruction_loss if weights.use_generated else squared_reconstruction_loss


def _joined(batches: tuple[Identification, ...]) -> Identification:
    return Identification(
        torch.cat([batch.features for batch in batches]),
        torch.cat([batch.logits for batch in batches]),
    )


def gradient_norm(network: nn.Module) -> Tensor:
    """L2 norm over all gradients of a network, for logs and parity tests."""
    gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
    return torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
