"""The forward pass of a step: encode, decode in all six combinations, identify (paper, section
3.1).

Networks without batch statistics see both directions in one pass, which changes nothing but the
time. Work whose weight is 0 (before the warm-ups) is not done.

Legend: directions are laid end to end: "real" holds [x_a, x_b], "generated" holds [x_b^a, x_a^b]
(superscript appearance, subscript structure), each (2B, 3, H, W).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dgnet.model.appearance_encoder import Identification
from dgnet.model.codes import AppearanceCode, StructureCode
from dgnet.model.data.pairs import PairBatch
from dgnet.model.training.config import LossWeights
from dgnet.model.training.draws import Draws
from dgnet.model.training.identity import identified_with_erasing, joined, passes
from dgnet.model.training.parts import StepParts


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


def forward_pass(parts: StepParts, batch: PairBatch, weights: LossWeights, draws: Draws) -> Forward:
    """Encode, decode in all six combinations, identify the real pictures."""
    networks, still_encoder = parts.networks, parts.twins.still_appearance
    groups = (batch.images_a, batch.images_b, batch.positives_a, batch.positives_b)
    pictures = torch.cat(groups)
    real = torch.cat(groups[:2])
    structure = networks.structure(real, encoder=still_encoder)
    codes, (primary, fine) = _appearances(parts, groups, weights, draws)
    appearances = networks.appearance(pictures, codes=codes, encoder=still_encoder)
    own, positive = appearances.chunk(2)
    structures, wanted, shown, still = [structure], [positive], [0], [0]
    if weights.self_reconstruction:
        structures.append(structure)
        wanted.append(own)
        shown.append(0)
        still.append(1)
    if weights.use_generated:
        structures.append(structure.each(exchanged))
        wanted.append(own)
        shown.append(1)
        still.append(0)
    rows = len(real)

    def of_each_row(values: list[int]) -> Tensor:
        """Made where they are used: a copy from the host would make the device wait."""
        return torch.cat([real.new_full((rows,), value) for value in values])

    structures = StructureCode.cat(structures)
    decoded = networks.compose(
        AppearanceCode.cat(wanted),
        structures,
        shown=of_each_row(shown),
        still=of_each_row(still),
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
    parts: StepParts, groups: tuple[Tensor, ...], weights: LossWeights, draws: Draws
) -> tuple[Tensor, list[Identification]]:
    """Codes come from the pictures as they are; identities from pictures with an erased patch.

    Codes (4B, code) and primary and fine identification, all in the order of `groups`.
    """
    encoder = parts.networks.appearance_encoder
    batches = passes(parts, torch.cat(groups), len(groups))
    if not weights.use_identities:
        encoder = parts.twins.appearance  # stands still: no gradients to keep, no statistics
    if not (weights.use_identities and parts.config.random_erasing):
        outputs = [encoder(images) for images in batches]
        codes = [output.codes for output in outputs]
        heads = [(output.primary, output.fine) for output in outputs]
    else:
        with torch.no_grad():
            codes = [encoder.codes(images) for images in batches]
        return torch.cat(codes), identified_with_erasing(parts, batches, draws)
    return torch.cat(codes), [joined(head) for head in zip(*heads, strict=True)]


def exchanged(halves: Tensor) -> Tensor:
    """[b, a] of [a, b], (2B, ...): what belongs to one direction, for the other."""
    return torch.cat(halves.chunk(2)[::-1])
