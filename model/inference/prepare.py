"""A copy of the networks for inference only: same calls, same numbers to float rounding.

Layers are replaced inside the copy, so the networks' own code stays the one description of what is
computed. What each replacement brings is in docs/benchmarks.md.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

from dgnet.model.blocks import ConvolutionBlock
from dgnet.model.devices import placed
from dgnet.model.dgnet import DGNet
from dgnet.model.inference.batch_normalization import fold_batch_normalization
from dgnet.model.inference.enlarging import EnlargingConvolution

CAST_BY_AUTOCAST = (nn.Conv2d, nn.Linear, EnlargingConvolution)
"""Layers whose weights autocast rounds before it computes."""


def inference_copy(
    networks: DGNet, device: torch.device, autocast: torch.dtype | None = None
) -> DGNet:
    """A frozen copy on `device`, in evaluation mode; `networks` stay as they are.

    Under `autocast` the weights that it would cast at each call are stored as it would cast them.
    """
    copy = deepcopy(networks).eval().requires_grad_(False)
    fold_batch_normalization(copy.appearance_encoder.backbone)
    _enlarge_at_low_resolution(copy.decoder.enlarge)
    if autocast is not None:
        for layer in copy.modules():
            if isinstance(layer, CAST_BY_AUTOCAST):
                layer.to(autocast)
    return placed(copy, device)


def _enlarge_at_low_resolution(layers: nn.Sequential) -> None:
    """Replace every pair of up-sampling and padded convolution."""
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.Upsample):
            block = layers[index + 1]
            assert isinstance(block, ConvolutionBlock)
            layers[index] = EnlargingConvolution(block.convolution.convolution)
            block.set_submodule("convolution", nn.Identity())
