"""The pipeline that the others are measured against: what one would write first.

Encode, encode, decode, one pair at a time, float32, eager, contiguous.

Legend: B pictures, H x W pixels, D numbers of an embedding.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import torch

from dgnet.arrays import Pixels
from dgnet.model.data.transforms import denormalize, normalize
from dgnet.model.dgnet import DGNet
from dgnet.model.inference.programs import retrieval_embeddings


class Naive:
    """What a user of the bare networks would write first."""

    def __init__(self, networks: DGNet, device: torch.device) -> None:
        self.networks = deepcopy(networks).eval().requires_grad_(False).to(device)
        self.device = device

    @torch.no_grad()
    def swap(self, appearance_images: Pixels, structure_images: Pixels) -> Pixels:
        """Composites (B, H, W, 3), pair by pair."""
        pairs = zip(self._images(appearance_images), self._images(structure_images), strict=True)
        composites: list[Pixels] = []
        for appearance_image, structure_image in pairs:
            appearance_code = self.networks.appearance_encoder.codes(appearance_image)
            structure_code = self.networks.structure_encoder(structure_image)
            image = self.networks.decode(appearance_code, structure_code)
            composites.append(denormalize(image).cpu().numpy())
        return np.concatenate(composites)

    @torch.no_grad()
    def embed(self, images: Pixels) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Embeddings (B, D), picture by picture."""
        encoder = self.networks.appearance_encoder
        rows = [
            retrieval_embeddings(encoder, image).cpu().numpy() for image in self._images(images)
        ]
        return np.concatenate(rows)

    def _images(self, pictures: Pixels) -> list[torch.Tensor]:
        return [
            normalize(torch.tensor(picture, device=self.device)[None]).contiguous()
            for picture in pictures
        ]
