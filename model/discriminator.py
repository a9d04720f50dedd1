"""The discriminator D: one patch network on the picture at several scales (paper, appendix; LSGAN).

Fully convolutional, no normalization: its gradient with respect to the picture, which the gradient
penalty needs, depends on one picture only.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from dgnet.model.blocks import ConvolutionBlock, ResidualBlock, initialize_normal
from dgnet.model.config import NetworkConfig

RESIDUAL_BLOCKS = 4
WEIGHT_STD = 0.02


class PatchDiscriminator(nn.Module):
    """(B, 3, H, W) to one realism score per patch, (B, 1, H / 4, W / 4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.layers = nn.Sequential(
            ConvolutionBlock(3, channels, 1),
            ConvolutionBlock(channels, channels, 3),
            ConvolutionBlock(channels, channels, 3, stride=2),
            ConvolutionBlock(channels, channels, 3),
            ConvolutionBlock(channels, wide, 3, stride=2),
            *(ResidualBlock(wide, normalization="none") for _ in range(RESIDUAL_BLOCKS)),
            nn.Conv2d(wide, 1, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class Discriminator(nn.Module):
    """Normalized pictures (B, 3, H, W) to patch scores at scales 1, 1/2, 1/4, ... (a list, finest
    first).
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            PatchDiscriminator(config.discriminator_channels)
            for _ in range(config.discriminator_scales)
        )
        initialize_normal(self, WEIGHT_STD)

    def forward(self, images: Tensor) -> list[Tensor]:
        scores: list[Tensor] = []
        for index, scale in enumerate(self.scales):
            if index:
                images = functional.avg_pool2d(
                    images, 3, stride=2, padding=1, count_include_pad=False
                )
            scores.append(scale(images))
        return scores
