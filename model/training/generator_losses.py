"""Every loss that E_s, G, the MLPs and E_a learn from in a step (paper, sections 3.1 and 3.2).

Unweighted; sums over both directions are twice the mean over both at once, which are laid end to
end as in `forward`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dgnet.model.data.pairs import PairBatch
from dgnet.model.losses import generator_adversarial_loss, identity_loss, reconstruction_loss
from dgnet.model.training.adversary import judged
from dgnet.model.training.config import LossWeights
from dgnet.model.training.draws import Draws
from dgnet.model.training.forward import Forward, exchanged
from dgnet.model.training.identity import (
    generated_identity_losses,
    passes,
    real_identity_losses,
)
from dgnet.model.training.micro_batches import Losses
from dgnet.model.training.parts import StepParts


def generator_losses(
    parts: StepParts, forward: Forward, batch: PairBatch, weights: LossWeights, draws: Draws
) -> Losses:
    """Every loss that E_s, G, the MLPs and E_a learn from, unweighted, summed over
    directions.
    """
    labels = torch.cat([batch.labels_a, batch.labels_b])
    compare = weights.comparison
    losses: Losses = {
        "same_person_reconstruction": 2 * compare(forward.same_person_reconstructions, forward.real)
    }
    if weights.self_reconstruction:
        losses["self_reconstruction"] = 2 * compare(forward.self_reconstructions, forward.real)
    if weights.adversarial:
        scores = parts.twins.discriminator(judged(forward))
        losses["adversarial"] = 2 * generator_adversarial_loss(scores)
    losses |= real_identity_losses(forward.primary, forward.fine, labels, weights)
    losses |= _generated_code_losses(parts, forward, labels, weights, draws)
    if weights.primary:
        losses |= generated_identity_losses(parts, forward.composites.detach(), batch, weights)
    return losses


def _generated_code_losses(
    parts: StepParts, forward: Forward, labels: Tensor, weights: LossWeights, draws: Draws
) -> Losses:
    """Re-encode the generated pictures: identity, appearance code, structure code, cycle."""
    if not (
        weights.identity_generated
        or weights.appearance_code_reconstruction
        or weights.structure_code_reconstruction
        or weights.cycle_reconstruction
    ):
        return {}
    appearance_codes, logits = _identified(parts, forward)
    losses: Losses = {"identity_generated": 2 * identity_loss(logits, labels)}
    if weights.appearance_code_reconstruction:
        losses["appearance_code_reconstruction"] = 2 * reconstruction_loss(
            appearance_codes, forward.appearance_codes
        )
    if not (weights.structure_code_reconstruction or weights.cycle_reconstruction):
        return losses
    structure_codes = (
        parts.networks.structure_encoder(forward.generated.detach())
        if draws.encoder_learns
        else parts.twins.structure(forward.generated)
    )
    # x_b^a shows the structure of b, x_a^b that of a; what they are compared with is [a, b].
    structure_codes = exchanged(structure_codes)
    losses["structure_code_reconstruction"] = 2 * reconstruction_loss(
        structure_codes, forward.structure_codes
    )
    if weights.cycle_reconstruction:
        cycled = _cycled(parts, forward.generated, appearance_codes, structure_codes)
        losses["cycle_reconstruction"] = 2 * reconstruction_loss(cycled, forward.real)
    return losses


def _identified(parts: StepParts, forward: Forward) -> tuple[Tensor, Tensor]:
    """Appearance codes (2B, code) of G's pictures, identity logits (2B, I) of the composites."""
    encoder, detach_code = parts.twins.appearance, parts.config.detach_appearance_code
    generated = passes(parts, forward.generated, 2)
    if forward.composites is forward.generated:
        outputs = [encoder(half, detach_code=detach_code) for half in generated]
        codes = [output.codes for output in outputs]
        logits = [output.primary.logits for output in outputs]
    else:
        with torch.set_grad_enabled(not detach_code):
            codes = [encoder.codes(half) for half in generated]
        composites = passes(parts, forward.composites, 2)
        logits = [encoder.identify(half)[0].logits for half in composites]
    return torch.cat(codes), torch.cat(logits)


def _cycled(
    parts: StepParts, generated: Tensor, appearance_codes: Tensor, structure_codes: Tensor
) -> Tensor:
    """[x_a, x_b] again: appearances of [x_b^a, x_a^b], structures of [x_a^b, x_b^a]."""
    networks, still = parts.networks, parts.twins.still_appearance
    swapped = exchanged(generated)
    decoded = networks.compose(
        networks.appearance(generated, codes=appearance_codes, encoder=still),
        networks.structure(swapped, maps=structure_codes, encoder=still),
        shown=generated.new_zeros(len(generated)),
    )
    return decoded.generated
