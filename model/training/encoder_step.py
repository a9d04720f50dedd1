"""One iteration in which E_a learns alone, for ablations (paper, tables 4 and 5).

The baseline sees real pictures only. *Offline*, a finished DG-Net makes pictures that E_a learns
from as in joint training, but E_a teaches the generator nothing in return.

Legend: B batch, H x W pixels; directions are laid end to end as in `forward`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dgnet.model.data.pairs import PairBatch
from dgnet.model.dgnet import DGNet
from dgnet.model.training.config import LossWeights
from dgnet.model.training.draws import Draws
from dgnet.model.training.forward import exchanged
from dgnet.model.training.identity import (
    generated_identity_losses,
    identified_with_erasing,
    passes,
    real_identity_losses,
)
from dgnet.model.training.micro_batches import Losses, MicroBatch, learn, micro_batches
from dgnet.model.training.parts import StepParts


class EncoderStep:
    """Runs such iterations; without `generator`, on real pictures."""

    def __init__(self, parts: StepParts, generator: DGNet | None = None) -> None:
        self._parts = parts
        self._generator = generator.eval().requires_grad_(False) if generator else None

    def __call__(self, batch: PairBatch, weights: LossWeights, draws: Draws) -> Losses:
        """Update E_a once; returns the losses of the step, detached."""
        parts = self._parts
        return learn(
            parts,
            micro_batches(batch, draws, None, parts.config.accumulate),
            lambda part: self._losses(part, weights),
            weights,
            [parts.optimizers.appearance],
            [parts.networks.appearance_encoder],
        )

    def _losses(self, part: MicroBatch, weights: LossWeights) -> Losses:
        parts, batch = self._parts, part.batch
        groups = (batch.images_a, batch.images_b, batch.positives_a, batch.positives_b)
        batches = passes(parts, torch.cat(groups), len(groups))
        primary, fine = identified_with_erasing(parts, batches, part.draws)
        labels = torch.cat([batch.labels_a, batch.labels_b])
        losses = real_identity_losses(primary, fine, labels, weights)
        if self._generator is not None and weights.primary:
            generated = self.generated(self._generator, batch)
            losses |= generated_identity_losses(parts, generated, batch, weights)
        return losses

    @staticmethod
    @torch.no_grad()
    def generated(generator: DGNet, batch: PairBatch) -> Tensor:
        """[x_b^a, x_a^b], (2B, 3, H, W), by the codes of the generator's own encoders."""
        real = torch.cat([batch.images_a, batch.images_b])
        codes = generator.appearance_encoder.codes(real)
        return generator.decode(codes, exchanged(generator.structure_encoder(real)))
