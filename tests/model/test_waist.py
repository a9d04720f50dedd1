"""Upper clothes of one person and lower clothes of another, cut where they meet."""

from __future__ import annotations

import numpy as np
import pytest

from dgnet.model.waist import joined_at_waist, lower_shares
from tests.model.test_predictor import build


def test_one_picture_turns_into_the_other_around_the_middle() -> None:
    # Of 40 rows two lie in the twentieth around the middle, a quarter of it off on either side.
    shares = lower_shares(40)
    assert shares[:19].tolist() == [0] * 19
    assert shares[19:21].tolist() == pytest.approx([0.25, 0.75])
    assert shares[21:].tolist() == [1] * 19


def test_pixels_are_those_of_either_and_stay_where_both_agree() -> None:
    upper = np.full((1, 40, 2, 3), 100, np.uint8)
    lower = np.full((1, 40, 2, 3), 200, np.uint8)
    lower[..., 1] = 100
    joined = joined_at_waist(upper, lower)
    assert joined[0, :, 0, 0].tolist() == [100] * 19 + [125, 175] + [200] * 19
    assert (joined[..., 1] == 100).all()


def test_halves_are_those_of_two_composites() -> None:
    predictor = build()
    draws = np.random.default_rng(5)
    images = draws.integers(0, 256, (3, predictor.height, predictor.width, 3), dtype=np.uint8)
    upper, lower = (predictor.appearance_styles(images[[row]]) for row in (0, 1))
    structure = predictor.structure_codes(images[[2]])
    found = predictor.compose_halves(upper, lower, structure)
    middle, edge = predictor.height // 2, predictor.height // 16
    whole = [predictor.compose(worn, structure) for worn in (upper, lower)]
    assert (found[:, : middle - edge] == whole[0][:, : middle - edge]).all()
    assert (found[:, middle + edge :] == whole[1][:, middle + edge :]).all()
