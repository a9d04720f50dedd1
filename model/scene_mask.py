"""Kept scene: a mask of what a swap changes (not in the paper).

Most pixels of a composite are those of the structure picture, and a decoder that paints them again
does so with an error of 18 levels (docs/experiments.md). m, one value a pixel, is the share of the
decoder's picture G in the composite c = m G + (1 - m) x_s. Structure and appearance decide it
together (a coat is longer than a shirt), so m is read off the decoder's last maps and x_s. It
learns from true composites alone, whose renderer knows what it changed: a mask that learned from
reconstructions would copy everything.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dgnet.model.blocks import ConvolutionBlock, initialize_kaiming

CHANNELS = 16


class SceneMask(nn.Module):
    """Decoder maps (B, c, H, W) and structure pictures (B, 3, H, W) to logits (B, 1, H, W)."""

    def __init__(self, decoder_channels: int) -> None:
        super().__init__()
        inputs = decoder_channels // 4
        self.layers = nn.Sequential(
            ConvolutionBlock(inputs + 3, CHANNELS, 3), nn.Conv2d(CHANNELS, 1, 1)
        )
        initialize_kaiming(self)
        last = self.layers[1]
        assert isinstance(last, nn.Conv2d)
        nn.init.zeros_(last.weight)

    def forward(self, maps: Tensor, pictures: Tensor) -> Tensor:
        return self.layers(torch.cat([maps, pictures.to(maps.dtype)], dim=1)).float()
