"""Where each tensor of a published checkpoint lives in our networks.

The published release keeps a file for each part: generator (E_s, G, MLPs), appearance encoder with
both heads, discriminator, teacher. Every key is accounted for: it maps to one of ours, or it is
named here as unused by design; a missing, extra or mis-shaped tensor is an error that names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dgnet.model.appearance_encoder import AppearanceEncoder
from dgnet.model.dgnet import DGNet
from dgnet.model.discriminator import Discriminator
from dgnet.model.teacher import Teacher

UNUSED = re.compile(
    r"model\.fc\.(weight|bias)"  # ImageNet's classifier, replaced by the identity heads
    r"|dec\.model\.1\..*\.norm\.running_(mean|var)"  # AdaIN keeps no running statistics
)


class PublishedCheckpointError(ValueError):
    """A tensor is missing, extra or mis-shaped; the message names it and what was expected."""


def load_generator(networks: DGNet, published: Mapping[str, Tensor]) -> None:
    """Fill E_s, G and the style MLPs from a published generator file's tensors."""
    part = nn.ModuleDict(
        {
            "structure_encoder": networks.structure_encoder,
            "decoder": networks.decoder,
            "style_mlps": networks.style_mlps,
        }
    )
    _load(part, published, _generator_modules())


def load_appearance_encoder(encoder: AppearanceEncoder, published: Mapping[str, Tensor]) -> None:
    """Fill E_a and both heads from a published appearance file's tensors."""
    modules = _head_modules("primary", "classifier1") | _head_modules("fine", "classifier2")
    _load(encoder, published, modules)


def load_discriminator(discriminator: Discriminator, published: Mapping[str, Tensor]) -> None:
    """Fill D from a published discriminator file's tensors."""
    modules: dict[str, str] = {}
    for scale in range(len(discriminator.scales)):
        ours, theirs = f"scales.{scale}.layers", f"cnns.{scale}"
        for layer in range(5):
            modules[f"{ours}.{layer}.convolution.convolution"] = f"{theirs}.{layer}.conv"
        for layer in range(5, 9):
            modules |= _residual_modules(f"{ours}.{layer}", f"{theirs}.{layer}")
        modules[f"{ours}.9"] = f"{theirs}.9"
    _load(discriminator, published, modules)


def load_teacher(teacher: Teacher, published: Mapping[str, Tensor]) -> None:
    """Fill a teacher from a published baseline file's tensors."""
    _load(teacher, published, _head_modules("head", "classifier"))


def _generator_modules() -> dict[str, str]:
    encoder, pyramid = "structure_encoder.layers", "structure_encoder.layers.8"
    modules = {
        f"{encoder}.{layer}.convolution.convolution": f"enc_content.model.{layer}.conv"
        for layer in range(4)
    }
    for block in range(4):
        modules |= _residual_modules(f"{encoder}.{4 + block}", f"enc_content.model.4.model.{block}")
        for half, name in enumerate(("first", "second")):
            modules[f"decoder.residual_blocks.{block}.{name}.convolution"] = (
                f"dec.model.1.model.{block}.model.{half}.conv"
            )
    modules[f"{pyramid}.point.convolution.convolution"] = "enc_content.model.5.conv1.conv"
    modules[f"{pyramid}.fuse.convolution.convolution"] = "enc_content.model.5.fuse.conv"
    for branch, name in enumerate(("conv6", "conv12", "conv18")):
        for layer in range(2):
            modules[f"{pyramid}.dilated.{branch}.{layer}.convolution.convolution"] = (
                f"enc_content.model.5.{name}.{layer}.conv"
            )
    for ours, theirs in ((1, 3), (3, 5)):
        modules[f"decoder.enlarge.{ours}.convolution.convolution"] = f"dec.model.{theirs}.conv"
        modules[f"decoder.enlarge.{ours}.layer_normalization"] = f"dec.model.{theirs}.norm"
    for ours, theirs in ((0, 6), (1, 7)):
        modules[f"decoder.refine.{ours}.convolution.convolution"] = f"dec.model.{theirs}.conv"
    modules["decoder.refine.2"] = "dec.model.8.conv"
    for part in range(4):
        for layer in range(3):
            modules[f"style_mlps.scales.{part}.{2 * layer}"] = f"mlp_w{part + 1}.model.{layer}.fc"
            modules[f"style_mlps.shifts.{part}.{2 * layer}"] = f"mlp_b{part + 1}.model.{layer}.fc"
    return modules


def _residual_modules(ours: str, theirs: str) -> dict[str, str]:
    return {
        f"{ours}.first.convolution.convolution": f"{theirs}.model.0.conv",
        f"{ours}.second.convolution.convolution": f"{theirs}.model.1.conv",
    }


def _head_modules(ours: str, theirs: str) -> dict[str, str]:
    return {
        f"{ours}.reduce": f"{theirs}.add_block.0",
        f"{ours}.normalize": f"{theirs}.add_block.1",
        f"{ours}.classifier": f"{theirs}.classifier.0",
    }


def _load(network: nn.Module, published: Mapping[str, Tensor], modules: dict[str, str]) -> None:
    """Copy every tensor; `modules` maps our layers to published ones (a ResNet keeps its names)."""
    left = {name: tensor for name, tensor in published.items() if not UNUSED.fullmatch(name)}
    state: dict[str, Tensor] = {}
    for name, wanted in network.state_dict().items():
        module, leaf = name.rsplit(".", 1)
        source = modules.get(module, module.replace("backbone.stages", "model")) + "." + leaf
        tensor = left.pop(source, None)
        if tensor is None and leaf == "num_batches_tracked":
            tensor = torch.zeros_like(wanted)  # files from before PyTorch 0.4.1 have none
        if tensor is None:
            raise PublishedCheckpointError(f"{source} is missing; expected {_shape(wanted)}")
        if tensor.shape != wanted.shape:
            raise PublishedCheckpointError(
                f"{source} has shape {_shape(tensor)}; expected {_shape(wanted)}: "
                "does the configuration (identities, preset) match the file?"
            )
        if not bool(tensor.isfinite().all()):
            raise PublishedCheckpointError(
                f"{source} has values that are no finite numbers: the run that it is from diverged "
                "or the file is damaged; take an earlier one"
            )
        state[name] = tensor
    if left:
        more = f" and {len(left) - 1} more are" if len(left) > 1 else " is"
        raise PublishedCheckpointError(
            f"{min(left)}{more} no part of this network: is the file another part of the release?"
        )
    network.load_state_dict(state)


def _shape(tensor: Tensor) -> str:
    return "x".join(str(size) for size in tensor.shape) or "scalar"
