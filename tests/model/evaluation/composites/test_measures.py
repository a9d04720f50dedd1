"""The measures of composites against numbers worked out by hand."""

import numpy as np
import pytest

from dgnet.model.evaluation.composites.measures import gray_ssim, nearer_to_appearance
from dgnet.model.evaluation.composites.truth import truth_errors


def line(*pixels: tuple[int, int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """One picture of one row: (1, 1, W, 3)."""
    return np.array([[pixels]], dtype=np.uint8)


def plain(level: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.full((1, 16, 16, 3), level, dtype=np.uint8)


STRUCTURE = line((0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0))
# 24 levels is not yet a change, 25 levels in one channel is.
TRUTH = line((100, 0, 0), (24, 0, 0), (0, 25, 0), (0, 0, 0))
COMPOSITE = line((70, 0, 0), (27, 0, 0), (5, 25, 0), (0, 0, 6))


def test_errors_are_split_at_the_region_where_structure_and_truth_differ() -> None:
    errors = truth_errors(COMPOSITE, STRUCTURE, TRUTH)
    # Pixels 0 and 2 changed: composite errors 30/3 and 5/3, structure errors 100/3 and 25/3.
    assert errors.changed_error == pytest.approx(35 / 6)
    assert errors.changed_ratio == pytest.approx(35 / 125)
    # Outside: 3/3 and 6/3.
    assert errors.outside_error == pytest.approx(1.5)
    assert errors.changed_share == 0.5
    assert errors.mean_error == pytest.approx((35 / 6 + 1.5) / 2)


def test_a_perfect_composite_has_no_error_and_the_structure_picture_the_ratio_one() -> None:
    perfect = truth_errors(TRUTH, STRUCTURE, TRUTH)
    assert (perfect.changed_ratio, perfect.outside_error, perfect.mean_triple_ratio) == (0, 0, 0)
    copy = truth_errors(STRUCTURE, STRUCTURE, TRUTH)
    assert (copy.changed_ratio, copy.mean_triple_ratio) == (1, 1)


def test_the_ratio_pools_pixels_and_the_mean_ratio_weighs_triples_alike() -> None:
    structure = np.concatenate([STRUCTURE, STRUCTURE])
    truth = np.concatenate([TRUTH, line((200, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0))])
    composite = np.concatenate([COMPOSITE, line((0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0))])
    errors = truth_errors(composite, structure, truth)
    assert errors.changed_ratio == pytest.approx((30 + 5 + 200) / (100 + 25 + 200))
    assert errors.mean_triple_ratio == pytest.approx((35 / 125 + 1) / 2)


def test_a_triple_without_any_change_counts_only_outside() -> None:
    black = line((0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0))
    errors = truth_errors(
        np.concatenate([COMPOSITE, black]),
        np.concatenate([STRUCTURE, black]),
        np.concatenate([TRUTH, black]),
    )
    assert errors.mean_triple_ratio == pytest.approx(35 / 125)
    assert errors.outside_error == pytest.approx((1 + 2) / 6)


def test_pictures_that_agree_everywhere_are_refused() -> None:
    with pytest.raises(ValueError, match="agree everywhere"):
        truth_errors(STRUCTURE, STRUCTURE, STRUCTURE)


def test_pictures_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 16, 16, 3\) and \(1, 1, 4, 3\)"):
        truth_errors(plain(0), STRUCTURE, TRUTH)


def test_ssim_is_one_for_equal_pictures_and_follows_the_formula_for_plain_ones() -> None:
    assert gray_ssim(plain(100), plain(100)).tolist() == pytest.approx([1.0])
    # Without contrast only the luminance term remains; its constant is (0.01 * 255)^2 = 6.5025.
    expected = (2 * 100 * 50 + 6.5025) / (100**2 + 50**2 + 6.5025)
    assert gray_ssim(plain(100), plain(50)).tolist() == pytest.approx([expected], rel=1e-4)


def test_ssim_falls_when_the_edges_are_elsewhere() -> None:
    upright, lying = plain(0), plain(0)
    upright[:, :, 8:] = 255
    lying[:, 8:] = 255
    assert gray_ssim(upright, lying)[0] < 0.5


def test_nearness_compares_the_dot_products_of_embeddings() -> None:
    right, up = [1.0, 0.0], [0.0, 1.0]
    composite = np.array([[0.8, 0.6], [0.6, 0.8]], dtype=np.float32)
    appearance = np.array([right, right], dtype=np.float32)
    structure = np.array([up, up], dtype=np.float32)
    assert nearer_to_appearance(composite, appearance, structure).tolist() == [True, False]
