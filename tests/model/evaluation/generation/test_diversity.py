"""Diversity within a person: which pairs, what they score, and what is kept meanwhile."""

from __future__ import annotations

import numpy as np
import pytest

from dgnet.arrays import Pixels
from dgnet.model.evaluation.composites.measures import gray_ssim
from dgnet.model.evaluation.composites.pairs import draw_person_pairs
from dgnet.model.evaluation.generation.diversity import PairScores, diversity


def plain(*levels: int) -> Pixels:
    return np.stack([np.full((12, 12, 3), level, dtype=np.uint8) for level in levels])


def level_difference(left: Pixels, right: Pixels) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.abs(left[:, 0, 0, 0].astype(np.float64) - right[:, 0, 0, 0])


def test_all_pairs_of_a_person_are_compared_where_there_are_few() -> None:
    pairs, persons = draw_person_pairs(
        np.array([7, 7, 7, 8, 9, 9]), per_person=5, persons_at_most=9, seed=0
    )
    assert pairs.tolist() == [[0, 1], [0, 2], [1, 2], [4, 5]]
    assert persons.tolist() == [7, 7, 7, 9]


def test_pairs_and_persons_are_drawn_where_there_are_many() -> None:
    rows = np.repeat(np.arange(20), 30)
    pairs, persons = draw_person_pairs(rows, per_person=4, persons_at_most=6, seed=1)
    assert len(pairs) == 24
    assert len(set(persons.tolist())) == 6
    assert (rows[pairs[:, 0]] == rows[pairs[:, 1]]).all()
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert len({tuple(pair) for pair in pairs.tolist()}) == 24
    again, _ = draw_person_pairs(rows, per_person=4, persons_at_most=6, seed=1)
    assert np.array_equal(pairs, again)


def test_every_pair_can_be_drawn() -> None:
    everything = {(earlier, later) for later in range(7) for earlier in range(later)}
    seen = {
        tuple(pair)
        for seed in range(60)
        for pair in draw_person_pairs(
            np.zeros(7, dtype=np.int64), per_person=3, persons_at_most=1, seed=seed
        )[0].tolist()
    }
    assert seen == everything


@pytest.mark.parametrize("batch", [1, 2, 3, 6])
def test_scores_do_not_depend_on_how_pictures_come_by(batch: int) -> None:
    pictures = plain(10, 20, 40, 5, 100, 101)
    pairs = np.array([[0, 1], [0, 2], [1, 2], [4, 5]])
    scores = PairScores(pairs, {"levels": level_difference})
    for start in range(0, 6, batch):
        scores.add(start, pictures[start : start + batch])
    assert scores.scores()["levels"].tolist() == [10, 30, 20, 1]


def test_pictures_are_kept_only_until_their_last_pair() -> None:
    scores = PairScores(np.array([[0, 1], [0, 2], [4, 5]]), {"levels": level_difference})
    kept: list[int] = []
    for row in range(6):
        scores.add(row, plain(row))
        kept.append(scores.waiting)
    assert kept == [1, 1, 0, 0, 1, 0]


def test_persons_weigh_alike_however_many_pairs_they_have() -> None:
    found = diversity(np.array([0.0, 0.3, 0.6, 0.9]), np.array([1, 1, 1, 2]))
    assert found is not None
    assert found.pairs == 4
    assert found.persons.count == 2
    assert found.persons.mean == pytest.approx((0.3 + 0.9) / 2)
    assert diversity(np.array([]), np.array([], dtype=np.int64)) is None


def test_identical_pictures_have_no_diversity_and_plain_ones_that_of_their_light() -> None:
    scores = PairScores(
        np.array([[0, 1], [2, 3]]), {"ssim": lambda left, right: 1 - gray_ssim(left, right)}
    )
    scores.add(0, plain(100, 100, 100, 50))
    same, other = scores.scores()["ssim"]
    assert same == pytest.approx(0)
    # Without contrast only the luminance term remains; its constant is (0.01 * 255)^2 = 6.5025.
    alike = (2 * 100 * 50 + 6.5025) / (100**2 + 50**2 + 6.5025)
    assert other == pytest.approx(1 - alike, rel=1e-4)
