"""The Fréchet distance against Gaussians whose distance is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm  # pyright: ignore[reportUnknownVariableType]
from torch_fidelity.metric_fid import (
    KEY_METRIC_FID,
    fid_features_to_statistics,  # pyright: ignore[reportUnknownVariableType]
    fid_statistics_to_metric,  # pyright: ignore[reportUnknownVariableType]
)

from dgnet.model.evaluation.generation.frechet import compare_with_floor, frechet_distance


def cross(width: float, height: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Four samples of mean 0 and covariance diag(2 width^2 / 3, 2 height^2 / 3)."""
    return np.array([[width, 0], [-width, 0], [0, height], [0, -height]], dtype=np.float64)


def test_the_distance_of_two_gaussians_worked_out_by_hand() -> None:
    # Axes of their own: the squared difference of means and of standard deviations.
    left, right = cross(3, 6), cross(6, 3) + np.array([1, 2])
    scale = np.sqrt(2 / 3)
    expected = 1**2 + 2**2 + (3 * scale - 6 * scale) ** 2 * 2
    assert frechet_distance(left, right) == pytest.approx(expected)
    assert frechet_distance(right, left) == pytest.approx(expected)


def test_identical_sets_have_no_distance_and_shifted_ones_the_squared_shift() -> None:
    features = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-12)
    assert frechet_distance(features, features + np.float32(2)) == pytest.approx(4 * 8, rel=1e-5)


@pytest.mark.parametrize(("left_count", "right_count"), [(50, 40), (5, 40), (5, 4)])
def test_it_is_the_formula_with_the_root_of_the_product_also_without_full_rank(
    left_count: int, right_count: int
) -> None:
    random = np.random.default_rng(1)
    left = random.normal(size=(left_count, 6)) @ random.normal(size=(6, 6))
    right = random.normal(size=(right_count, 6)) @ random.normal(size=(6, 6)) + 1
    one, other = np.cov(left, rowvar=False), np.cov(right, rowvar=False)
    # A vanishing diagonal keeps scipy's root from complaining of singular matrices.
    product = (one + np.eye(6) * 1e-13) @ (other + np.eye(6) * 1e-13)
    root = np.array(sqrtm(product), dtype=np.complex128)
    shift = left.mean(axis=0) - right.mean(axis=0)
    expected = shift @ shift + np.trace(one) + np.trace(other) - 2 * np.real(np.trace(root))
    assert frechet_distance(left, right) == pytest.approx(float(expected), rel=1e-4)


def test_it_is_what_torch_fidelity_computes_of_the_same_features() -> None:
    random = np.random.default_rng(2)
    left, right = random.normal(size=(60, 12)), random.normal(size=(50, 12)) * 1.5
    statistics = [fid_features_to_statistics(torch.tensor(features)) for features in (left, right)]
    expected = fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID]
    assert frechet_distance(left, right) == pytest.approx(expected)


def test_the_floor_compares_halves_of_the_size_of_the_comparison() -> None:
    random = np.random.default_rng(3)
    real = random.normal(size=(400, 4))
    found = compare_with_floor(random.normal(size=(120, 4)) + 1, real, splits=10, seed=0)
    assert (found.composites, found.real, found.size, found.splits) == (120, 400, 120, 10)
    assert found.distance == pytest.approx(4, rel=0.3)
    assert found.floor.low <= found.floor.mean <= found.floor.high
    # Unlike sets lie above what real pictures have among themselves; more composites than half
    # the real pictures are cut down to that.
    assert found.floor.high < 0.5 < found.composites_against_real.low
    more = compare_with_floor(random.normal(size=(300, 4)), real, splits=10, seed=0)
    assert more.size == 200
    assert more.composites_against_real.mean == pytest.approx(more.floor.mean, rel=1)


def test_the_floor_of_pictures_that_come_in_equal_halves_is_hand_made() -> None:
    # Two points, twice each: halves are (0, 0), (0, 1) or (1, 1). Unlike halves have the distance
    # 1, halves with both points none.
    real = np.array([[0.0], [0.0], [1.0], [1.0]])
    found = compare_with_floor(np.array([[0.0], [1.0]]), real, splits=300, seed=0)
    # One way in three to part them.
    assert found.floor.mean == pytest.approx(1 / 3, abs=0.1)
    assert (found.floor.low, found.floor.high) == (0, 1)


def test_splits_repeat_with_their_seed() -> None:
    random = np.random.default_rng(4)
    real, made = random.normal(size=(40, 3)), random.normal(size=(20, 3))
    first = compare_with_floor(made, real, splits=3, seed=5)
    assert compare_with_floor(made, real, splits=3, seed=5) == first
    assert compare_with_floor(made, real, splits=3, seed=6) != first


def test_more_samples_than_dimensions_are_told_from_fewer() -> None:
    random = np.random.default_rng(5)
    real = random.normal(size=(40, 10))
    assert compare_with_floor(real[:11], real, splits=1, seed=0).has_full_rank
    assert not compare_with_floor(real[:10], real, splits=1, seed=0).has_full_rank


def test_too_few_samples_and_unlike_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="N at least 2"):
        frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))
    with pytest.raises(ValueError, match="3 and 4 dimensions"):
        frechet_distance(np.zeros((5, 3)), np.zeros((5, 4)))
    with pytest.raises(ValueError, match="9 composites and 3 real pictures; expected at least"):
        compare_with_floor(np.zeros((9, 3)), np.zeros((3, 3)), splits=1, seed=0)
