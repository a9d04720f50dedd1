"""Sparse, blockwise re-ranking against the paper's equations on sets and dense matrices."""

from __future__ import annotations

import numpy as np
import pytest

from dgnet.arrays import Doubles
from dgnet.model.evaluation.retrieval.reranking import RerankedSimilarity, Reranking
from dgnet.model.evaluation.retrieval.retrieval_set import RetrievalSet, unit_rows
from dgnet.model.evaluation.retrieval.scores import evaluate_retrieval


def final_distances(query: Doubles, gallery: Doubles, settings: Reranking) -> Doubles:
    """Zhong et al., equations 3, 4, 7, 10, 11 and 12, one picture at a time."""
    pictures = unit_rows(np.concatenate([query, gallery]))
    count = len(pictures)
    distance = np.maximum(2 - 2 * pictures @ pictures.T, 0)
    distance /= distance.max(axis=1, keepdims=True)
    order = np.argsort(distance - 10 * np.eye(count), axis=1, kind="stable")

    def reciprocal(p: int, k: int) -> set[int]:
        nearest = {int(g) for g in order[p, : k + 1]}
        return {g for g in nearest if p in order[g, : k + 1]}

    encoding = np.zeros((count, count))
    for p in range(count):
        neighbors = reciprocal(p, settings.k1)
        expanded = set(neighbors)
        for q in neighbors:
            half = reciprocal(q, round(settings.k1 / 2))
            if len(neighbors & half) >= 2 / 3 * len(half):
                expanded |= half
        for g in expanded:
            encoding[p, g] = np.exp(-distance[p, g])
        encoding[p] /= encoding[p].sum()
    encoding = np.stack([encoding[order[p, : settings.k2]].mean(axis=0) for p in range(count)])
    jaccard = np.ones((len(query), len(gallery)))
    for p in range(len(query)):
        for g in range(len(gallery)):
            other = encoding[len(query) + g]
            smaller, larger = np.minimum(encoding[p], other), np.maximum(encoding[p], other)
            jaccard[p, g] = 1 - smaller.sum() / larger.sum()
    weight = settings.original_weight
    return (1 - weight) * jaccard + weight * distance[: len(query), len(query) :]


def clustered(random: np.random.Generator, count: int, spread: float) -> Doubles:
    centers = np.random.default_rng(99).standard_normal((6, 16))
    return centers[np.arange(count) % 6] + spread * random.standard_normal((count, 16))


@pytest.mark.parametrize(
    "settings",
    [
        Reranking(),
        Reranking(k1=6, k2=3),
        Reranking(k1=7, k2=1, original_weight=0),
        Reranking(k1=2, k2=5, original_weight=1),
    ],
    ids=str,
)
@pytest.mark.parametrize("spread", [0.5, 3.0])
def test_distances_are_those_of_the_paper(
    settings: Reranking, spread: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dgnet.model.evaluation.retrieval.reranking._BLOCK_VALUES", 300)
    monkeypatch.setattr("dgnet.model.evaluation.retrieval.reranking._BLOCK_PAIRS", 50)
    random = np.random.default_rng(int(spread))
    query, gallery = clustered(random, 13, spread), clustered(random, 70, spread)
    reranked = RerankedSimilarity(query, gallery, settings)
    assert reranked.shape == (13, 70)
    expected = final_distances(query, gallery, settings)
    np.testing.assert_allclose(-reranked.rows(0, 13).numpy(), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(-reranked.rows(4, 9).numpy(), expected[4:9], rtol=1e-9, atol=1e-12)


def test_more_neighbors_than_pictures_are_all_pictures() -> None:
    random = np.random.default_rng(0)
    query, gallery = clustered(random, 2, 1.0), clustered(random, 4, 1.0)
    settings = Reranking(k1=20, k2=3)
    expected = final_distances(query, gallery, settings)
    rows = RerankedSimilarity(query, gallery, settings).rows(0, 2)
    np.testing.assert_allclose(-rows.numpy(), expected, rtol=1e-9)


def test_duplicates_are_their_own_neighbors_all_the_same() -> None:
    same = np.ones((5, 3))
    rows = RerankedSimilarity(same[:2], same[2:], Reranking(k1=2, k2=1)).rows(0, 2)
    assert np.isfinite(rows.numpy()).all()


def test_reranking_finds_what_lies_nearer_by_way_of_others() -> None:
    # A chain leads from the query to its person; somebody else stands alone, a little nearer.
    angles = np.radians([0, 10, 20, 30, 40, -28, -60, -62])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    query = RetrievalSet(
        embeddings=embeddings[:1], person_ids=np.array([1]), camera_ids=np.array([1])
    )
    gallery = RetrievalSet(
        embeddings=embeddings[1:],
        person_ids=np.array([1, 1, 1, 1, 2, 3, 3]),
        camera_ids=np.full(7, 2),
    )
    reranked = RerankedSimilarity(
        query.embeddings, gallery.embeddings, Reranking(k1=3, k2=2, original_weight=0.1)
    )
    before, after = evaluate_retrieval(query, gallery), evaluate_retrieval(query, gallery, reranked)
    assert before.torchreid_convention.mAP < 1
    assert after.torchreid_convention.mAP == 1


@pytest.mark.parametrize("wrong", [{"k1": 0}, {"k2": 0}, {"original_weight": 1.5}], ids=str)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    settings: dict[str, float] = {"k1": 20, "k2": 6, **wrong}
    with pytest.raises(ValueError, match="expected k1 and k2 from 1 up"):
        Reranking(
            k1=int(settings["k1"]),
            k2=int(settings["k2"]),
            original_weight=settings.get("original_weight", 0.3),
        )
