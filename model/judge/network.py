"""The judge that ships: a plain small residual network, trained from nothing.

Residual blocks of He et al. (2016); in the first two stages half of a block's first normalization
is over instances (Pan et al., "Two at Once", 2018), which carries over to other cameras and to
photographs; generalized mean pooling (Radenovic et al., 2018); normalization between the feature of
the triplet loss and the classifier (Luo et al., "Bag of Tricks", 2019). It shares neither
architecture nor starting weights with the appearance encoder or the teacher.

B batch, C channels, D embedding values, I persons trained on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

_STEM_CHANNELS = 32
_INSTANCE_STAGES = 2
_POOLING_POWER = 3.0
_POOLING_FLOOR = 1e-3


@dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """Sizes of the network and of the pictures that it was trained on."""

    height: int = 128
    width: int = 64
    channels: tuple[int, ...] = (32, 64, 128, 256)
    """Of each stage; every stage but the first halves the map, which is a quarter of the picture
    before it.
    """
    blocks: tuple[int, ...] = (1, 1, 2, 2)
    """Of each stage."""

    def __post_init__(self) -> None:
        smallest = 4 * 2 ** (len(self.channels) - 1)
        if min(self.height, self.width) < smallest or min(self.channels, default=0) < 2:
            raise ValueError(
                f"{self}: expected at least 2 channels in each stage and pictures of at least "
                f"{smallest}x{smallest} pixels"
            )
        if len(self.blocks) != len(self.channels) or min(self.blocks) < 1:
            raise ValueError(
                f"blocks {self.blocks} of {len(self.channels)} stages; expected one number for "
                "each stage, at least 1"
            )

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> JudgeConfig:
        """What `to_json` gave."""
        stages: dict[str, Any] = {name: tuple(values[name]) for name in ("channels", "blocks")}
        return cls(**{**values, **stages})

    def to_json(self) -> dict[str, Any]:
        """JSON-safe form."""
        return {**asdict(self), "channels": list(self.channels), "blocks": list(self.blocks)}


class Judgment(NamedTuple):
    """What the network says of a batch of pictures, and the losses ask for."""

    feature: Tensor  # (B, D), for distances while training
    embedding: Tensor  # (B, D), the same, normalized over the batch: what tells people apart
    logits: Tensor | None  # (B, I)


class JudgeNetwork(nn.Module):
    """Normalized images (B, 3, H, W) to a `Judgment`; `identities` is 0 once it is trained."""

    def __init__(self, config: JudgeConfig, identities: int = 0) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Sequential(
            nn.Conv2d(3, _STEM_CHANNELS, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(_STEM_CHANNELS),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.stages = nn.Sequential()
        before = _STEM_CHANNELS
        for number, (channels, blocks) in enumerate(
            zip(config.channels, config.blocks, strict=True)
        ):
            for block in range(blocks):
                self.stages.append(
                    JudgeBlock(
                        before,
                        channels,
                        stride=2 if number and not block else 1,
                        instances=number < _INSTANCE_STAGES,
                    )
                )
                before = channels
        self.neck = nn.BatchNorm1d(before)
        self.neck.bias.requires_grad_(False)
        self.classifier = nn.Linear(before, identities, bias=False) if identities else None
        self.embedding_size = before

    def forward(self, images: Tensor) -> Judgment:
        maps = self.stages(self.stem(images)).float()  # (B, D, H / 32, W / 32)
        powers = maps.clamp(min=_POOLING_FLOOR).pow(_POOLING_POWER)
        feature = powers.mean(dim=(2, 3)).pow(1 / _POOLING_POWER)  # (B, D)
        embedding = self.neck(feature)
        logits = None if self.classifier is None else self.classifier(embedding)
        return Judgment(feature, embedding, logits)

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings (B, D) of length 1; each adds up a picture and its mirror image."""
        views = [self(view).embedding for view in (images, images.flip(3))]
        return functional.normalize(views[0] + views[1])


class JudgeBlock(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, before: int, channels: int, *, stride: int, instances: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, channels, 3, stride=stride, padding=1, bias=False)
        self.first_norm = HalfInstanceNorm(channels) if instances else nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)
        self.shortcut = (
            nn.Identity()
            if before == channels and stride == 1
            else nn.Sequential(
                nn.Conv2d(before, channels, 1, stride=stride, bias=False),
                nn.BatchNorm2d(channels),
            )
        )

    def forward(self, maps: Tensor) -> Tensor:
        inner = functional.relu(self.first_norm(self.first(maps)))
        return functional.relu(self.second_norm(self.second(inner)) + self.shortcut(maps))


class HalfInstanceNorm(nn.Module):
    """The first half of the channels normalized in each picture, the rest over the batch."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.split = [channels // 2, channels - channels // 2]
        self.instance = nn.InstanceNorm2d(self.split[0], affine=True)
        self.batch = nn.BatchNorm2d(self.split[1])

    def forward(self, maps: Tensor) -> Tensor:
        first, rest = torch.split(maps, self.split, dim=1)
        return torch.cat([self.instance(first), self.batch(rest)], dim=1)
