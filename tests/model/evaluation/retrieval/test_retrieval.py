"""Retrieval scores against two established evaluators' numbers and rankings worked out by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from dgnet.model.data.picture import NO_CAMERA
from dgnet.model.evaluation.retrieval.retrieval_set import RetrievalSet
from dgnet.model.evaluation.retrieval.scores import (
    RetrievalResult,
    RetrievalScores,
    evaluate_retrieval,
)

GOLDEN = Path(__file__).parents[3] / "golden"


def ranked(*gallery: tuple[int, int], query: tuple[int, int] = (1, 1)) -> RetrievalResult:
    """One query against (person, camera) pairs listed from the most to the least similar."""
    angles = np.linspace(0.1, 1.4, len(gallery))
    persons, cameras = np.array(gallery).T
    return evaluate_retrieval(
        RetrievalSet(
            embeddings=np.array([[1.0, 0.0]]),
            person_ids=np.array([query[0]]),
            camera_ids=np.array([query[1]]),
        ),
        RetrievalSet(
            embeddings=np.stack([np.cos(angles), np.sin(angles)], axis=1),
            person_ids=persons,
            camera_ids=cameras,
        ),
    )


@pytest.mark.parametrize(
    "convention", ["dgnet_convention", "valid_queries_trapezoid", "torchreid_convention"]
)
def test_golden_scores(convention: str) -> None:
    arrays = np.load(GOLDEN / "retrieval.npz")
    expected = json.loads((GOLDEN / "retrieval.json").read_text())
    query, gallery = (
        RetrievalSet(
            embeddings=arrays[f"{part}_features"],
            person_ids=arrays[f"{part}_person_id"],
            camera_ids=arrays[f"{part}_camera_id"],
        )
        for part in ("query", "gallery")
    )
    result = evaluate_retrieval(query, gallery)
    assert result.queries == expected["queries"]
    assert result.valid_queries == expected["valid_queries"]
    scores: RetrievalScores = getattr(result, convention)
    for name in ("rank_1", "rank_5", "rank_10", "mAP"):
        assert getattr(scores, name) == pytest.approx(expected[convention][name], rel=1e-6), name


def test_step_and_trapezoid_average_precision_of_hits_at_ranks_two_and_four() -> None:
    result = ranked((2, 2), (1, 2), (3, 2), (1, 3))
    # Precision at the hits 1/2 and 2/4, just before them 0/1 and 1/3.
    assert result.torchreid_convention.mAP == pytest.approx((1 / 2 + 2 / 4) / 2)
    trapezoid = ((0 + 1 / 2) / 2 + (1 / 3 + 2 / 4) / 2) / 2
    assert result.dgnet_convention.mAP == pytest.approx(trapezoid)
    assert (result.dgnet_convention.rank_1, result.dgnet_convention.rank_5) == (0, 1)


def test_a_perfect_ranking_scores_one_under_every_convention() -> None:
    result = ranked((1, 2), (1, 3), (2, 2))
    perfect = RetrievalScores(rank_1=1, rank_5=1, rank_10=1, mAP=1)
    assert result.dgnet_convention == result.torchreid_convention == perfect


def test_junk_images_never_count_as_matches_nor_as_wrong() -> None:
    # Before the match: the person under the query's own camera, and a picture of nobody.
    result = ranked((1, 1), (-1, 2), (1, 2))
    assert result.dgnet_convention == RetrievalScores(rank_1=1, rank_5=1, rank_10=1, mAP=1)
    assert result.torchreid_convention == result.dgnet_convention


def test_distractors_count_as_wrong() -> None:
    result = ranked((0, 2), (1, 2))
    assert result.torchreid_convention.mAP == pytest.approx(1 / 2)
    assert result.dgnet_convention.rank_1 == 0


def test_a_query_without_a_match_lowers_only_the_average_over_all_queries() -> None:
    embeddings = np.array([[1.0, 0.0], [0.0, 1.0]])
    result = evaluate_retrieval(
        RetrievalSet(
            embeddings=embeddings, person_ids=np.array([1, 7]), camera_ids=np.array([1, 1])
        ),
        RetrievalSet(
            embeddings=embeddings, person_ids=np.array([1, 2]), camera_ids=np.array([2, 2])
        ),
    )
    assert (result.queries, result.valid_queries) == (2, 1)
    assert (result.dgnet_convention.rank_1, result.dgnet_convention.mAP) == (0.5, 0.5)
    assert (result.torchreid_convention.rank_1, result.torchreid_convention.mAP) == (1, 1)
    assert result.valid_queries_trapezoid.mAP == 1


def test_scores_do_not_depend_on_the_length_of_embeddings_nor_on_blocks() -> None:
    random = np.random.default_rng(0)

    def scored(repeats: int, scale: float) -> RetrievalResult:
        query = RetrievalSet(
            embeddings=np.tile(query_embeddings * scale, (repeats, 1)),
            person_ids=np.tile(np.arange(30) % 10, repeats),
            camera_ids=np.full(30 * repeats, 1),
        )
        return evaluate_retrieval(query, gallery)

    query_embeddings = random.standard_normal((30, 8))
    gallery = RetrievalSet(
        embeddings=random.standard_normal((50, 8)),
        person_ids=np.arange(50) % 10,
        camera_ids=np.full(50, 2),
    )
    once, many = scored(1, 1.0), scored(7, 3.0)
    assert many.dgnet_convention.mAP == pytest.approx(once.dgnet_convention.mAP)
    assert many.torchreid_convention.rank_5 == pytest.approx(once.torchreid_convention.rank_5)


def test_minp_is_the_share_of_matches_down_to_the_hardest_one() -> None:
    # Two matches, the harder at rank 4: 2/4. Junk in between moves nothing.
    assert ranked((2, 2), (1, 2), (-1, 3), (3, 2), (1, 1), (1, 3)).mINP == pytest.approx(2 / 4)
    assert ranked((1, 2), (1, 3), (2, 2)).mINP == 1


def test_minp_averages_over_valid_queries() -> None:
    query = RetrievalSet(
        embeddings=np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]),
        person_ids=np.array([1, 2, 9]),
        camera_ids=np.array([1, 1, 1]),
    )
    gallery = RetrievalSet(
        embeddings=np.array([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6]]),
        person_ids=np.array([1, 3, 2]),
        camera_ids=np.array([2, 2, 2]),
    )
    # Person 1 at rank 1, person 2 behind person 3 at rank 2, person 9 not at all.
    result = evaluate_retrieval(query, gallery)
    assert result.mINP == pytest.approx((1 + 1 / 2) / 2)
    assert result.chance_rank_1 == pytest.approx(1 / 3)


def test_without_cameras_nothing_is_junk_of_the_same_camera() -> None:
    result = ranked((1, NO_CAMERA), (2, NO_CAMERA), (1, NO_CAMERA), query=(1, NO_CAMERA))
    assert result.torchreid_convention.rank_1 == 1
    assert result.torchreid_convention.mAP == pytest.approx((1 + 2 / 3) / 2)


def test_a_query_whose_only_matches_are_under_its_own_camera_is_not_valid() -> None:
    with pytest.raises(ValueError, match="none of the 1 queries has a match"):
        ranked((1, 1), (2, 2))


def test_one_picture_in_the_gallery_is_enough() -> None:
    result = ranked((1, 2))
    perfect = RetrievalScores(rank_1=1, rank_5=1, rank_10=1, mAP=1)
    assert result.dgnet_convention == result.torchreid_convention == perfect
    assert (result.mINP, result.chance_rank_1) == (1, 1)


@pytest.mark.parametrize(
    ("persons", "step_ap"),
    [([1, 2, 2], 1), ([2, 1, 2], 1 / 2), ([2, 1, 1], (1 / 2 + 2 / 3) / 2), ([2, 2, 1], 1 / 3)],
)
def test_equally_similar_pictures_keep_the_order_of_the_gallery(
    persons: list[int], step_ap: float
) -> None:
    result = evaluate_retrieval(
        RetrievalSet(
            embeddings=np.array([[3.0, 4.0]]), person_ids=np.array([1]), camera_ids=np.array([1])
        ),
        RetrievalSet(
            embeddings=np.array([[0.0, 2.0]] * 3),
            person_ids=np.array(persons),
            camera_ids=np.array([2] * 3),
        ),
    )
    assert result.torchreid_convention.mAP == pytest.approx(step_ap)


def test_chance_is_the_share_of_matches_among_pictures_that_count() -> None:
    # Of six pictures two are junk; one of the other four is a match.
    result = ranked((1, 2), (2, 2), (3, 2), (0, 2), (1, 1), (-1, 2))
    assert result.chance_rank_1 == pytest.approx(1 / 4)


def test_no_match_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="none of the 1 queries has a match"):
        ranked((2, 2), (1, 1))


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match=r"person ids \(2,\)"):
        RetrievalSet(
            embeddings=np.ones((3, 2)), person_ids=np.ones(2, int), camera_ids=np.ones(3, int)
        )
