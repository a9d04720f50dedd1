"""Finds, before ranking, what would make every retrieval figure zero or meaningless, and says why.

What cannot give a figure raises `PreflightError`; what can, but probably not the one that was
meant, is a warning.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from dgnet.arrays import Embeddings
from dgnet.model.data.picture import NO_CAMERA, Picture
from dgnet.model.evaluation.retrieval.retrieval_set import row_lengths, unit_rows
from dgnet.model.evaluation.retrieval.scores import RetrievalResult

# Pictures whose embeddings are compared with each other.
_SAMPLE = 512
# Mean cosine between pictures of all sorts of people.
_SUSPICIOUS_COSINE = 0.98
# 1 - cosine that float32 cannot tell from 0.
_NO_DIFFERENCE = 1e-6
_LENGTH_TOLERANCE = 0.01
_SHOWN_IDS = 5


class PreflightError(ValueError):
    """No figure can come out of this; the message says what arrived and what to do."""


def searching(query: Sequence[Picture]) -> tuple[list[Picture], list[str]]:
    """The queries that show a person, and warnings: a distractor is nobody's picture, so that a
    query of the same number would find other nobodies.
    """
    people = [picture for picture in query if picture.shows_a_person]
    left = len(query) - len(people)
    if not left:
        return people, []
    message = (
        f"{left} of {len(query)} queries are of junk or distractors (person -1 or 0), for whom "
        "nobody searches"
    )
    advice = "if persons are numbered from 0, give --distractors none"
    if not people:
        raise PreflightError(f"{message}: nobody is left to search for; {advice}")
    return people, [f"{message}: they are left out; {advice}"]


def check_people(query: Sequence[Picture], gallery: Sequence[Picture]) -> list[str]:
    """Is there anything to be found? Returns warnings."""
    if not query or not gallery:
        raise PreflightError(
            f"{len(query)} query and {len(gallery)} gallery pictures; expected at least one of each"
        )
    cameras: dict[int, set[int]] = {}
    for picture in gallery:
        if not picture.is_junk:
            cameras.setdefault(picture.person_id, set()).add(picture.camera_id)
    if not any(picture.person_id in cameras for picture in query):
        raise PreflightError(
            f"no person of the query folder is in the gallery: query has {_persons(query)}, "
            f"gallery has {_persons(gallery)}; expected the same persons under other cameras: are "
            "these folders of one data set, and does --layout or --pattern read the ids right?"
        )
    matched = [
        picture
        for picture in query
        if (picture.camera_id == NO_CAMERA and picture.person_id in cameras)
        or cameras.get(picture.person_id, set()) - {picture.camera_id}
    ]
    if not matched:
        seen = sorted({picture.camera_id for picture in (*query, *gallery)})
        raise PreflightError(
            "every gallery picture of a query's person is under the query's own camera, where it "
            f"counts as junk (cameras read: {_some(seen)}); expected the same persons under other "
            "cameras: does --layout or --pattern read the cameras right?"
        )
    warnings: list[str] = []
    if len(matched) < len(query):
        warnings.append(
            f"{len(query) - len(matched)} of {len(query)} queries have no match under another "
            "camera: averages over all queries count them as 0"
        )
    if both := {picture.path for picture in query} & {picture.path for picture in gallery}:
        warnings.append(
            f"{len(both)} files, {min(both)} among them, are query and gallery picture at once: "
            "without a camera to tell them apart they find themselves"
        )
    return warnings


def check_embeddings(embeddings: Embeddings, pictures: Sequence[Picture]) -> list[str]:
    """Can these be ranked by cosine? Returns warnings."""
    lengths = row_lengths(embeddings)  # (N,), infinite or nan where a value is
    unusable = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))
    if len(unusable):
        raise PreflightError(
            f"{len(unusable)} of {len(embeddings)} embeddings, the first of "
            f"{pictures[int(unusable[0])].path}, are zero or not finite; expected finite unit "
            "vectors: try --precision fp32, and if that does not help the checkpoint is broken"
        )
    warnings: list[str] = []
    if np.abs(lengths - 1).max() > _LENGTH_TOLERANCE:
        warnings.append(
            f"embeddings have lengths from {lengths.min():.3g} to {lengths.max():.3g}, expected 1: "
            "they are normalized for ranking, but whoever takes dot products gets other results"
        )
    cosine = _mean_cosine(embeddings)
    if 1 - cosine < _NO_DIFFERENCE:
        raise PreflightError(
            f"all embeddings are the same (mean cosine {cosine:.7f}); expected them to differ: "
            "the checkpoint is untrained or broken, or all pictures are alike"
        )
    if cosine > _SUSPICIOUS_COSINE:
        warnings.append(
            f"embeddings hardly differ (mean cosine between pictures {cosine:.4f}): is the "
            "checkpoint trained, and is it the one that was meant?"
        )
    return warnings


def check_result(result: RetrievalResult) -> list[str]:
    """Is rank-1 better than chance? Returns warnings."""
    chance, queries = result.chance_rank_1, result.valid_queries
    # Three standard deviations of as many independent draws.
    bound = chance + 3 * sqrt(chance * (1 - chance) / queries)
    rank_1 = result.torchreid_convention.rank_1
    if rank_1 > bound or bound >= 1:
        return []
    return [
        f"rank-1 of {rank_1:.1%} is what a random order reaches ({chance:.1%}): a checkpoint that "
        "is untrained or trained on something else, colors or sizes unlike its training, or ids "
        "that --layout or --pattern reads wrong"
    ]


def _mean_cosine(embeddings: Embeddings) -> float:
    """Between different pictures of a sample spread over all; 0 for a single picture."""
    count = min(_SAMPLE, len(embeddings))
    if count < 2:
        return 0.0
    sample = unit_rows(
        embeddings[np.linspace(0, len(embeddings) - 1, count).astype(int)].astype(np.float64)
    )
    return float((np.square(sample.sum(axis=0)).sum() - count) / (count * (count - 1)))


def _persons(pictures: Sequence[Picture]) -> str:
    return "persons " + _some(sorted({picture.person_id for picture in pictures}))


def _some(ids: Sequence[int]) -> str:
    shown = ", ".join(str(number) for number in ids[:_SHOWN_IDS])
    return shown if len(ids) <= _SHOWN_IDS else f"{shown}, ... ({len(ids)} of them)"
