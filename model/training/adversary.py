"""The adversary's side of a step: D learns to tell real pictures from generated ones.

D is updated before the generator's losses are known, on pictures of every micro-batch: with more
than one they are generated twice, first without gradients, because keeping them all would keep the
memory that micro-batches are there to save.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from dgnet.model.data.pairs import PairBatch
from dgnet.model.training.config import LossWeights
from dgnet.model.training.forward import Forward, exchanged
from dgnet.model.training.identity import passes
from dgnet.model.training.micro_batches import Losses, mean_losses
from dgnet.model.training.parts import StepParts


def update_discriminator(
    parts: StepParts,
    pictures: Iterable[tuple[Tensor, Tensor]],
    weights: LossWeights,
    inside: Tensor | None = None,
) -> Losses:
    """D learns to tell real pictures from generated ones, a micro-batch at a time; by what lies
    `inside` a mask (B, 1, H, W), if there is one.
    """
    optimizer = parts.optimizers.discriminator
    optimizer.zero_grad()
    found: list[Losses] = []
    for real, generated in pictures:
        with parts.precision():
            loss, penalty = parts.discriminator_losses(real, generated, inside)
            adversary, penalty = 2 * loss, 2 * penalty
            total = adversary + weights.gradient_penalty * penalty
        (total / parts.config.accumulate).backward()  # pyright: ignore[reportUnknownMemberType]
        found.append({"discriminator": total, "gradient_penalty": penalty})
    parts.workers.average_gradients(parts.networks.discriminator)
    optimizer.step()
    return mean_losses(found)


def judged(forward: Forward) -> Tensor:
    """What D looks at: composites, and where they keep the scene, G's pictures too."""
    if forward.composites is forward.generated:
        return forward.generated
    return torch.cat([forward.composites, forward.generated])


@torch.no_grad()
def generated_ahead(
    parts: StepParts, batch: PairBatch, weights: LossWeights
) -> tuple[Tensor, Tensor]:
    """Real pictures and those that the forward pass will generate of them, (2B, 3, H, W) each."""
    groups = (batch.images_a, batch.images_b, batch.positives_a, batch.positives_b)
    real = torch.cat(groups[:2])
    networks, twins = parts.networks, parts.twins
    encoder = twins.ahead_appearance if weights.use_identities else twins.appearance
    still = twins.still_appearance
    with parts.precision():
        codes = torch.cat(
            [encoder.codes(images) for images in passes(parts, torch.cat(groups), len(groups))]
        )[: len(real)]
        structure = networks.structure(real, encoder=still).each(exchanged)
        appearance = networks.appearance(real, codes=codes, encoder=still)
        decoded = networks.compose(appearance, structure)
        generated = decoded.generated
        if decoded.has_mask:
            kept = decoded.blended(decoded.mask(), structure.picture)
            generated = torch.cat([kept, generated])
    return real, generated
