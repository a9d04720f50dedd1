"""How different two pictures look to a network trained on photographs of everything.

Generators start from these weights; `detail` has also learned from the first strides
(`truth_features`, docs/training.md), so that the distance tells how far it has come and compares
it with no network that has not.

B pairs of pictures, uint8 (B, H, W, 3) RGB.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dgnet.arrays import Doubles, Pixels
from dgnet.model.data.transforms import normalize
from dgnet.model.evaluation.composites.measures import require_same_shape
from dgnet.model.evaluation.generation.weight_files import FigureLeftOut
from dgnet.model.imagenet_features import ImageNetFeatures, unit_feature_distance


class ImageNetDistance:
    """The distance (B,) of pairs of pictures, on a device, in float32."""

    def __init__(self, features: ImageNetFeatures, device: torch.device) -> None:
        self._features = features.to(device)
        self._device = device

    @classmethod
    def load(cls, device: torch.device) -> ImageNetDistance:
        """Raises FigureLeftOut where the weights are not installed."""
        try:
            return cls(ImageNetFeatures.load(), device)
        except ModuleNotFoundError as error:
            raise FigureLeftOut(
                f"the distance of ImageNet features is left out: {error.name} is not installed; "
                "pip install 'dgnet[train]'"
            ) from error

    def __call__(self, left: Pixels, right: Pixels) -> Doubles:
        require_same_shape(left, right)
        with torch.inference_mode():
            maps = zip(self._maps(left), self._maps(right), strict=True)
            distances = torch.stack([unit_feature_distance(one, other) for one, other in maps])
            return distances.mean(dim=0).double().cpu().numpy()

    def _maps(self, pictures: Pixels) -> list[Tensor]:
        pixels = torch.as_tensor(np.ascontiguousarray(pictures))
        return self._features(normalize(pixels.to(self._device)))
