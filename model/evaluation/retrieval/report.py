"""How well a checkpoint finds people again in a data set: embed, check, rank, report.

Each step has its own module; here they are put in order. Reading the data set, drawing rankings and
writing files are left to the caller.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from dgnet.arrays import Embeddings
from dgnet.markdown import aligned_table
from dgnet.model.data.layouts import DataSet
from dgnet.model.data.picture import Picture
from dgnet.model.evaluation.retrieval.embedding import labeled
from dgnet.model.evaluation.retrieval.fine_weight import with_fine_weight
from dgnet.model.evaluation.retrieval.multi_query import pooled_queries
from dgnet.model.evaluation.retrieval.preflight import (
    check_embeddings,
    check_people,
    check_result,
    searching,
)
from dgnet.model.evaluation.retrieval.ranking import Rankings, rank_matches
from dgnet.model.evaluation.retrieval.reranking import RerankedSimilarity, Reranking
from dgnet.model.evaluation.retrieval.retrieval_set import RetrievalSet
from dgnet.model.evaluation.retrieval.scores import RetrievalResult, score_rankings
from dgnet.model.evaluation.retrieval.similarity import CosineSimilarity, Similarity

Embed = Callable[[Sequence[Picture], str], Embeddings]
"""Embeddings (N, D) of pictures; the text says which pictures, for a progress bar."""


@dataclass(frozen=True, kw_only=True)
class RetrievalConfig:
    """What is ranked, and by what."""

    multi_query: bool = False
    """A query is all `multi_query` pictures of its person under its camera."""
    rerank: Reranking | None = None
    fine_weight: float | None = None
    """Weight of the embedding's fine half; None leaves embeddings as the model makes them."""


@dataclass(frozen=True, kw_only=True)
class RetrievalData:
    """What was searched. `persons` are those of the queries."""

    name: str
    layout: str
    query: int
    gallery: int
    persons: int
    distractors: int
    junk: int
    has_cameras: bool


@dataclass(frozen=True, kw_only=True)
class RetrievalReport:
    """All figures of one checkpoint on one data set with the settings that made them."""

    data: RetrievalData
    config: RetrievalConfig
    result: RetrievalResult
    warnings: tuple[str, ...]
    ranking_seconds: float
    """Re-ranking included, embedding not."""

    def to_json(self) -> dict[str, Any]:
        """Nested dictionaries of numbers."""
        return asdict(self)

    def to_table(self) -> str:
        """A Markdown table of the scores under each convention."""
        result = self.result
        everyone, valid = f"all {result.queries} queries", f"{result.valid_queries} with a match"
        rows = [
            (counted, ap, *(f"{share:.2%}" for share in asdict(scores).values()))
            for counted, ap, scores in (
                (everyone, "trapezoid (DG-Net)", result.dgnet_convention),
                (valid, "trapezoid", result.valid_queries_trapezoid),
                (valid, "step (torchreid)", result.torchreid_convention),
            )
        ]
        head = ("averaged over", "AP", "rank-1", "rank-5", "rank-10", "mAP")
        return (
            aligned_table([head, *rows])
            + f"\n\nmINP {result.mINP:.2%}; rank-1 by chance {result.chance_rank_1:.2%}"
        )


@dataclass(frozen=True, kw_only=True)
class MeasuredRetrieval:
    """The report with the rankings behind it, to be drawn."""

    dataset: DataSet
    """With the queries that were searched for."""
    report: RetrievalReport
    similarity: Similarity
    query: RetrievalSet
    gallery: RetrievalSet
    rankings: Rankings


def measure_retrieval(
    dataset: DataSet, embed: Embed, config: RetrievalConfig, device: torch.device
) -> MeasuredRetrieval:
    """Searches the gallery of a data set for every query, ranking on a device.

    Raises DatasetError for a split that is missing and PreflightError for what no figure can come
    out of.
    """
    query_pictures, left_out = searching(dataset.split("query"))
    gallery_pictures = dataset.split("gallery")
    pooled_pictures = dataset.split("multi_query") if config.multi_query else ()
    dataset = replace(dataset, query=tuple(query_pictures))
    warnings = [*dataset.warnings, *left_out, *check_people(query_pictures, gallery_pictures)]

    def embedded(pictures: Sequence[Picture], title: str) -> RetrievalSet:
        embeddings = embed(pictures, title)
        warnings.extend(f"{title}: {line}" for line in check_embeddings(embeddings, pictures))
        if config.fine_weight is None:
            return labeled(pictures, embeddings)
        return labeled(pictures, with_fine_weight(embeddings, config.fine_weight))

    query = embedded(query_pictures, "query")
    gallery = embedded(gallery_pictures, "gallery")
    if config.multi_query:
        query, alone = pooled_queries(query, embedded(pooled_pictures, "multi_query"))
        if alone:
            warnings.append(
                f"{alone} of {len(query)} queries have no multi_query picture of their person and "
                "camera: they search alone"
            )
    start = time.perf_counter()
    similarity = (
        CosineSimilarity(query.embeddings, gallery.embeddings, device)
        if config.rerank is None
        else RerankedSimilarity(query.embeddings, gallery.embeddings, config.rerank, device)
    )
    rankings = rank_matches(similarity, query, gallery)
    result = score_rankings(rankings)
    seconds = time.perf_counter() - start
    return MeasuredRetrieval(
        dataset=dataset,
        report=RetrievalReport(
            data=_described(dataset),
            config=config,
            result=result,
            warnings=(*warnings, *check_result(result)),
            ranking_seconds=seconds,
        ),
        similarity=similarity,
        query=query,
        gallery=gallery,
        rankings=rankings,
    )


def _described(dataset: DataSet) -> RetrievalData:
    return RetrievalData(
        name=dataset.root.resolve().name,
        layout=dataset.layout,
        query=len(dataset.query),
        gallery=len(dataset.gallery),
        persons=len({picture.person_id for picture in dataset.query}),
        distractors=sum(picture.is_distractor for picture in dataset.gallery),
        junk=sum(picture.is_junk for picture in dataset.gallery),
        has_cameras=dataset.has_cameras,
    )
