"""What E_a learns from identities, on real pictures and on generated ones (paper, section 3.2).

Every batch goes through E_a on its own, because its batch normalization would mix them.

Legend: B batch; directions are laid end to end as in `forward`.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from dgnet.model.appearance_encoder import Identification
from dgnet.model.data.pairs import PairBatch
from dgnet.model.data.transforms import random_erasing
from dgnet.model.losses import fine_loss, identity_loss, primary_loss
from dgnet.model.teacher import apply_label_policy, soft_labels
from dgnet.model.training.config import LossWeights
from dgnet.model.training.draws import Draws
from dgnet.model.training.micro_batches import Losses
from dgnet.model.training.parts import StepParts

GROUPS = 4
"""Batches of a step that go through E_a: a, b and their positives."""


def passes(parts: StepParts, images: Tensor, batches: int) -> tuple[Tensor, ...]:
    """What goes through a batch-normalized network at a time: a batch, or everything."""
    return (images,) if parts.config.merge_batches else images.chunk(batches)


def identified(parts: StepParts, batches: Iterable[Tensor]) -> list[Identification]:
    """Primary and fine identification, a batch at a time."""
    heads = [parts.networks.appearance_encoder.identify(images) for images in batches]
    return [joined(head) for head in zip(*heads, strict=True)]


def identified_with_erasing(
    parts: StepParts, batches: tuple[Tensor, ...], draws: Draws
) -> list[Identification]:
    """Primary and fine identification of real pictures with an erased patch."""
    erased = [
        random_erasing(
            images,
            draws.erasing,
            probability=parts.config.random_erasing,
            share=draws.share,
            groups=GROUPS // len(batches),
        )
        for images in batches
    ]
    return identified(parts, erased)


def joined(batches: tuple[Identification, ...]) -> Identification:
    """The identification of all batches, in their order."""
    return Identification(
        torch.cat([batch.features for batch in batches]),
        torch.cat([batch.logits for batch in batches]),
    )


def real_identity_losses(
    primary: Identification, fine: Identification, labels: Tensor, weights: LossWeights
) -> Losses:
    """What E_a learns from real pictures, all (4B, ...): x_a, x_b and their positives.

    Sums over both directions, here and elsewhere, are twice the mean over both at once.
    """
    losses: Losses = {}
    if weights.use_identities:
        on_real, on_positives = primary.logits.chunk(2)
        losses["identity"] = 2 * identity_loss(on_real, labels)
        losses["identity_positive"] = 2 * identity_loss(on_positives, labels)
    if weights.fine_real:
        losses["fine_real"] = 2 * identity_loss(fine.logits.chunk(2)[0], labels)
    return losses


def generated_identity_losses(
    parts: StepParts, generated: Tensor, batch: PairBatch, weights: LossWeights
) -> Losses:
    """What E_a learns from generated pictures [x_b^a, x_a^b]: primary features from the teacher's
    labels, fine-grained ones from the structure's person.
    """
    batches = passes(parts, generated, 2)
    structure_labels = torch.cat([batch.labels_b, batch.labels_a])
    primary, fine = identified(parts, batches)
    losses: Losses = {}
    if not weights.fine_alone:
        targets = apply_label_policy(
            parts.config.label_policy,
            torch.cat([soft_labels(parts.twins.teacher, images) for images in batches]),
            torch.cat([batch.labels_a, batch.labels_b]),
            structure_labels,
        )
        losses["primary"] = 2 * primary_loss(primary.logits, targets)
    losses["fine"] = 2 * fine_loss(fine.logits, structure_labels)
    return losses
