"""A step in micro-batches is the step of the whole batch, where nothing normalizes by batches."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from dgnet.model.config import ConfigError
from dgnet.model.data.pairs import TrainingPictures
from dgnet.model.data.persons import PersonIndex
from dgnet.model.data.shares import Share
from dgnet.model.data.transforms import random_erasing
from dgnet.model.data.truth_batches import TruthTriples
from dgnet.model.dgnet import DGNet
from dgnet.model.teacher import Teacher
from dgnet.model.training.config import JointConfig, LossWeights, TeacherConfig
from dgnet.model.training.draws import draw
from dgnet.model.training.encoder_step import EncoderStep
from dgnet.model.training.micro_batches import Losses
from dgnet.model.training.optimizers import joint_optimizers
from dgnet.model.training.step import JointStep
from tests.model.tiny import (
    HEIGHT,
    PERSONS,
    WIDTH,
    length,
    tiny_network,
    write_people,
    write_triples,
)

BATCH = 8
SEED = 5
ITERATION = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_people(folder / "people")
    write_triples(folder / "truth")
    return folder


def _nothing(mode: bool = True) -> None:
    """In place of a layer's `train`."""


def still_networks() -> tuple[DGNet, Teacher]:
    """Without dropout, and normalizing by running statistics even while it trains."""
    torch.manual_seed(1)  # pyright: ignore[reportUnknownMemberType]
    networks = DGNet(tiny_network(backbone="resnet18"))
    teacher = Teacher(networks.config)
    for layer in (*networks.modules(), *teacher.modules()):
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            layer.training = False
            cast(Any, layer).train = _nothing
    return networks, teacher


def after_a_step(
    folder: Path, accumulate: int, *, alone: bool = False, merge_batches: bool = False
) -> tuple[Losses, dict[str, Tensor]]:
    """Losses and gradients of a step with every loss on, D's update included."""
    networks, teacher = still_networks()
    config = JointConfig(
        batch_size=BATCH,
        accumulate=accumulate,
        train_bn=False,
        merge_batches=merge_batches,
        final_weights=LossWeights(truth_identity=1.0),
    )
    step = JointStep(networks, teacher, joint_optimizers(networks, config), config)
    pictures = TrainingPictures.load(folder / "people", HEIGHT, WIDTH)
    batch, draws = pictures.pair_batch(ITERATION, BATCH, SEED), draw(SEED, ITERATION)
    weights = config.final_weights
    if alone:
        losses = EncoderStep(step.parts, deepcopy(networks))(batch, weights, draws)
    else:
        persons = PersonIndex(tuple(range(1, PERSONS + 1)))
        triples = TruthTriples(folder / "truth", persons, height=HEIGHT, width=WIDTH)
        losses = step(batch, weights, draws, triples.batch(ITERATION, BATCH, SEED))
    gradients = {
        name: weight.grad for name, weight in networks.named_parameters() if weight.grad is not None
    }
    return losses, gradients


@pytest.mark.parametrize(
    ("parts", "alone", "merged"),
    [(2, False, False), (4, False, True), (2, True, False)],
    ids=["2", "4-merged", "E_a-alone"],
)
def test_losses_and_gradients_of_every_network_are_those_of_the_whole_batch(
    folder: Path, parts: int, alone: bool, merged: bool
) -> None:
    losses, expected = after_a_step(folder, 1, alone=alone, merge_batches=merged)
    found_losses, found = after_a_step(folder, parts, alone=alone, merge_batches=merged)
    assert found_losses.keys() == losses.keys()
    for name, loss in losses.items():
        assert float(found_losses[name]) == pytest.approx(float(loss), rel=1e-5, abs=1e-6), name
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        # Of constants that a normalization takes away again there is nothing but rounding.
        rounding = 1e-6 * max(1.0, float(gradient.numel()))
        apart = length(found[name] - gradient)
        assert apart <= 1e-3 * length(gradient) + rounding, name


def test_shares_of_a_batch_are_its_pictures_with_its_augmentation(folder: Path) -> None:
    pictures = TrainingPictures.load(folder / "people", HEIGHT, WIDTH)
    whole = pictures.pair_batch(2, 8, SEED)
    shares = [pictures.pair_batch(2, 8, SEED, Share(index, 4)) for index in range(4)]
    for name in ("images_a", "images_b", "positives_a", "positives_b", "labels_a", "labels_b"):
        joined = torch.cat([getattr(share, name) for share in shares])
        assert torch.equal(joined, getattr(whole, name)), name
    singles = [pictures.picture_batch(2, 8, SEED, Share(index, 2)).images for index in range(2)]
    assert torch.equal(torch.cat(singles), pictures.picture_batch(2, 8, SEED).images)


def test_a_share_erases_what_the_whole_batch_erases() -> None:
    images = torch.rand(3 * 4, 3, 16, 8)  # three groups of four
    drawn = [torch.Generator().manual_seed(1) for _ in range(3)]
    whole = random_erasing(images, drawn[0], groups=3)
    for index in range(2):
        share = Share(index, 2)
        rows = torch.as_tensor(share.rows(4, groups=3))
        own = random_erasing(images[rows], drawn[1 + index], share=share, groups=3)
        assert torch.equal(own, whole[rows])
        assert not torch.equal(own, images[rows])


@pytest.mark.parametrize(("batch_size", "accumulate"), [(8, 3), (8, 8), (8, 0)])
def test_micro_batches_must_be_equal_and_hold_two_pictures(
    batch_size: int, accumulate: int
) -> None:
    for config in (JointConfig, TeacherConfig):
        with pytest.raises(ConfigError, match=f"accumulate is {accumulate}; expected"):
            config(batch_size=batch_size, accumulate=accumulate)
