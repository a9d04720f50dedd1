"""The teacher: a plain Re-ID baseline, and the soft labels it gives to generated pictures.

Paper, section 3.2 (primary feature learning); its sixth label policy, LSRO, is Zheng et al., ICCV
2017. The teacher is trained on real pictures only and frozen during joint training.

Legend: B batch, I identities.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from dgnet.model.appearance_encoder import Identification, IdentityHead
from dgnet.model.backbones import build_backbone
from dgnet.model.config import NetworkConfig

LabelPolicy = Literal["soft", "pseudo", "appearance", "uniform", "two_labels"]
"""Policies 0 to 4 of the spec, in that order."""

DROPOUT = 0.5


class Teacher(nn.Module):
    """Backbone, average pooling, one identity head: (B, 3, H, W) to features and logits."""

    def __init__(self, config: NetworkConfig, *, last_stride: int = 2) -> None:
        super().__init__()
        self.config = config
        self.last_stride = last_stride
        self.backbone = build_backbone(config.backbone, last_stride=last_stride)
        self.head = IdentityHead(
            self.backbone.channels, config.head_features, config.identities, dropout=DROPOUT
        )

    def forward(self, images: Tensor) -> Identification:
        maps = self.backbone(images)
        return self.head(functional.adaptive_avg_pool2d(maps, 1).flatten(1))


def soft_labels(teacher: nn.Module, images: Tensor) -> Tensor:
    """Policy 0: mean of the softmax on the pictures and on their mirror images, (B, I); no
    gradient.
    """
    with torch.no_grad():
        views = (images, images.flip(3))
        return torch.stack([_wide_softmax(teacher(view).logits) for view in views]).mean(0)


def apply_label_policy(
    policy: LabelPolicy, soft: Tensor, appearance_labels: Tensor, structure_labels: Tensor
) -> Tensor:
    """Target distribution (B, I) of generated pictures.

    `soft` is policy 0's answer (B, I); labels are (B,) identity indices of the picture that gave
    the appearance and of the one that gave the structure.
    """
    identities = soft.shape[1]
    match policy:
        case "soft":
            return soft
        case "pseudo":
            return functional.one_hot(soft.argmax(1), identities).to(soft.dtype)
        case "appearance":
            return functional.one_hot(appearance_labels, identities).to(soft.dtype)
        case "uniform":
            return torch.full_like(soft, 1 / identities)
        case "two_labels":
            mask = functional.one_hot(appearance_labels, identities) | functional.one_hot(
                structure_labels, identities
            )
            # The smallest number halves the label where the teacher excludes both persons.
            kept = (soft + torch.finfo(soft.dtype).tiny) * mask
            return kept / kept.sum(1, keepdim=True)


def _wide_softmax(logits: Tensor) -> Tensor:
    """Softmax in float32 at least: half precision cannot hold a distribution over hundreds of
    people.
    """
    return (logits if logits.dtype == torch.float64 else logits.float()).softmax(1)
