"""What a network trained on photographs of everything sees in a picture, and how far two are apart.

EfficientNet-Lite0 as trained on ImageNet, which the product carries anyway, standing still. In the
manner of LPIPS (Zhang et al., 2018) without its trained weights, so no LPIPS and not to be compared
with one.

B pictures; C channels of a map of h x w positions.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from dgnet.model.backbones import Backbone, build_backbone, imagenet_efficientnet_lite0

STRIDES = (2, 4, 8, 16, 32)
# The last stage of each stride, from the stem on.
_STAGES = (0, 1, 2, 4, 6)

# Added to the length of a position's features, as LPIPS does: a position without any stays zero.
_SHORTEST = 1e-10


class ImageNetFeatures(nn.Module):
    """Normalized pictures (B, 3, H, W) to one map (B, C, H / s, W / s) for each of the first
    `strides` of STRIDES. Learns nothing; gradients reach the pictures.
    """

    def __init__(self, backbone: Backbone, strides: int = len(STRIDES)) -> None:
        super().__init__()
        stages = backbone.stages
        self._stem = nn.Sequential(stages.get_submodule("conv_stem"), stages.get_submodule("bn1"))
        blocks = cast(nn.Sequential, stages.get_submodule("blocks"))
        self._last = _STAGES[:strides]
        self._blocks = blocks[: self._last[-1] + 1]
        self.eval().requires_grad_(False)

    @classmethod
    def load(cls, strides: int = len(STRIDES)) -> ImageNetFeatures:
        """Raises ModuleNotFoundError where the weights are not installed (extra `train`)."""
        weights = imagenet_efficientnet_lite0()
        backbone = build_backbone("efficientnet_lite0", last_stride=2)
        backbone.load_state_dict(weights)
        return cls(backbone, strides)

    def train(self, mode: bool = True) -> ImageNetFeatures:
        """Stays in evaluation mode: its batch statistics are ImageNet's."""
        return super().train(False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        maps = self._stem(pictures)
        kept: list[Tensor] = []
        for number, block in enumerate(self._blocks):
            maps = block(maps)
            if number in self._last:
                kept.append(maps)
        return kept


def unit_feature_distance(left: Tensor, right: Tensor) -> Tensor:
    """(B,): squared distance of the features (B, C, h, w), of length 1 at each position, averaged
    over the positions: 0 for equal directions, 2 for unrelated ones.
    """
    ones, others = (functional.normalize(maps, dim=1, eps=_SHORTEST) for maps in (left, right))
    return (ones - others).square().sum(dim=1).mean(dim=(1, 2))
