"""Batch normalization with fixed statistics is a linear map, folded into the convolution before it.

Holds for backbones where every batch normalization follows its convolution directly, in the order
in which the layers were made; torchvision's ResNets and timm's EfficientNets are built so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


def fold_batch_normalization(network: nn.Module) -> None:
    """Fold in place; a normalization that carries its own activation (timm) leaves that behind."""
    convolution: nn.Conv2d | None = None
    layers = dict(cast(Iterator[tuple[str, nn.Module]], network.named_modules()))
    for name, layer in layers.items():
        if isinstance(layer, nn.Conv2d):
            convolution = layer
        elif isinstance(layer, nn.BatchNorm2d):
            if convolution is None or convolution.out_channels != layer.num_features:
                raise ValueError(f"{name} follows no convolution of {layer.num_features} channels")
            if layer.running_mean is None or layer.running_var is None:
                raise ValueError(f"{name} keeps no running statistics, so it cannot be folded")
            convolution.weight, convolution.bias = fuse_conv_bn_weights(
                convolution.weight,
                convolution.bias,
                layer.running_mean,
                layer.running_var,
                layer.eps,
                layer.weight,
                layer.bias,
            )
            activation = cast(nn.Module, getattr(layer, "act", None) or nn.Identity())
            network.set_submodule(name, activation)
            convolution = None
