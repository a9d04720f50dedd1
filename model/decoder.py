"""The decoder G and the MLPs that turn an appearance code into AdaIN parameters (paper, section
3.1).

The parameters ("style") are plain values handed to the decoder, never stored on a module:
decoding is re-entrant, one batch may mix appearances, and a style computed once serves any number
of composites.

Legend: B batch, K residual blocks (= appearance parts), C decoder channels, H x W pixels.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from dgnet.model.blocks import (
    NEGATIVE_SLOPE,
    ConvolutionBlock,
    PaddedConvolution,
    adaptive_instance_normalize,
    initialize_kaiming,
)
from dgnet.model.config import NetworkConfig
from dgnet.model.recompute import Recomputing

ALL_BLOCKS = slice(None)

GENTLE_GAIN = 0.3
"""Of the last layers in `start_gently`, where Kaiming's is 1.4."""


def style_mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Three linear layers with LeakyReLU between them."""
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.LeakyReLU(NEGATIVE_SLOPE),
        nn.Linear(hidden, hidden),
        nn.LeakyReLU(NEGATIVE_SLOPE),
        nn.Linear(hidden, outputs),
    )


class StyleMLPs(nn.Module):
    """Appearance code (B, code) to style (B, K, 2 layers, 2, C), the last pair being scale and
    shift.

    The code is cut into K consecutive parts; part k drives both AdaIN layers of residual block k.
    """

    def __init__(self, config: NetworkConfig, code_size: int) -> None:
        super().__init__()
        self.parts = config.appearance_parts
        self.channels = config.decoder_channels
        part = code_size // self.parts
        self.scales = nn.ModuleList(
            style_mlp(part, config.mlp_features, 2 * self.channels) for _ in range(self.parts)
        )
        self.shifts = nn.ModuleList(
            style_mlp(part, config.mlp_features, 2 * self.channels) for _ in range(self.parts)
        )
        initialize_kaiming(self)

    def start_gently(self) -> None:
        """Let scales start around 1 and shifts around 0, each varying with the code by a half."""
        for mlps, bias in ((self.scales, 1.0), (self.shifts, 0.0)):
            for mlp in mlps:
                last = cast(nn.Linear, cast(nn.Sequential, mlp)[-1])
                nn.init.normal_(last.weight, std=GENTLE_GAIN * last.in_features**-0.5)
                nn.init.constant_(last.bias, bias)

    def forward(self, appearance_codes: Tensor) -> Tensor:
        parts = appearance_codes.chunk(self.parts, dim=1)
        scales = torch.stack([mlp(part) for mlp, part in zip(self.scales, parts, strict=True)], 1)
        shifts = torch.stack([mlp(part) for mlp, part in zip(self.shifts, parts, strict=True)], 1)
        layered = (-1, self.parts, 2, self.channels)
        return torch.stack([scales.view(layered), shifts.view(layered)], dim=3)  # (B, K, 2, 2, C)


class StyledResidualBlock(nn.Module):
    """3x3, AdaIN, LeakyReLU; 3x3, AdaIN; added to the input. Style of the block: (B, 2, 2, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = PaddedConvolution(channels, channels, 3)
        self.second = PaddedConvolution(channels, channels, 3)

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        out = adaptive_instance_normalize(self.first(maps), style[:, 0, 0], style[:, 0, 1])
        out = functional.leaky_relu(out, NEGATIVE_SLOPE)
        out = adaptive_instance_normalize(self.second(out), style[:, 1, 0], style[:, 1, 1])
        return maps + out


class Decoder(Recomputing):
    """Structure code (B, C, H/4, W/4) and style (B, K, 2, 2, C) to a picture (B, 3, H, W).

    The output lives in the normalized space of the input pictures and is not bounded.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        channels = config.decoder_channels
        half, quarter = channels // 2, channels // 4
        self.residual_blocks = nn.ModuleList(
            StyledResidualBlock(channels) for _ in range(config.appearance_parts)
        )
        self.enlarge = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="nearest"),
            ConvolutionBlock(channels, half, 5, normalization="layer"),
            nn.Upsample(scale_factor=2, mode="nearest"),
            ConvolutionBlock(half, quarter, 5, normalization="layer"),
        )
        self.refine = nn.Sequential(
            ConvolutionBlock(quarter, quarter, 3),
            ConvolutionBlock(quarter, quarter, 3),
            nn.Conv2d(quarter, 3, 1),
        )
        initialize_kaiming(self)

    def forward(self, structure_codes: Tensor, styles: Tensor) -> Tensor:
        return self.painted(self.enlarged(self.styled(structure_codes, styles)))

    def styled(self, maps: Tensor, styles: Tensor, blocks: slice = ALL_BLOCKS) -> Tensor:
        """Maps (B, C, H/4, W/4) through some of the residual blocks, each with its style."""
        for index in range(len(self.residual_blocks))[blocks]:
            maps = self.part([self.residual_blocks[index]], maps, styles[:, index])
        return maps

    def enlarged(self, maps: Tensor) -> Tensor:
        """The last maps (B, C/4, H, W)."""
        return self.part(list(self.enlarge), maps)

    def painted(self, maps: Tensor) -> Tensor:
        """The picture (B, 3, H, W) of the last maps."""
        return self.part(list(self.refine), maps)
