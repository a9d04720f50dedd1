"""CMC and mAP of person retrieval under the two conventions in use.

Every query ranks the gallery by cosine similarity. *Junk* (person -1, or the query's person under
the query's camera) is taken out of the ranking; *distractors* have ids that no query has and count
as wrong. The conventions differ in two things: DG-Net's evaluation averages over all queries with
the trapezoid AP of the Market-1501 code, torchreid's over the queries that have a match with the
step AP. Weighting the halves of an embedding is left to whoever makes it.

Q queries, G gallery pictures, D dimensions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.data.market1501 import JUNK_PERSON_ID

# Queries ranked at once: 64 x 20,000 similarities with their sort order take about 15 MB.
_BLOCK = 64


@dataclass(frozen=True, kw_only=True)
class RetrievalSet:
    """Embeddings (N, D) of any length with the person and camera of each, both (N,)."""

    embeddings: NDArray[np.floating]
    person_ids: NDArray[np.integer]
    camera_ids: NDArray[np.integer]

    def __post_init__(self) -> None:
        count = len(self.embeddings)
        shapes = (self.embeddings.ndim, self.person_ids.shape, self.camera_ids.shape)
        if count == 0 or shapes != (2, (count,), (count,)):
            raise ValueError(
                f"embeddings {self.embeddings.shape}, person ids {self.person_ids.shape} and "
                f"camera ids {self.camera_ids.shape} do not belong together; expected (N, D), (N,) "
                "and (N,) with N at least 1"
            )


@dataclass(frozen=True, kw_only=True)
class RetrievalScores:
    """Shares in 0..1. rank_k: queries with a match among their first k."""

    rank_1: float
    rank_5: float
    rank_10: float
    mAP: float


@dataclass(frozen=True, kw_only=True)
class RetrievalResult:
    """Scores of one ranking under each convention."""

    queries: int
    valid_queries: int
    dgnet_convention: RetrievalScores
    valid_queries_trapezoid: RetrievalScores
    torchreid_convention: RetrievalScores


@dataclass(frozen=True, kw_only=True)
class _Rankings:
    """Of each query (Q,): 0-based rank of the first match, both APs, and whether it has a match."""

    first_match: NDArray[np.int64]
    trapezoid_ap: NDArray[np.float64]
    step_ap: NDArray[np.float64]
    valid: NDArray[np.bool_]


def evaluate_retrieval(query: RetrievalSet, gallery: RetrievalSet) -> RetrievalResult:
    """Ranks the gallery for every query; equally similar pictures keep the gallery's order."""
    rankings = _rank(query, gallery)
    everyone = np.ones_like(rankings.valid)
    valid = rankings.valid
    if not valid.any():
        raise ValueError(
            f"none of the {len(valid)} queries has a match in the gallery; expected pictures of "
            "the same persons under other cameras"
        )
    return RetrievalResult(
        queries=len(valid),
        valid_queries=int(valid.sum()),
        dgnet_convention=_scores(rankings, rankings.trapezoid_ap, everyone),
        valid_queries_trapezoid=_scores(rankings, rankings.trapezoid_ap, valid),
        torchreid_convention=_scores(rankings, rankings.step_ap, valid),
    )


def _rank(query: RetrievalSet, gallery: RetrievalSet) -> _Rankings:
    query_units, gallery_units = _unit_rows(query.embeddings), _unit_rows(gallery.embeddings)
    blocks = [
        _rank_block(
            query_units[start : start + _BLOCK] @ gallery_units.T,
            query.person_ids[start : start + _BLOCK, None] == gallery.person_ids,
            query.camera_ids[start : start + _BLOCK, None] == gallery.camera_ids,
            gallery.person_ids == JUNK_PERSON_ID,
        )
        for start in range(0, len(query_units), _BLOCK)
    ]
    return _Rankings(
        first_match=np.concatenate([block.first_match for block in blocks]),
        trapezoid_ap=np.concatenate([block.trapezoid_ap for block in blocks]),
        step_ap=np.concatenate([block.step_ap for block in blocks]),
        valid=np.concatenate([block.valid for block in blocks]),
    )


def _rank_block(
    similarities: NDArray[np.floating],
    same_person: NDArray[np.bool_],
    same_camera: NDArray[np.bool_],
    nobody: NDArray[np.bool_],
) -> _Rankings:
    """The first three are (Q, G), `nobody` (G,)."""
    junk = nobody | (same_person & same_camera)
    # Junk sorts behind everything else, where it changes nobody's rank.
    order = np.argsort(np.where(junk, np.inf, -similarities), axis=1, kind="stable")
    hits = np.take_along_axis(same_person & ~junk, order, axis=1)
    found = np.cumsum(hits, axis=1)  # (Q, G)
    ranks = np.arange(1, nobody.size + 1, dtype=np.int64)
    precision = found / ranks
    # The trapezoid also takes the precision just before each hit, by definition 1 before the first.
    precision_before = np.ones_like(precision)
    precision_before[:, 1:] = (found[:, 1:] - hits[:, 1:]) / ranks[:-1]
    matches = hits.sum(axis=1)
    divisor = np.maximum(matches, 1)
    return _Rankings(
        first_match=np.argmax(hits, axis=1),
        trapezoid_ap=(hits * (precision + precision_before) / 2).sum(axis=1) / divisor,
        step_ap=(hits * precision).sum(axis=1) / divisor,
        valid=matches > 0,
    )


def _scores(
    rankings: _Rankings, average_precision: NDArray[np.float64], counted: NDArray[np.bool_]
) -> RetrievalScores:
    def found_within(rank: int) -> float:
        return float((rankings.valid & (rankings.first_match < rank))[counted].mean())

    return RetrievalScores(
        rank_1=found_within(1),
        rank_5=found_within(5),
        rank_10=found_within(10),
        mAP=float(average_precision[counted].mean()),
    )


def _unit_rows(embeddings: NDArray[np.floating]) -> NDArray[np.floating]:
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings / np.maximum(lengths, np.finfo(embeddings.dtype).tiny)
