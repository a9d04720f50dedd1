"""The inference copy computes what the networks compute: float64, so rounding hides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dgnet.model.backbones import build_backbone
from dgnet.model.blocks import PaddedConvolution, Padding, padded_by_copies
from dgnet.model.config import BackboneName, NetworkConfig
from dgnet.model.dgnet import DGNet
from dgnet.model.inference.batch_normalization import fold_batch_normalization
from dgnet.model.inference.enlarging import EnlargingConvolution
from dgnet.model.inference.prepare import inference_copy
from dgnet.model.inference.programs import retrieval_embeddings
from tests.model.tiny import HEIGHT, WIDTH, tiny_detail, tiny_network

EXACT = 1e-10


def _with_statistics(network: nn.Module) -> nn.Module:
    """Give every batch normalization statistics and an affine map that matter."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.normal_(std=0.3)
            layer.running_var.uniform_(0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.3)
    return network


@pytest.mark.parametrize(
    ("height", "width"), [(2, 2), (2, 5), (5, 3), (8, 4)], ids=lambda side: str(side)
)
def test_enlarging_at_low_resolution_equals_upsampling_padding_and_convolving(
    height: int, width: int
) -> None:
    torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]
    convolution = PaddedConvolution(3, 4, 5).double()
    maps = torch.randn(2, 3, height, width, dtype=torch.float64)
    plain = nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), convolution)
    enlarging = EnlargingConvolution(convolution.convolution)
    with torch.no_grad():
        torch.testing.assert_close(enlarging(maps), plain(maps), rtol=0, atol=EXACT)


def test_enlarging_takes_only_the_kernel_that_it_was_derived_for() -> None:
    with pytest.raises(ValueError, match=r"kernel_size=\(3, 3\).*expected a 5 x 5 one with bias"):
        EnlargingConvolution(nn.Conv2d(3, 4, 3))


@pytest.mark.parametrize("name", get_args(BackboneName))
def test_folded_backbone_equals_the_normalized_one(name: BackboneName) -> None:
    torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]
    backbone = _with_statistics(build_backbone(name, last_stride=1)).double().eval()
    images = torch.randn(2, 3, 64, 48, dtype=torch.float64)
    with torch.no_grad():
        expected = backbone(images)
        fold_batch_normalization(backbone)
        maps = backbone(images)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in backbone.modules())
    torch.testing.assert_close(maps, expected, rtol=EXACT, atol=EXACT)


def test_a_normalization_without_its_convolution_is_refused() -> None:
    with pytest.raises(ValueError, match="1 follows no convolution of 5 channels"):
        fold_batch_normalization(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(5)))


def _outputs(networks: DGNet, images: Tensor) -> list[Tensor]:
    with torch.no_grad():
        codes = networks.appearance_encoder.codes(images)
        structures = networks.structure_encoder(images)
        composites = networks.decode(codes, structures.roll(1, dims=0))
        primary, fine = networks.appearance_encoder.identify(images)
        return [codes, structures, composites, primary.features, fine.features]


def test_the_copy_equals_the_networks_and_leaves_them_as_they_are() -> None:
    torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]
    networks = DGNet(tiny_network()).double()
    _with_statistics(networks).eval()
    images = torch.randn(3, 3, HEIGHT, WIDTH, dtype=torch.float64)
    expected = _outputs(networks, images)
    names = set(networks.state_dict())
    networks.train()
    copy = inference_copy(networks, torch.device("cpu"))
    for ours, theirs in zip(_outputs(copy, images), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=EXACT)
    assert networks.training
    assert set(networks.state_dict()) == names
    assert all(parameter.requires_grad for parameter in networks.parameters())


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
@pytest.mark.parametrize("padding", [1, 2, 4])
def test_padding_by_copies_is_padding(mode: Padding, padding: int) -> None:
    maps = torch.rand(2, 3, 7, 5).to(memory_format=torch.channels_last).requires_grad_()
    expected = functional.pad(maps, (padding,) * 4, mode=mode)
    ours = padded_by_copies(maps, padding, mode)
    assert torch.equal(ours, expected)
    assert ours.is_contiguous(memory_format=torch.channels_last)
    weight = torch.rand_like(expected)
    made = [torch.autograd.grad((one * weight).sum(), maps)[0] for one in (ours, expected)]
    assert torch.allclose(made[0], made[1])


@pytest.mark.parametrize("network", [tiny_network, tiny_detail])
def test_weights_stored_in_bf16_give_the_bits_of_weights_cast_at_each_call(
    network: Callable[[], NetworkConfig],
) -> None:
    networks, cpu = DGNet(network()), torch.device("cpu")
    images = torch.rand(2, 3, HEIGHT, WIDTH)
    made: list[list[Tensor]] = []
    for stored in (None, torch.bfloat16):
        ours = inference_copy(networks, cpu, stored)
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            appearance, structure = ours.appearance(images), ours.structure(images)
            decoded = ours.compose(appearance, structure)
            embedding = retrieval_embeddings(ours.appearance_encoder, images)
        made.append([*appearance.tensors(), *structure.tensors(), *decoded.tensors(), embedding])
    for cast, kept in zip(*made, strict=True):
        assert cast.dtype == kept.dtype
        assert torch.equal(cast, kept)
    kinds = {weight.dtype for weight in ours.decoder.parameters() if weight.ndim == 4}
    assert kinds == {torch.bfloat16}
