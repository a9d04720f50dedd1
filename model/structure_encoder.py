"""The structure encoder E_s (paper, section 3.1 and appendix): a gray picture to a spatial code.

Pose, hair, carried things, position and background survive; color cannot, because the input is
gray. Instance normalization without running statistics makes every picture's code its own, whatever
the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dgnet.model.blocks import ConvolutionBlock, ResidualBlock, initialize_kaiming
from dgnet.model.config import NetworkConfig
from dgnet.model.recompute import Recomputing

RESIDUAL_BLOCKS = 4
DILATIONS = (3, 6, 9)


def to_gray(images: Tensor) -> Tensor:
    """(B, 3, H, W) normalized RGB to (B, 1, H, W): the mean over the normalized channels."""
    return images.mean(dim=1, keepdim=True)


class AtrousPyramid(nn.Module):
    """ASPP: a 1x1 branch and three dilated ones, a quarter of the outputs each, fused by 1x1."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        branch = outputs // 4
        self.point = ConvolutionBlock(inputs, branch, 1, normalization="instance", activation=False)
        self.dilated = nn.ModuleList(
            nn.Sequential(
                ConvolutionBlock(inputs, branch, 1, normalization="instance"),
                ConvolutionBlock(
                    branch, branch, 3, dilation=dilation, normalization="instance", activation=False
                ),
            )
            for dilation in DILATIONS
        )
        self.fuse = ConvolutionBlock(
            4 * branch, outputs, 1, normalization="instance", activation=False
        )

    def forward(self, maps: Tensor) -> Tensor:
        branches = [self.point(maps), *(branch(maps) for branch in self.dilated)]
        return self.fuse(torch.cat(branches, dim=1))


class StructureEncoder(Recomputing):
    """(B, 3, H, W) normalized RGB to the structure code (B, decoder_channels, H / 4, W / 4)."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        first, second, third, fourth = config.structure_channels
        self.layers = nn.Sequential(
            ConvolutionBlock(1, first, 3, stride=2, normalization="instance"),
            ConvolutionBlock(first, second, 3, normalization="instance"),
            ConvolutionBlock(second, third, 3, normalization="instance"),
            ConvolutionBlock(third, fourth, 3, stride=2, normalization="instance"),
            *(ResidualBlock(fourth, normalization="instance") for _ in range(RESIDUAL_BLOCKS)),
            AtrousPyramid(fourth, config.decoder_channels),
        )
        initialize_kaiming(self)

    def forward(self, images: Tensor) -> Tensor:
        maps = to_gray(images)
        for layer in self.layers:
            maps = self.part([layer], maps)
        return maps
