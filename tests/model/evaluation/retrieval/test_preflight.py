"""What makes a figure zero or meaningless is told, and told apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dgnet.model.data.picture import NO_CAMERA, Picture
from dgnet.model.evaluation.retrieval.preflight import (
    PreflightError,
    check_embeddings,
    check_people,
    check_result,
    searching,
)
from dgnet.model.evaluation.retrieval.scores import RetrievalResult, RetrievalScores


def pictures(*people: tuple[int, int], folder: str = "query") -> list[Picture]:
    return [
        Picture(path=Path(folder, f"{number}.jpg"), person_id=person, camera_id=camera)
        for number, (person, camera) in enumerate(people)
    ]


def test_people_seen_under_another_camera_are_fine() -> None:
    gallery = pictures((1, 2), (2, 1), (0, 1), (-1, 1), folder="gallery")
    assert check_people(pictures((1, 1), (2, 2)), gallery) == []


def test_an_empty_side_is_told() -> None:
    with pytest.raises(PreflightError, match="1 query and 0 gallery pictures"):
        check_people(pictures((1, 1)), [])


def test_folders_of_two_data_sets_are_told() -> None:
    message = r"no person.*query has persons 1, 2, gallery has persons 3, 4, 5, 6, 7, \.\.\. \(6 of"
    with pytest.raises(PreflightError, match=message):
        check_people(pictures((1, 1), (2, 1)), pictures(*((person, 2) for person in range(3, 9))))


def test_matches_under_the_same_camera_alone_are_told() -> None:
    with pytest.raises(PreflightError, match=r"query's own camera.*cameras read: 1\)"):
        check_people(pictures((1, 1), (2, 1)), pictures((1, 1), (2, 1), folder="gallery"))


def test_junk_is_no_match() -> None:
    with pytest.raises(PreflightError, match="no person of the query folder"):
        check_people(pictures((-1, 1)), pictures((-1, 2)))


def test_without_cameras_the_same_camera_number_is_no_reason_to_stop() -> None:
    gallery = pictures((1, NO_CAMERA), folder="gallery")
    assert check_people(pictures((1, NO_CAMERA)), gallery) == []


def test_some_queries_without_a_match_are_a_warning() -> None:
    gallery = pictures((1, 2), (2, 1), folder="gallery")
    (warning,) = check_people(pictures((1, 1), (2, 1), (3, 1)), gallery)
    assert warning.startswith("2 of 3 queries have no match under another camera")


def test_a_file_on_both_sides_is_a_warning() -> None:
    both = pictures((1, NO_CAMERA), (1, NO_CAMERA))
    (warning,) = check_people(both, both)
    assert "2 files, query/0.jpg among them, are query and gallery" in warning


def unit(*rows: list[float]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    array = np.array(rows, dtype=np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def test_embeddings_that_differ_are_fine() -> None:
    assert check_embeddings(unit([1, 0], [0, 1]), pictures((1, 1), (2, 1))) == []
    assert check_embeddings(unit([1, 0]), pictures((1, 1))) == []


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_embeddings_without_a_direction_are_told_with_their_picture(value: float) -> None:
    embeddings = unit([1, 0], [0, 1])
    embeddings[1] = value
    with pytest.raises(PreflightError, match=r"1 of 2 embeddings, the first of query/1\.jpg"):
        check_embeddings(embeddings, pictures((1, 1), (2, 1)))


def test_embeddings_that_are_all_the_same_are_told() -> None:
    with pytest.raises(PreflightError, match="all embeddings are the same"):
        check_embeddings(unit(*[[1.0, 2.0, 3.0]] * 600), pictures(*[(1, 1)] * 600))


def test_embeddings_that_hardly_differ_are_a_warning() -> None:
    (warning,) = check_embeddings(unit([1, 0.1], [1, 0]), pictures((1, 1), (2, 1)))
    assert "hardly differ (mean cosine between pictures 0.995" in warning


def test_lengths_other_than_one_are_a_warning() -> None:
    (warning,) = check_embeddings(3 * unit([1, 0], [0, 1]), pictures((1, 1), (2, 1)))
    assert warning.startswith("embeddings have lengths from 3 to 3, expected 1")


SCORES = RetrievalScores(rank_1=0.1, rank_5=0.5, rank_10=0.5, mAP=0.1)
RESULT = RetrievalResult(
    queries=100,
    valid_queries=100,
    dgnet_convention=SCORES,
    valid_queries_trapezoid=SCORES,
    torchreid_convention=SCORES,
    mINP=0.1,
    chance_rank_1=0.1,
)


def test_rank_1_at_chance_level_is_a_warning() -> None:
    # Three deviations above 10 % of 100 queries are 19 %.
    (warning,) = check_result(RESULT)
    assert "rank-1 of 10.0% is what a random order reaches (10.0%)" in warning
    better = replace(RESULT, torchreid_convention=replace(SCORES, rank_1=0.2))
    assert check_result(better) == []


def test_a_set_too_small_to_tell_chance_from_skill_gives_no_warning() -> None:
    assert check_result(replace(RESULT, valid_queries=3, chance_rank_1=0.5)) == []


def test_queries_of_nobody_are_left_out_and_said() -> None:
    """A distractor is nobody's picture: a query of its number would find other nobodies."""
    people, warnings = searching(pictures((1, 1), (0, 1), (-1, 1)))
    assert [picture.person_id for picture in people] == [1]
    (said,) = warnings
    assert said.startswith("2 of 3 queries are of junk or distractors")
    assert searching(pictures((1, 1))) == (pictures((1, 1)), [])
    with pytest.raises(PreflightError, match=r"nobody is left to search for.*--distractors none"):
        searching(pictures((0, 1)))
