"""The Inception features that FID is computed from, by torch-fidelity.

Heusel et al. (2017): pool features of the Inception network that was published in 2015, of pictures
resized to 299 x 299 as TensorFlow did. Network, resizing and weights are torch-fidelity's; the
distance between features is in `frechet`.

B pictures, 2,048 features.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from dgnet.arrays import Floats, Pixels
from dgnet.model.evaluation.generation.weight_files import FigureLeftOut, PublishedWeights

FEATURES = 2048

_LAYER = "2048"
_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"


class InceptionFeatures:
    """Features (B, 2048) of uint8 pictures (B, H, W, 3) of any size, on a device."""

    def __init__(self, extractor: Any, device: torch.device) -> None:
        self._extractor = extractor.to(device)
        self._device = device

    @classmethod
    def load(
        cls, file: str | Path | None, device: torch.device, *, download: bool = False
    ) -> InceptionFeatures:
        """From published weights; raises FigureLeftOut or WeightFileError without them."""
        try:
            from torch_fidelity import feature_extractor_inceptionv3 as inception
        except ModuleNotFoundError as error:
            raise FigureLeftOut(
                f"FID is left out: {error.name} is not installed; pip install 'dgnet[fid]'"
            ) from error
        weights = PublishedWeights(
            figure="FID",
            url=inception.URL_INCEPTION_V3,
            sha256=_SHA256,
            option="--inception-weights",
        ).find(file, download=download)
        # The library unpickles the file; its hash says that it is the published one.
        extractor: Any = inception.FeatureExtractorInceptionV3(
            "inception-v3-compat", [_LAYER], feature_extractor_weights_path=str(weights)
        )
        return cls(extractor, device)

    def __call__(self, pictures: Pixels) -> Floats:
        with torch.inference_mode():
            pixels = torch.from_numpy(np.ascontiguousarray(pictures))  # pyright: ignore[reportUnknownMemberType]
            (features,) = self._extractor(pixels.permute(0, 3, 1, 2).to(self._device))
            return cast("Floats", features.cpu().numpy())
