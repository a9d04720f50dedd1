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
from dgnet.model.codes import AppearanceCode, StructureCode
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
)
from dgnet.model.teacher import Teacher, apply_label_policy, soft_labels
from dgnet.model.training.config import JointConfig, LossWeights
from dgnet.model.training.draws import Draws, MicroBatch, mean_losses, micro_batches
from dgnet.model.training.optimizers import JointOptimizers
from dgnet.model.training.truth import truth_losses
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
    generated: Tensor  # [x_b^a, x_a^b] as G makes them; no rows where no loss looks at them
    composites: Tensor  # the same with the scene kept; `generated` itself where there is no mask
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
        self.still_appearance = frozen_twin(  # whose backbone the look-up of clothes reads
            networks.appearance_encoder, batch_statistics=False
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
            self.still_appearance.backbone,
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
            losses: Losses = {}
            if weights.use_pairs:
                forward = self.forward(part.batch, weights, part.draws)
                if weights.adversarial and len(parts) == 1:
                    pictures = (forward.real.detach(), _judged(forward).detach())
                    adversary.update(self._update_discriminator((pictures,), weights))
                losses |= self.generator_losses(forward, part.batch, weights, part.draws)
            if part.truth is not None:
                losses |= truth_losses(
                    self.networks,
                    part.truth,
                    weights,
                    codes_from=self.frozen_appearance,
                    taps_from=self.still_appearance,
                )
            return losses

        networks = self.networks
        found = self.learn(
            parts,
            losses_of,
            weights,
            [*self.optimizers.of_generator(), self.optimizers.appearance],
            [networks.appearance_encoder, *networks.generator_parts.values()],
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
        self._clip()
        for optimizer in optimizers:
            optimizer.step()
        return mean_losses(found)

    def _clip(self) -> None:
        """Bound the generator's gradient; one surprising batch must not undo a hundred."""
        if self.config.clip_gradient:
            parts = self.networks.generator_parts.values()
            nn.utils.clip_grad_norm_(
                (weight for part in parts for weight in part.parameters()),
                self.config.clip_gradient,
            )

    def forward(self, batch: PairBatch, weights: LossWeights, draws: Draws) -> Forward:
        """Encode, decode in all six combinations, identify the real pictures."""
        networks = self.networks
        groups = (batch.images_a, batch.images_b, batch.positives_a, batch.positives_b)
        pictures = torch.cat(groups)
        real = torch.cat(groups[:2])
        structure = networks.structure(real, encoder=self.still_appearance)
        codes, (primary, fine) = self._appearances(groups, weights, draws)
        appearances = networks.appearance(pictures, codes=codes, encoder=self.still_appearance)
        own, positive = appearances.chunk(2)
        structures, wanted, shown, still = [structure], [positive], [0], [0]
        if weights.self_reconstruction:
            structures.append(structure)
            wanted.append(own)
            shown.append(0)
            still.append(1)
        if weights.use_generated:
            structures.append(_exchanged(structure))
            wanted.append(own)
            shown.append(1)
            still.append(0)
        rows = len(real)
        structures = StructureCode.cat(structures)
        decoded = networks.compose(
            AppearanceCode.cat(wanted),
            structures,
            shown=real.new_tensor(shown).repeat_interleave(rows),
            still=real.new_tensor(still).repeat_interleave(rows),
        )
        composites = decoded.generated
        if decoded.has_mask:
            composites = decoded.blended(decoded.mask().detach(), structures.picture)
        own_pictures = rows if weights.self_reconstruction else 0
        ends = (rows, rows + own_pictures)
        same_person, reconstructed, generated = decoded.generated.tensor_split(ends)
        return Forward(
            real=real,
            structure_codes=structure.maps,
            appearance_codes=codes.chunk(2)[0],
            self_reconstructions=reconstructed,
            same_person_reconstructions=same_person,
            generated=generated,
            composites=composites.tensor_split(ends)[2] if decoded.has_mask else generated,
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
            still = self.still_appearance
            structure = _exchanged(self.networks.structure(real, encoder=still))
            appearance = self.networks.appearance(real, codes=codes, encoder=still)
            decoded = self.networks.compose(appearance, structure)
            generated = decoded.generated
            if decoded.has_mask:
                kept = decoded.blended(decoded.mask(), structure.picture)
                generated = torch.cat([kept, generated])
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
        compare = weights.comparison
        losses: Losses = {
            "same_person_reconstruction": 2
            * compare(forward.same_person_reconstructions, forward.real)
        }
        if weights.self_reconstruction:
            losses["self_reconstruction"] = 2 * compare(forward.self_reconstructions, forward.real)
        if weights.adversarial:
            scores = self.frozen_discriminator(_judged(forward))
            losses["adversarial"] = 2 * generator_adversarial_loss(scores)
        losses |= self.real_identity_losses(forward.primary, forward.fine, labels, weights)
        losses |= self._generated_code_losses(forward, labels, weights, draws)
        if weights.primary:
            losses |= self.generated_identity_losses(forward.composites.detach(), batch, weights)
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
        if forward.composites is not forward.generated:
            halves = self.passes(forward.composites, 2)
            identified = [self.frozen_appearance.identify(half) for half in halves]
            logits = torch.cat([primary.logits for primary, _ in identified])
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
            cycled = self._cycled(forward.generated, appearance_codes, structure_codes)
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

    def _cycled(
        self, generated: Tensor, appearance_codes: Tensor, structure_codes: Tensor
    ) -> Tensor:
        """[x_a, x_b] again: appearances of [x_b^a, x_a^b], structures of [x_a^b, x_b^a]."""
        networks, still = self.networks, self.still_appearance
        exchanged = torch.cat(generated.chunk(2)[::-1])
        decoded = networks.compose(
            networks.appearance(generated, codes=appearance_codes, encoder=still),
            networks.structure(exchanged, maps=structure_codes, encoder=still),
            shown=generated.new_zeros(len(generated)),
        )
        return decoded.generated

    @staticmethod
    def weighted_total(losses: Losses, weights: LossWeights) -> Tensor:
        """The generator's objective: every loss times the weight of its name."""
        return torch.stack([getattr(weights, name) * loss for name, loss in losses.items()]).sum()

    def precision(self) -> torch.autocast:
        """What forward passes run under."""
        return torch.autocast(
            self.device.type, dtype=self.autocast, enabled=self.autocast is not None
        )


def _exchanged(structure: StructureCode) -> StructureCode:
    """[s_b, s_a] of [s_a, s_b]."""
    return StructureCode.cat(structure.chunk(2)[::-1])


def _judged(forward: Forward) -> Tensor:
    """What D looks at: composites, and where they keep the scene, G's pictures too."""
    if forward.composites is forward.generated:
        return forward.generated
    return torch.cat([forward.composites, forward.generated])


def _joined(batches: tuple[Identification, ...]) -> Identification:
    return Identification(
        torch.cat([batch.features for batch in batches]),
        torch.cat([batch.logits for batch in batches]),
    )


def gradient_norm(network: nn.Module) -> Tensor:
    """L2 norm over all gradients of a network, for logs and parity tests."""
    gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
    return torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
