"""Building blocks shared by the networks: padded convolutions, residual blocks, normalizations.

Legend: B batch, C channels, H x W pixels. All tensors are (B, C, H, W) unless a comment says else.
Padding is by reflection and the activation LeakyReLU 0.2 everywhere (paper, appendix: network
architectures); normalization statistics are computed in float32 at least, whatever the autocast
precision.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

NEGATIVE_SLOPE = 0.2
EPSILON = 1e-5

Normalization = Literal["none", "instance", "layer"]
Padding = Literal["reflect", "replicate"]


def instance_normalize(maps: Tensor) -> Tensor:
    """Zero mean and unit biased variance for every (picture, channel); no running statistics."""
    mean, variance = _channel_moments(maps)
    slope = torch.rsqrt(variance + EPSILON)
    return torch.addcmul((-mean * slope).to(maps.dtype), maps, slope.to(maps.dtype))


def adaptive_instance_normalize(maps: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """AdaIN (paper, section 3.1): instance normalization, then a scale and a shift of its own per
    row.

    `scale` and `shift` are (B, C) values, one row for each picture: nothing is stored on a module,
    so a batch may mix appearances.
    """
    mean, variance = _channel_moments(maps)
    slope = scale[:, :, None, None] * torch.rsqrt(variance + EPSILON)
    offset = shift[:, :, None, None] - mean * slope
    return torch.addcmul(offset.to(maps.dtype), maps, slope.to(maps.dtype))


def _channel_moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance over the pixels of each channel, (B, C, 1, 1), in float32 at least.

    Two plain reductions: on a CPU `torch.var_mean` over the same axes takes 7 times as long.
    """
    if maps.dtype in (torch.bfloat16, torch.float16):
        maps = maps.float()  # half precision is too coarse for statistics over thousands of pixels
    mean = maps.mean(dim=(2, 3), keepdim=True)
    return mean, (maps - mean).square().mean(dim=(2, 3), keepdim=True)


class LayerNormalization(nn.Module):
    """Over all of (C, H, W) per picture: (x - mean) / (unbiased std + 1e-5), then scale and shift
    per channel.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, maps: Tensor) -> Tensor:
        means, variances = _channel_moments(maps)
        mean = means.mean(dim=1, keepdim=True)  # (B, 1, 1, 1)
        # Law of total variance: within the channels plus between them.
        variance = (variances + (means - mean).square()).mean(dim=1, keepdim=True)
        values = maps[0].numel()
        std = (variance * (values / (values - 1))).sqrt()
        slope = self.gamma[None, :, None, None] / (std + EPSILON)
        offset = self.beta[None, :, None, None] - mean * slope
        return torch.addcmul(offset.to(maps.dtype), maps, slope.to(maps.dtype))


def padded(maps: Tensor, padding: int, mode: Padding = "reflect") -> Tensor:
    """(B, C, H, W) to (B, C, H + 2 padding, W + 2 padding), in the memory layout of `maps`."""
    if not maps.is_cuda:
        return functional.pad(maps, (padding,) * 4, mode=mode)
    return padded_by_copies(maps, padding, mode)


def padded_by_copies(maps: Tensor, padding: int, mode: Padding) -> Tensor:
    """The same values. torch's CUDA kernels give back contiguous maps, which the next convolution
    has to turn round again, and add up gradients in no fixed order; copies do neither.
    """
    for dimension in (2, 3):
        last = maps.shape[dimension] - 1
        if mode == "reflect":
            before = [maps.narrow(dimension, 1, padding).flip(dimension)]
            after = [maps.narrow(dimension, last - padding, padding).flip(dimension)]
        else:
            before = [maps.narrow(dimension, 0, 1)] * padding
            after = [maps.narrow(dimension, last, 1)] * padding
        maps = torch.cat([*before, maps, *after], dim=dimension)
    return maps


class PaddedConvolution(nn.Module):
    """Convolution with reflection padding that keeps the size (before the stride)."""

    def __init__(
        self, inputs: int, outputs: int, size: int, *, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        self.padding = dilation * (size - 1) // 2
        self.convolution = nn.Conv2d(inputs, outputs, size, stride=stride, dilation=dilation)

    def forward(self, maps: Tensor) -> Tensor:
        if self.padding:
            maps = padded(maps, self.padding)
        return self.convolution(maps)


class ConvolutionBlock(nn.Module):
    """Padded convolution, normalization, LeakyReLU: each part but the first may be absent."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        normalization: Normalization = "none",
        activation: bool = True,
    ) -> None:
        super().__init__()
        self.convolution = PaddedConvolution(
            inputs, outputs, size, stride=stride, dilation=dilation
        )
        self.normalization = normalization
        self.layer_normalization = LayerNormalization(outputs) if normalization == "layer" else None
        self.activation = activation

    def forward(self, maps: Tensor) -> Tensor:
        maps = self.convolution(maps)
        if self.layer_normalization is not None:
            maps = self.layer_normalization(maps)
        elif self.normalization == "instance":
            maps = instance_normalize(maps)
        return functional.leaky_relu(maps, NEGATIVE_SLOPE) if self.activation else maps


class ResidualBlock(nn.Module):
    """Two 3x3 blocks of equal width, the second without activation, added to the input."""

    def __init__(self, channels: int, *, normalization: Normalization) -> None:
        super().__init__()
        self.first = ConvolutionBlock(channels, channels, 3, normalization=normalization)
        self.second = ConvolutionBlock(
            channels, channels, 3, normalization=normalization, activation=False
        )

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.second(self.first(maps))


def initialize_kaiming(module: nn.Module) -> None:
    """Kaiming normal (fan-in) weights, zero biases, for every convolution and linear layer
    inside.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, a=0, mode="fan_in")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def initialize_normal(module: nn.Module, std: float) -> None:
    """Normal weights of the given std, zero biases, for every convolution inside."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
