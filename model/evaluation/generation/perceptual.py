"""LPIPS (Zhang et al., 2018): how different two pictures look to a network trained on photographs.

Version 0.1 with AlexNet, by the package of its authors, which brings the weights of its own layers;
AlexNet's are torchvision's.

B pairs of pictures, uint8 (B, H, W, 3) RGB.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from dgnet.arrays import Floats, Pixels
from dgnet.model.evaluation.generation.weight_files import FigureLeftOut, PublishedWeights

_SHA256 = "7be5be79"


class PerceptualDistance:
    """LPIPS (B,) of pairs of pictures, on a device."""

    def __init__(self, network: Any, device: torch.device) -> None:
        self._network = network.to(device)
        self._device = device

    @classmethod
    def load(
        cls, file: str | Path | None, device: torch.device, *, download: bool = False
    ) -> PerceptualDistance:
        """From published weights; raises FigureLeftOut or WeightFileError without them."""
        try:
            import lpips  # pyright: ignore[reportMissingTypeStubs]
        except ModuleNotFoundError as error:
            raise FigureLeftOut(
                f"LPIPS is left out: {error.name} is not installed; pip install 'dgnet[fid]'"
            ) from error
        from torchvision.models import AlexNet_Weights

        weights = PublishedWeights(
            figure="LPIPS",
            url=AlexNet_Weights.IMAGENET1K_V1.url,
            sha256=_SHA256,
            option="--alexnet-weights",
        ).find(file, download=download)
        with warnings.catch_warnings():
            # It asks torchvision for a network in words that torchvision has given up.
            warnings.simplefilter("ignore", UserWarning)
            network: Any = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
        trained: dict[str, Tensor] = torch.load(weights, map_location="cpu", weights_only=True)
        # Its AlexNet keeps torchvision's layers, in slices: slice2.3.weight is features.3.weight.
        network.net.load_state_dict(
            {
                name: trained[f"features.{name.partition('.')[2]}"]
                for name in network.net.state_dict()
            }
        )
        return cls(network.eval().requires_grad_(False), device)

    def __call__(self, left: Pixels, right: Pixels) -> Floats:
        with torch.inference_mode():
            distance = self._network(self._images(left), self._images(right))  # (B, 1, 1, 1)
            return cast("Floats", distance.flatten().cpu().numpy())

    def _images(self, pictures: Pixels) -> Tensor:
        """(B, 3, H, W) in -1..1."""
        pixels = torch.from_numpy(np.ascontiguousarray(pictures))  # pyright: ignore[reportUnknownMemberType]
        return pixels.permute(0, 3, 1, 2).to(self._device, torch.float32) / 127.5 - 1
