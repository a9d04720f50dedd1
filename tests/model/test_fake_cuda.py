"""Where predictor and training step put things, on fake CUDA tensors: no part is left on the CPU,
and nothing is copied within a call but what is named here. Says nothing of values or speed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from dgnet.model.blocks import Padding, padded
from dgnet.model.checkpoints import Checkpoint, Metadata
from dgnet.model.config import NetworkConfig
from dgnet.model.data import transforms
from dgnet.model.data.pairs import PairBatch
from dgnet.model.dgnet import DGNet
from dgnet.model.inference.programs import programs_of
from dgnet.model.predictor import Predictor, finite_rows
from dgnet.model.teacher import Teacher
from dgnet.model.training.config import JointConfig, LossWeights
from dgnet.model.training.draws import draw
from dgnet.model.training.generator_losses import generator_losses
from dgnet.model.training.optimizers import joint_optimizers
from dgnet.model.training.step import JointStep
from tests.model.fake_cuda import CARD, Crossings, move
from tests.model.tiny import HEIGHT, WIDTH, tiny_detail, tiny_network

BATCH = 4


@pytest.fixture(autouse=True)
def constants() -> Iterator[None]:
    """Those kept for each device are not kept from one fake card to another."""
    statistics = transforms._statistics  # pyright: ignore[reportPrivateUsage]
    statistics.cache_clear()
    yield
    statistics.cache_clear()


def images() -> Tensor:
    return torch.empty((BATCH, 3, HEIGHT, WIDTH), device=CARD)


@pytest.mark.parametrize("network", [tiny_network, tiny_detail])
def test_a_swap_and_an_embedding_copy_nothing_between_host_and_card(
    network: Callable[[], NetworkConfig],
) -> None:
    networks = DGNet(network())
    names = tuple(dict(networks.named_children()))
    metadata = Metadata(config=networks.config, networks=names)
    predictor = Predictor(
        Checkpoint(metadata=metadata, networks=networks, teacher=None),
        device="cpu",
        precision="fp32",
    )
    ours = predictor._networks  # pyright: ignore[reportPrivateUsage]
    with FakeTensorMode(), torch.inference_mode():
        move(ours)
        pixels = torch.empty((BATCH, HEIGHT, WIDTH, 3), dtype=torch.uint8, device=CARD)
        transforms.normalize(pixels)  # the first makes the constants
        with Crossings() as crossings:
            batch = transforms.normalize(pixels).to(memory_format=torch.channels_last)
            appearance, structure = ours.appearance(batch), ours.structure(batch)
            composites = ours.compose(appearance, structure).composites(
                structure, keep_scene=[True] * BATCH
            )
            chosen = torch.empty((BATCH,), dtype=torch.bool, device=CARD)
            mixed = programs_of(ours)["compose"](
                chosen, *appearance.tensors(), *structure.tensors()
            )
            made = (
                mixed[0],
                transforms.denormalize(composites),
                finite_rows(composites),
                predictor.embed_images(batch),
                torch.cat([scale.flatten(1) for scale in ours.discriminator(batch)], 1),
                ours.interpolate(
                    appearance, appearance, torch.empty(BATCH, device=CARD), structure
                ).generated,
            )
    assert {part.device for part in made} == {CARD}
    assert crossings.found == {}


@pytest.mark.parametrize("network", [tiny_network, tiny_detail])
@pytest.mark.parametrize("merged", [False, True])
def test_a_training_step_sends_erased_rectangles_and_nothing_else(
    network: Callable[[], NetworkConfig], merged: bool
) -> None:
    """Forward pass and losses: a backward pass needs a real card."""
    config = JointConfig(batch_size=BATCH, merge_batches=merged)
    networks, draws = DGNet(network()), draw(0, 0)
    teacher, weights = Teacher(networks.config), LossWeights()
    with FakeTensorMode():
        move(networks)
        move(teacher)
        optimizers = joint_optimizers(networks, config)
        step = JointStep(networks, teacher, optimizers, config)
        labels = torch.empty((BATCH,), dtype=torch.int64, device=CARD)
        batch = PairBatch(
            images_a=images(), images_b=images(), positives_a=images(), positives_b=images(),
            labels_a=labels, labels_b=labels,
        )  # fmt: skip
        with Crossings() as crossings:
            forward = step.forward(batch, weights, draws)
            losses = generator_losses(step.parts, forward, batch, weights, draws)
    assert {loss.device for loss in losses.values()} == {CARD}
    passes = 1 if merged else 4
    assert crossings.found == {"model/data/transforms.py:random_erasing": passes}


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_maps_stay_channels_last_through_padding(mode: Padding) -> None:
    with FakeTensorMode():
        maps = torch.empty((BATCH, 8, 16, 8), device=CARD).to(memory_format=torch.channels_last)
        assert padded(maps, 2, mode).is_contiguous(memory_format=torch.channels_last)


def test_optimizers_of_a_card_step_all_weights_in_one_kernel() -> None:
    networks = DGNet(tiny_network())
    with FakeTensorMode():
        move(networks)
        optimizers = joint_optimizers(networks, JointConfig())
    assert [each.defaults.get("fused") for each in optimizers.by_name().values()] == [True] * 3
