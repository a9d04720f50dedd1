"""The structure picture at full size, and looked-up clothes, into the decoder's last stage (not in
the paper).

The structure code is a quarter as large as the picture: what lies between its cells must be
invented. Here the last maps see the picture itself, outside of the mask: x_s enters as (1 - m) x_s,
and its gray inside the mask, where it shows folds and light, only where the target is another
picture than x_s (copying would be no task).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dgnet.model.blocks import ConvolutionBlock, PaddedConvolution, initialize_kaiming
from dgnet.model.structure_encoder import to_gray

CHANNELS = 24
PICTURE_CHANNELS = 3 + 1 + 1
"""The kept picture, its gray inside the mask, the mask."""


class FullSizeStructure(nn.Module):
    """What is added to the decoder's last maps (B, c, H, W)."""

    def __init__(self, decoder_channels: int, clothes_channels: int) -> None:
        super().__init__()
        maps = decoder_channels // 4
        self.layers = nn.Sequential(
            ConvolutionBlock(maps + PICTURE_CHANNELS + clothes_channels, CHANNELS, 3),
            PaddedConvolution(CHANNELS, maps, 3),
        )
        initialize_kaiming(self)
        last = self.layers[1]
        assert isinstance(last, PaddedConvolution)
        nn.init.zeros_(last.convolution.weight)

    def forward(
        self, maps: Tensor, pictures: Tensor, mask: Tensor, shown: Tensor, clothes: Tensor
    ) -> Tensor:
        """`mask` (B, 1, H, W) carries no gradient; `shown` (B, 1, 1, 1) is 1 where the gray inside
        may be seen, `clothes` (B, clothes_channels, H, W) what was looked up.
        """
        pictures = pictures.float()
        kept = (1 - mask) * pictures
        inside = shown * mask * to_gray(pictures)
        seen = torch.cat([kept, inside, mask], dim=1).to(maps.dtype)
        return maps + self.layers(torch.cat([maps, seen, clothes.to(maps.dtype)], dim=1))
