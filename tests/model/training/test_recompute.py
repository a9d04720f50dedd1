"""Activation checkpointing changes memory and time, and no number."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dgnet.model.config import BackboneName
from dgnet.model.data.pairs import PairBatch, TrainingPictures
from dgnet.model.dgnet import DGNet
from dgnet.model.recompute import set_recompute
from dgnet.model.teacher import Teacher
from dgnet.model.training.config import JointConfig
from dgnet.model.training.draws import draw
from dgnet.model.training.micro_batches import Losses
from dgnet.model.training.optimizers import joint_optimizers
from dgnet.model.training.step import JointStep
from tests.model.tiny import HEIGHT, WIDTH, tiny_network, write_people


def batch_of(folder: Path) -> PairBatch:
    return TrainingPictures.load(write_people(folder), HEIGHT, WIDTH).pair_batch(0, 2, 5)


def a_step(
    batch: PairBatch, backbone: BackboneName, *, recompute: bool
) -> tuple[Losses, DGNet, int]:
    """Losses of a step with every loss, dropout and batch statistics on; the networks after it; and
    the bytes that autograd was given to keep.
    """
    torch.manual_seed(1)  # pyright: ignore[reportUnknownMemberType]
    networks = DGNet(tiny_network(backbone=backbone))
    set_recompute(networks, recompute)
    config = JointConfig(batch_size=2, detach_appearance_code=False)
    step = JointStep(networks, Teacher(networks.config), joint_optimizers(networks, config), config)
    kept = 0

    def keep(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.nbytes
        return tensor

    torch.manual_seed(2)  # pyright: ignore[reportUnknownMemberType]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        losses = step(batch, config.final_weights, draw(5, 0))
    return losses, networks, kept


@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_lite0"])
def test_losses_gradients_and_statistics_are_the_same_bit_for_bit(
    tmp_path: Path, backbone: BackboneName
) -> None:
    batch = batch_of(tmp_path / "people")
    losses, expected, _ = a_step(batch, backbone, recompute=False)
    again, found, _ = a_step(batch, backbone, recompute=True)
    assert {name: float(loss) for name, loss in again.items()} == {
        name: float(loss) for name, loss in losses.items()
    }
    learned = dict(found.named_parameters())
    for name, weight in expected.named_parameters():
        gradient = learned[name].grad
        assert (gradient is None) == (weight.grad is None), name
        if gradient is not None and weight.grad is not None:
            assert torch.equal(gradient, weight.grad), name
    for name, tensor in expected.state_dict().items():  # counters of batch normalization included
        assert torch.equal(tensor, found.state_dict()[name]), name


def test_a_network_keeps_far_less(tmp_path: Path) -> None:
    images = batch_of(tmp_path / "people").images_a
    networks = DGNet(tiny_network())

    def kept(network: nn.Module) -> int:
        total = 0

        def keep(tensor: Tensor) -> Tensor:
            nonlocal total
            total += tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            network(images.requires_grad_())
        return total

    for network in (networks.appearance_encoder.backbone, networks.structure_encoder):
        everything = kept(network)
        set_recompute(network, True)
        assert kept(network) < everything / 3


def test_nothing_is_recomputed_where_nobody_learns(tmp_path: Path) -> None:
    images = batch_of(tmp_path / "people").images_a
    networks = DGNet(tiny_network()).eval()
    expected = networks.structure_encoder(images)
    set_recompute(networks, True)
    with torch.no_grad():
        assert torch.equal(networks.structure_encoder(images), expected)
