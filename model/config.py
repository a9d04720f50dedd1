"""Sizes of every network, in one frozen object that travels with a checkpoint.

`paper` is the published configuration (CVPR 2019: ResNet-50, 256x128); `small` is meant for CPUs
and for the weights that ship: 128x64, half the width, a light backbone. A preset is a set of
numbers, never a copy of code. `detail` is `small` with three parts that the paper has not, each a
switch of its own. Impossible combinations fail here, before anything is built.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

BackboneName = Literal["resnet50", "resnet18", "efficientnet_lite0"]
PresetName = Literal["paper", "small", "detail"]

STRUCTURE_STRIDE = 4
"""The structure code is this much smaller than the picture, in both directions."""

LARGEST_DILATION = 9
"""Of the structure encoder's pyramid: reflection padding needs a map larger than this."""

BACKBONE_STRIDE = 16
"""The appearance encoder's map is this much smaller than the picture (last stage without
stride).
"""


class ConfigError(ValueError):
    """A combination of sizes that no network can have; the message says what to change."""


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Sizes of one DG-Net. Defaults are the paper's; `identities` always comes from the data."""

    identities: int
    """Persons in the training set: the width of both classifiers."""
    preset: str = "paper"
    height: int = 256
    """Pixels."""
    width: int = 128
    """Pixels."""
    backbone: BackboneName = "resnet50"
    appearance_parts: int = 4
    """Horizontal stripes of the appearance code; also the number of decoder blocks it drives."""
    head_features: int = 512
    """Values of the primary and of the fine feature."""
    structure_channels: tuple[int, int, int, int] = (16, 32, 32, 64)
    """Channels after each of the four convolutions that open the structure encoder."""
    decoder_channels: int = 128
    """Channels of the structure code and of the decoder's residual blocks."""
    mlp_features: int = 512
    """Hidden width of the MLPs that make AdaIN parameters."""
    discriminator_channels: int = 32
    discriminator_scales: int = 3
    keep_scene: bool = False
    """A mask of what a swap changes: the rest of a composite is the structure picture, to the
    pixel. Needs true composites to learn from. Not in the paper (see `dgnet.model.scene_mask`)."""
    full_size_structure: bool = False
    """The decoder's last stage sees the structure picture at full size, outside of the mask. Not in
    the paper (see `dgnet.model.full_size_structure`)."""
    look_up_clothes: bool = False
    """Every cell of the structure looks its clothes up in the cells of the appearance picture. Not
    in the paper (see `dgnet.model.clothes_lookup`)."""

    def __post_init__(self) -> None:
        if self.identities < 2:
            raise ConfigError(
                f"identities is {self.identities}; telling people apart takes at least 2: "
                "check the training folder"
            )
        if self.backbone not in get_args(BackboneName):
            raise ConfigError(
                f"backbone is {self.backbone!r}; expected one of "
                f"{', '.join(get_args(BackboneName))}"
            )
        for name, pixels in (("height", self.height), ("width", self.width)):
            if pixels <= STRUCTURE_STRIDE * LARGEST_DILATION or pixels % BACKBONE_STRIDE:
                raise ConfigError(
                    f"{name} is {pixels}; expected a multiple of {BACKBONE_STRIDE} larger than "
                    f"{STRUCTURE_STRIDE * LARGEST_DILATION}, which the structure encoder's largest "
                    "dilation needs"
                )
        if self.height // BACKBONE_STRIDE < self.appearance_parts:
            raise ConfigError(
                f"height {self.height} gives {self.height // BACKBONE_STRIDE} rows, fewer than "
                f"appearance_parts = {self.appearance_parts}: use taller pictures or fewer parts"
            )
        if self.decoder_channels % 4:
            raise ConfigError(
                f"decoder_channels is {self.decoder_channels}; expected a multiple of 4 "
                "(four ASPP branches, two halvings while up-sampling)"
            )
        if self.full_size_structure and not self.keep_scene:
            raise ConfigError(
                "full_size_structure is on and keep_scene off; without a mask the decoder would "
                "copy the structure's clothes: turn keep_scene on"
            )

    def to_json(self) -> dict[str, Any]:
        """JSON-safe form, read back by `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> NetworkConfig:
        """Inverse of `to_json`; unknown or missing names are a `ConfigError`."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ConfigError(f"unknown network setting {unknown[0]!r}; known: {', '.join(known)}")
        if "identities" not in values:
            raise ConfigError("the network settings do not say how many identities there are")
        channels = values.get("structure_channels")
        if channels is not None:
            values = {**values, "structure_channels": tuple(channels)}
        return cls(**values)


def preset(name: PresetName, *, identities: int, **overrides: Any) -> NetworkConfig:
    """The published sizes (`paper`), the light ones (`small`) or those with parts that keep scene
    and clothes (`detail`), with overrides by field name.
    """
    if name == "paper":
        config = NetworkConfig(identities=identities)
    elif name == "small":
        config = NetworkConfig(
            identities=identities,
            preset="small",
            height=128,
            width=64,
            backbone="efficientnet_lite0",
            structure_channels=(16, 32, 32, 64),
            decoder_channels=64,
            mlp_features=256,
            discriminator_channels=16,
        )
    elif name == "detail":
        config = replace(
            preset("small", identities=identities),
            preset="detail",
            keep_scene=True,
            full_size_structure=True,
            look_up_clothes=True,
        )
    else:
        raise ConfigError(f"preset is {name!r}; expected one of {', '.join(get_args(PresetName))}")
    return replace(config, **overrides)
