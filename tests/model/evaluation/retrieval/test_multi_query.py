"""Queries pooled by hand."""

from __future__ import annotations

import numpy as np
import pytest

from dgnet.model.evaluation.retrieval.multi_query import pooled_queries
from dgnet.model.evaluation.retrieval.retrieval_set import RetrievalSet
from dgnet.model.evaluation.retrieval.scores import evaluate_retrieval


def labeled(*rows: tuple[list[float], int, int]) -> RetrievalSet:
    embeddings, persons, cameras = zip(*rows, strict=True)
    return RetrievalSet(
        embeddings=np.array(embeddings, dtype=np.float32),
        person_ids=np.array(persons),
        camera_ids=np.array(cameras),
    )


def test_a_query_becomes_the_mean_direction_of_its_person_under_its_camera() -> None:
    query = labeled(([1, 0], 1, 1), ([1, 0], 1, 2), ([0, 3], 2, 1))
    pictures = labeled(
        ([2, 0], 1, 1),  # counts as much as the next: lengths do not matter
        ([0, 1], 1, 1),
        ([-1, 0], 1, 2),
        ([-1, 0], 3, 1),
    )
    pooled, alone = pooled_queries(query, pictures)
    half = np.sqrt(1 / 2)
    np.testing.assert_allclose(pooled.embeddings, [[half, half], [-1, 0], [0, 1]], atol=1e-6)
    assert alone == 1  # person 2 has no other picture and keeps its own
    assert pooled.person_ids.tolist() == [1, 1, 2]


def test_pooling_finds_what_a_single_query_misses() -> None:
    query = labeled(([1, 0], 1, 1))
    gallery = labeled(([1, 0.2], 2, 2), ([0.5, 1], 1, 2))
    pooled, _ = pooled_queries(query, labeled(([1, 0], 1, 1), ([0, 1], 1, 1), ([0, 1], 1, 1)))
    assert evaluate_retrieval(query, gallery).torchreid_convention.mAP == pytest.approx(1 / 2)
    assert evaluate_retrieval(pooled, gallery).torchreid_convention.mAP == 1
