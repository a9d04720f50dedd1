"""CMC, mAP and mINP of person retrieval under the two conventions in use.

The conventions differ in two things: DG-Net's evaluation averages over all queries with the
trapezoid AP of the Market-1501 code, torchreid's over the queries that have a match with the step
AP. *Distractors* have ids that no query has and count as wrong. What is junk and how ranks come
about is in `ranking`; docs/evaluation.md has the formulas.

Q queries, M matches of all queries together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dgnet.arrays import Bools, Doubles, Integers
from dgnet.model.evaluation.retrieval.ranking import Rankings, rank_matches
from dgnet.model.evaluation.retrieval.retrieval_set import RetrievalSet
from dgnet.model.evaluation.retrieval.similarity import CosineSimilarity, Similarity


@dataclass(frozen=True, kw_only=True)
class RetrievalScores:
    """Shares in 0..1. rank_k: queries with a match among their first k."""

    rank_1: float
    rank_5: float
    rank_10: float
    mAP: float


@dataclass(frozen=True, kw_only=True)
class RetrievalResult:
    """Scores of one ranking under each convention.

    `mINP` is the mean inverse negative penalty over the valid queries (Ye et al., 2021);
    `chance_rank_1` the rank-1 over them that a random order would be expected to reach.
    """

    queries: int
    valid_queries: int
    dgnet_convention: RetrievalScores
    valid_queries_trapezoid: RetrievalScores
    torchreid_convention: RetrievalScores
    mINP: float
    chance_rank_1: float


def evaluate_retrieval(
    query: RetrievalSet, gallery: RetrievalSet, similarity: Similarity | None = None
) -> RetrievalResult:
    """Ranks the gallery for every query, by cosine on the CPU unless similarities are given."""
    return score_rankings(
        rank_matches(
            similarity or CosineSimilarity(query.embeddings, gallery.embeddings), query, gallery
        )
    )


def score_rankings(rankings: Rankings) -> RetrievalResult:
    """Every score of one ranking."""
    matches = rankings.matches  # (Q,)
    valid = matches > 0
    if not valid.any():
        raise ValueError(
            f"none of the {len(valid)} queries has a match in the gallery; expected pictures of "
            "the same persons under other cameras"
        )
    first = np.cumsum(matches) - matches  # (Q,): where a query's matches begin
    first_match = np.full(len(matches), np.iinfo(np.int64).max)
    first_match[valid] = rankings.ranks[first[valid]]
    last_match = rankings.ranks[(first + matches)[valid] - 1]
    trapezoid, step = _average_precisions(rankings, first, matches)
    everyone = np.ones_like(valid)
    return RetrievalResult(
        queries=len(valid),
        valid_queries=int(valid.sum()),
        dgnet_convention=_scores(first_match, trapezoid, everyone),
        valid_queries_trapezoid=_scores(first_match, trapezoid, valid),
        torchreid_convention=_scores(first_match, step, valid),
        mINP=float((matches[valid] / (last_match + 1)).mean()),
        chance_rank_1=float((matches[valid] / rankings.ranked[valid]).mean()),
    )


def _average_precisions(
    rankings: Rankings, first: Integers, matches: Integers
) -> tuple[Doubles, Doubles]:
    """Trapezoid and step AP of each query (Q,); 0 where it has no match."""
    ranks, rows = rankings.ranks, rankings.query_rows
    found = np.arange(len(ranks)) - first[rows] + 1  # (M,): matches up to and with this one
    precision = found / (ranks + 1)
    # The trapezoid also takes the precision just before each match, by definition 1 at the top.
    precision_before = np.where(ranks == 0, 1.0, (found - 1) / np.maximum(ranks, 1))

    def averaged(values: Doubles) -> Doubles:
        return np.bincount(rows, weights=values, minlength=len(matches)) / np.maximum(matches, 1)

    return averaged((precision + precision_before) / 2), averaged(precision)


def _scores(first_match: Integers, average_precision: Doubles, counted: Bools) -> RetrievalScores:
    def found_within(rank: int) -> float:
        return float((first_match < rank)[counted].mean())

    return RetrievalScores(
        rank_1=found_within(1),
        rank_5=found_within(5),
        rank_10=found_within(10),
        mAP=float(average_precision[counted].mean()),
    )
