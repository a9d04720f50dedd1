"""Several appearance pictures of one person: cells end to end, told apart by a length."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dgnet.arrays import Pixels
from dgnet.model.checkpoints import Checkpoint, Metadata
from dgnet.model.codes import JoinedAppearance, join_appearances
from dgnet.model.config import NetworkConfig
from dgnet.model.dgnet import DGNet
from dgnet.model.predictor import Predictor, PredictorError
from tests.model.test_detail import CELLS, pictures, seeded
from tests.model.tiny import HEIGHT, WIDTH, random_pixels, tiny_detail, tiny_network


@pytest.fixture(scope="module")
def networks() -> DGNet:
    return seeded(tiny_detail())


def predictor(config: NetworkConfig) -> Predictor:
    networks = seeded(config)
    metadata = Metadata(config=config, networks=tuple(dict(networks.named_children())))
    checkpoint = Checkpoint(metadata=metadata, networks=networks, teacher=None)
    return Predictor(checkpoint, device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def images() -> Pixels:
    draws = np.random.default_rng(2)
    return np.stack([random_pixels(draws) for _ in range(5)])


def test_cells_lie_end_to_end_and_styles_are_averaged(networks: DGNet) -> None:
    with torch.no_grad():
        codes = networks.appearance(pictures(1, count=3))
    joined = join_appearances(codes, [1, 2])
    assert isinstance(joined, JoinedAppearance)
    assert torch.equal(joined.keys[1], torch.cat([codes.keys[1], codes.keys[2]]))
    assert torch.equal(joined.values[0, :CELLS], codes.values[0])
    assert torch.allclose(joined.style[1], (codes.style[1] + codes.style[2]) / 2)
    assert torch.allclose(joined.tone[1], (codes.tone[1] + codes.tone[2]) / 2)
    # The first row has one picture: its second half is nobody's.
    one, nobody = torch.zeros(CELLS), torch.full((CELLS,), -math.inf)
    assert torch.equal(joined.prior[0], torch.cat([one, nobody]))
    assert torch.allclose(joined.prior[1], torch.full((2 * CELLS,), -math.log(2)))


def test_the_same_picture_twice_is_one_picture(networks: DGNet) -> None:
    with torch.no_grad():
        codes, structure = networks.appearance(pictures(1)), networks.structure(pictures(2))
        once = networks.compose(codes, structure)
        twice = networks.compose(join_appearances(codes[[0, 0, 1, 1]], [2, 2]), structure)
    for alone, doubled in zip(once.tensors(), twice.tensors(), strict=True):
        assert torch.allclose(alone, doubled, atol=1e-4)


def test_a_row_does_not_see_how_many_pictures_others_have(images: Pixels) -> None:
    asked = predictor(tiny_detail())
    structures = images[:2]
    together = asked.swap(images[:4], structures, pictures=[1, 3])
    alone = [
        asked.swap(images[:1], structures[:1]),
        asked.swap(images[1:4], structures[1:], pictures=[3]),
    ]
    difference = together.astype(int) - np.concatenate(alone)
    assert np.abs(difference).max() <= 1
    assert (together[1] != asked.swap(images[1:2], structures[1:])[0]).any(), "all three count"


def test_one_person_goes_with_each_structure(images: Pixels) -> None:
    asked = predictor(tiny_detail())
    worn = images[:2]
    both = asked.swap(worn, images[2:4], pictures=[2])
    assert both.shape == (2, HEIGHT, WIDTH, 3)
    single = asked.swap(worn, images[3], pictures=[2])
    assert single.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(single.astype(int) - both[1]).max() <= 1


def test_without_a_look_up_styles_alone_are_averaged(images: Pixels) -> None:
    asked = predictor(tiny_network())
    codes = asked.appearance_styles(images[:2])
    joined = asked.join_appearances(codes, [2])
    assert torch.allclose(joined.style[0], codes.style.mean(dim=0))
    assert asked.swap(images[:2], images[2:3], pictures=[2]).shape == (1, HEIGHT, WIDTH, 3)


def test_one_picture_each_changes_nothing(networks: DGNet) -> None:
    with torch.no_grad():
        codes = networks.appearance(pictures(1))
    assert join_appearances(codes, [1, 1]) is codes


@pytest.mark.parametrize("counts", [[], [1], [0, 2], [2, 2], [3, -1]], ids=str)
def test_numbers_that_do_not_add_up_are_refused(images: Pixels, counts: list[int]) -> None:
    asked = predictor(tiny_network())
    with pytest.raises(PredictorError, match="2 appearance codes for rows of"):
        asked.swap(images[:2], images[2:4], pictures=counts)
