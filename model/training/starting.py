"""What joint training begins from: the teacher's weights, ImageNet's, another DG-Net's generator.

What fits is copied, and what does not is said before anything is trained. The schedule and the
iterations are the run's.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from safetensors.torch import save as save_tensors
from torch import nn

from dgnet.model.backbones import imagenet_efficientnet_lite0
from dgnet.model.config import ConfigError, NetworkConfig
from dgnet.model.dgnet import DGNet
from dgnet.model.teacher import Teacher
from dgnet.model.training.config import JointConfig


@dataclass(frozen=True, kw_only=True)
class Start:
    """What the appearance encoder starts from."""

    imagenet: bool = True
    """ImageNet weights, where the backbone's are at hand."""
    from_teacher: bool = False
    """The teacher's backbone, and its head as the primary one: a head start for short schedules.
    The fine head starts anew: it must learn whose body a picture shows, and the teacher's, sure of
    whose clothes, would begin with a loss of 15 nats a picture that drowns all others."""
    from_generator: bool = False
    """E_a of the DG-Net whose generator the run starts from: its codes are those that this G knows.
    The classifiers start anew, because the identities are others."""


def starting_networks(
    network: NetworkConfig,
    config: JointConfig,
    teacher: Teacher,
    start: Start,
    generator: DGNet | None,
) -> DGNet:
    """Networks to train; E_s, G, the MLPs and D are those of `generator`, where there is one.

    Weights that nothing gives are drawn from torch's global generator. Raises ConfigError where the
    generator's have other sizes.
    """
    networks = DGNet(network)
    encoder = networks.appearance_encoder
    if start.from_generator:
        _copy_appearance(generator, networks)
    elif start.from_teacher:
        encoder.backbone.load_state_dict(teacher.backbone.state_dict())
        encoder.primary.load_state_dict(teacher.head.state_dict())
    elif start.imagenet and network.backbone == "efficientnet_lite0":
        encoder.backbone.load_state_dict(imagenet_efficientnet_lite0())
    if config.gentle_styles:
        networks.style_mlps.start_gently()
    if generator is not None:
        _copy_generator(generator, networks)
    return networks


def begins_anew(source: DGNet, network: NetworkConfig) -> list[str]:
    """Parts of the networks to train that the generator to start from does not have."""
    wanted = {
        "clothes_lookup": network.look_up_clothes,
        "full_size_structure": network.full_size_structure,
        "scene_mask": network.keep_scene,
    }
    return [name for name, on in wanted.items() if on and name not in source.generator_parts]


def require_detail_can_learn(
    network: NetworkConfig, config: JointConfig, *, has_truth: bool, generator: DGNet | None
) -> None:
    """Raise ConfigError where what the preset `detail` adds would learn from nothing."""
    taught = has_truth or (generator is not None and generator.scene_mask is not None)
    if network.keep_scene and not taught:
        raise ConfigError(
            "the mask that keeps the scene learns from true composites alone, and there are "
            "none: give triples (--truth; `dgnet people render --truth` makes some) or a "
            "generator to start from whose mask has learned (--generator)"
        )
    if network.look_up_clothes and config.appearance_learns != "heads":
        raise ConfigError(
            f"appearance_learns is {config.appearance_learns!r}; the look-up of clothes reads the "
            "backbone of E_a, which must stand still: set appearance_learns=heads"
        )


def fingerprint(network: nn.Module) -> str:
    """12 hex digits that tell all weights, so that a run is not resumed with another teacher."""
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    return hashlib.sha256(save_tensors(tensors)).hexdigest()[:12]


def _copy_appearance(source: DGNet | None, target: DGNet) -> None:
    """Everything of E_a but its classifiers."""
    if source is None:
        raise ConfigError("E_a is to start as a generator's, and there is none: name one")
    theirs, ours = (network.appearance_encoder.state_dict() for network in (source, target))
    known = {name: tensor for name, tensor in theirs.items() if ".classifier." not in name}
    if any(name not in ours or ours[name].shape != tensor.shape for name, tensor in known.items()):
        raise ConfigError(
            f"the appearance encoder to start from has other sizes ({source.config.to_json()}) "
            f"than the networks to train ({target.config.to_json()}): expected one preset"
        )
    target.appearance_encoder.load_state_dict({**ours, **known})


def _copy_generator(source: DGNet, target: DGNet) -> None:
    """Everything that `source` has; what it has not begins anew (see `begins_anew`)."""
    theirs = {**source.generator_parts, "discriminator": source.discriminator}
    ours = {**target.generator_parts, "discriminator": target.discriminator}
    for name in theirs.keys() & ours.keys():
        try:
            ours[name].load_state_dict(theirs[name].state_dict())
        except RuntimeError as error:
            raise ConfigError(
                f"the {name.replace('_', ' ')} to start from has other sizes "
                f"({source.config.to_json()}) than the networks to train "
                f"({target.config.to_json()}): expected one preset"
            ) from error
