"""Ranks counted in blocks are those of sorting the whole gallery."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from dgnet.model.evaluation.retrieval.ranking import best_pictures, rank_matches
from dgnet.model.evaluation.retrieval.retrieval_set import RetrievalSet
from dgnet.model.evaluation.retrieval.similarity import CosineSimilarity

QUERIES, GALLERY = 37, 90


class GivenSimilarity:
    def __init__(self, values: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> None:
        self.values = values
        self.shape = values.shape

    def rows(self, start: int, stop: int) -> Tensor:
        return torch.tensor(self.values[start:stop])


def people(random: np.random.Generator, count: int) -> RetrievalSet:
    return RetrievalSet(
        embeddings=random.standard_normal((count, 6)).astype(np.float32),
        person_ids=random.integers(-1, 5, count),
        camera_ids=random.integers(1, 4, count),
    )


def by_sorting(
    similarities: np.ndarray[tuple[int, int], np.dtype[np.float32]],
    query: RetrievalSet,
    gallery: RetrievalSet,
) -> tuple[list[int], list[int]]:
    """Query rows and ranks of all matches, one sorted list after the other."""
    rows: list[int] = []
    ranks: list[int] = []
    for row, values in enumerate(similarities):
        same = gallery.person_ids == query.person_ids[row]
        junk = (gallery.person_ids == -1) | (same & (gallery.camera_ids == query.camera_ids[row]))
        order = [column for column in np.argsort(-values, kind="stable") if not junk[column]]
        found = [rank for rank, column in enumerate(order) if same[column]]
        rows += [row] * len(found)
        ranks += found
    return rows, ranks


@pytest.mark.parametrize("levels", [1, 3, 10, 1000])
@pytest.mark.parametrize("block", [1, 300, 2**24])
def test_ranks_with_any_number_of_ties_are_those_of_a_stable_sort(
    levels: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dgnet.model.evaluation.retrieval.ranking._LEAST_ROWS", 2)
    monkeypatch.setattr("dgnet.model.evaluation.retrieval.ranking._BLOCK_VALUES", block)
    random = np.random.default_rng(levels)
    query, gallery = people(random, QUERIES), people(random, GALLERY)
    similarities = (random.integers(0, levels, (QUERIES, GALLERY)) / levels).astype(np.float32)
    rankings = rank_matches(GivenSimilarity(similarities), query, gallery)
    rows, ranks = by_sorting(similarities, query, gallery)
    assert rankings.query_rows.tolist() == rows
    assert rankings.ranks.tolist() == ranks
    assert rankings.matches.tolist() == np.bincount(rows, minlength=QUERIES).tolist()


def test_cosines_do_not_depend_on_gallery_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    query, gallery = people(random, 5), people(random, GALLERY)
    similarity = CosineSimilarity(query.embeddings, gallery.embeddings)
    whole = similarity.rows(1, 4)
    monkeypatch.setattr("dgnet.model.evaluation.retrieval.similarity.GALLERY_BLOCK", 7)
    torch.testing.assert_close(similarity.rows(1, 4), whole)
    expected = [
        [
            left @ right / np.linalg.norm(left) / np.linalg.norm(right)
            for right in gallery.embeddings
        ]
        for left in query.embeddings[1:4]
    ]
    np.testing.assert_allclose(whole.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_the_best_pictures_leave_junk_out_and_say_what_is_right() -> None:
    query = RetrievalSet(
        embeddings=np.array([[1.0]]), person_ids=np.array([1]), camera_ids=np.array([1])
    )
    gallery = RetrievalSet(
        embeddings=np.ones((5, 1)),
        person_ids=np.array([1, 1, -1, 2, 1]),
        camera_ids=np.array([1, 2, 3, 2, 3]),
    )
    similarity = GivenSimilarity(np.array([[0.9, 0.2, 0.8, 0.5, 0.5]], dtype=np.float32))
    found, right = best_pictures(similarity, query, gallery, 0, 10)
    assert found.tolist() == [3, 4, 1]
    assert right.tolist() == [False, True, True]
    assert best_pictures(similarity, query, gallery, 0, 2)[0].tolist() == [3, 4]


def test_embeddings_of_two_models_are_refused() -> None:
    with pytest.raises(ValueError, match=r"query embeddings are \(2, 3\), gallery embeddings"):
        CosineSimilarity(np.ones((2, 3)), np.ones((4, 5)))


def test_similarities_of_other_pictures_are_refused() -> None:
    query = people(np.random.default_rng(0), 3)
    with pytest.raises(ValueError, match=r"similarities \(1, 2\) for 3 queries and 3 gallery"):
        rank_matches(GivenSimilarity(np.ones((1, 2), dtype=np.float32)), query, query)


def test_similarities_that_are_no_numbers_are_refused() -> None:
    one = RetrievalSet(
        embeddings=np.ones((1, 1)), person_ids=np.ones(1, int), camera_ids=np.ones(1, int)
    )
    other = RetrievalSet(
        embeddings=np.ones((1, 1)), person_ids=np.ones(1, int), camera_ids=np.array([2])
    )
    with pytest.raises(ValueError, match="no numbers"):
        rank_matches(GivenSimilarity(np.full((1, 1), np.nan, dtype=np.float32)), one, other)
