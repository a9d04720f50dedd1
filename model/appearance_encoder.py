"""The appearance encoder E_a (paper, section 3.1): one network for the appearance code and for
Re-ID.

The code that feeds the decoder and both identity heads are read off the same map. The code is
detached by default, as in the authors' release: reconstruction never bends the Re-ID features (see
`detach_code`).

Legend: B batch, C backbone channels, P appearance parts, I identities.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from dgnet.model.backbones import build_backbone
from dgnet.model.config import NetworkConfig

PRIMARY_DROPOUT = 0.5
FINE_DROPOUT = 0.75
CLASSIFIER_STD = 0.001


class Identification(NamedTuple):
    """What one head says of a batch."""

    features: Tensor  # (B, head_features), the values before the classifier
    logits: Tensor  # (B, I)


class AppearanceOutput(NamedTuple):
    """Everything E_a says of a batch."""

    codes: Tensor  # (B, C * P)
    primary: Identification
    fine: Identification


class IdentityHead(nn.Module):
    """Linear, batch normalization, dropout, classifier: (B, C) to features and logits."""

    def __init__(self, inputs: int, hidden: int, identities: int, *, dropout: float) -> None:
        super().__init__()
        self.reduce = nn.Linear(inputs, hidden)
        self.normalize = nn.BatchNorm1d(hidden)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden, identities)
        nn.init.kaiming_normal_(self.reduce.weight, a=0, mode="fan_out")
        nn.init.zeros_(self.reduce.bias)
        nn.init.normal_(self.normalize.weight, mean=1.0, std=0.02)
        nn.init.zeros_(self.normalize.bias)
        nn.init.normal_(self.classifier.weight, std=CLASSIFIER_STD)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, pooled: Tensor) -> Identification:
        features = self.dropout(self.normalize(self.reduce(pooled)))
        return Identification(features, self.classifier(features))


class AppearanceEncoder(nn.Module):
    """(B, 3, H, W) normalized RGB to appearance codes, primary and fine identification."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.backbone = build_backbone(config.backbone, last_stride=1)
        self.parts = config.appearance_parts
        channels = self.backbone.channels
        self.code_size = channels * self.parts
        self.primary = IdentityHead(
            channels, config.head_features, config.identities, dropout=PRIMARY_DROPOUT
        )
        self.fine = IdentityHead(
            channels, config.head_features, config.identities, dropout=FINE_DROPOUT
        )

    def codes(self, images: Tensor) -> Tensor:
        """Appearance codes (B, C * P) alone; value c * P + p is channel c of stripe p."""
        return self._pool(self.backbone(images))

    def codes_and_taps(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Appearance codes, and the backbone's maps of stride 4, 8 and 16."""
        maps, taps = self.backbone.with_taps(images)
        return self._pool(maps), taps

    def identify(self, images: Tensor) -> tuple[Identification, Identification]:
        """Primary and fine identification alone."""
        pooled = functional.adaptive_max_pool2d(self.backbone(images), 1).flatten(1)  # (B, C)
        return self.primary(pooled), self.fine(pooled)

    def forward(self, images: Tensor, *, detach_code: bool = True) -> AppearanceOutput:
        """`detach_code=False` is the paper's form, where the decoder's losses reach the input
        picture.
        """
        maps = self.backbone(images)  # (B, C, H / 16, W / 16)
        pooled = functional.adaptive_max_pool2d(maps, 1).flatten(1)  # (B, C)
        codes = self._pool(maps.detach() if detach_code else maps)
        return AppearanceOutput(codes, self.primary(pooled), self.fine(pooled))

    def _pool(self, maps: Tensor) -> Tensor:
        return functional.adaptive_max_pool2d(maps, (self.parts, 1)).flatten(1)
