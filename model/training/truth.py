"""Losses on composites whose true picture is known (not in the paper: only a renderer has them).

G is compared everywhere; where the network keeps the scene, the composite again inside what
changed, and its mask learns there what a swap changes; where it looks clothes up, the cells'
colors are compared with the truth's before the decoder has touched them. E_a stands still, as its
detached code does in every reconstruction, but for its heads.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from dgnet.model.appearance_encoder import AppearanceEncoder
from dgnet.model.config import STRUCTURE_STRIDE
from dgnet.model.data.truth_batches import TruthBatch
from dgnet.model.dgnet import DGNet
from dgnet.model.imagenet_features import ImageNetFeatures, unit_feature_distance
from dgnet.model.losses import fine_loss, identity_loss, inside_loss, mask_loss
from dgnet.model.training.config import LossWeights

WIDENED_PIXELS = 2
"""Pixels per 128 rows that the mask reaches beyond what the renderer changed: edges are shared."""


def truth_losses(
    networks: DGNet,
    truth: TruthBatch,
    weights: LossWeights,
    *,
    codes_from: AppearanceEncoder,
    taps_from: AppearanceEncoder,
    features: ImageNetFeatures | None = None,
    adversary: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
) -> dict[str, Tensor]:
    """Unweighted losses by name; the two encoders are frozen twins of E_a.

    Where the network keeps the scene, `features` adds `truth_features`, and `adversary`, which
    gives G's loss on truths and composites (B, 3, H, W) inside what changed, `truth_adversarial`.
    """
    with torch.no_grad():
        codes = codes_from.codes(truth.appearances)
    structure = networks.structure(truth.structures, encoder=taps_from)
    decoded = networks.compose(
        networks.appearance(truth.appearances, codes=codes, encoder=taps_from), structure
    )
    losses = {"truth": weights.comparison(decoded.generated, truth.truths)}
    if decoded.has_mask:
        wanted = widened(truth.changed)
        losses["truth_mask"] = mask_loss(decoded.mask_logits, wanted)
        composites = decoded.blended(decoded.mask().detach(), structure.picture)
        losses["truth_inside"] = inside_loss(composites, truth.truths, wanted)
        if features is not None and weights.truth_features:
            losses["truth_features"] = _feature_loss(features, composites, truth.truths)
        if adversary is not None and weights.truth_adversarial:
            losses["truth_adversarial"] = adversary(truth.truths, composites, wanted)
    if decoded.colors.numel():
        cells = functional.avg_pool2d(truth.changed, STRUCTURE_STRIDE)
        colors = functional.avg_pool2d(truth.truths, STRUCTURE_STRIDE)
        losses["truth_colours"] = inside_loss(decoded.colors, colors, cells)
    if weights.truth_identity:
        primary, fine = networks.appearance_encoder.identify(truth.truths)
        losses["truth_identity"] = identity_loss(primary.logits, truth.appearance_labels)
        losses["truth_fine"] = fine_loss(fine.logits, truth.structure_labels)
    return losses


def _feature_loss(features: ImageNetFeatures, made: Tensor, truths: Tensor) -> Tensor:
    """In float32: on processors depthwise convolutions are slower in bf16."""
    with torch.autocast(made.device.type, enabled=False):
        with torch.no_grad():
            wanted = features(truths.float())
        found = features(made.float())
        distances = [unit_feature_distance(*maps) for maps in zip(found, wanted, strict=True)]
        return torch.stack(distances).mean()


def widened(changed: Tensor) -> Tensor:
    """Masks (B, 1, H, W) of 0 and 1, grown on all sides."""
    reach = max(1, round(WIDENED_PIXELS * changed.shape[2] / 128))
    return functional.max_pool2d(changed, 2 * reach + 1, stride=1, padding=reach)
