"""What a judge that had no part in it says of composites: whose clothes, how near to the truth.

The product's own embedding is asked elsewhere (`composites`); composites were trained to please it.
The judge sees every picture at the size of the composites, so that a real picture has no advantage
of detail. Beside each figure stands what real pictures get.

B triples or pairs; D embedding values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgnet.arrays import Bools, Embeddings, Pixels
from dgnet.model.data.picture import NO_CAMERA, DatasetError, Picture
from dgnet.model.evaluation.composites.measures import nearer_to_appearance
from dgnet.model.evaluation.pictures import PictureSize, batches, decode_pictures
from dgnet.model.evaluation.retrieval.ranking import rank_matches
from dgnet.model.evaluation.retrieval.retrieval_set import RetrievalSet
from dgnet.model.evaluation.retrieval.scores import RetrievalResult
from dgnet.model.evaluation.retrieval.similarity import CosineSimilarity
from dgnet.model.judge.judge import Judge

_BATCH = 32

TRUSTWORTHY_RANK_1 = 0.85
"""A judge that finds fewer people again has little to say about composites of them."""


@dataclass(frozen=True, kw_only=True)
class FoundPeople:
    """Where pictures find the person of the appearance in the gallery, by the judge's embedding.

    `queries`: those whose person is there. `rank_1`: share that has it first; `median_rank` of the
    best picture of that person, counted from 1.
    """

    queries: int
    rank_1: float
    median_rank: float


@dataclass(frozen=True, kw_only=True)
class JudgedPairs:
    """Over the random pairs: composites, and beside them their appearance pictures as queries.

    What the appearance picture's own camera took of that person is left out for both.
    """

    pairs: int
    nearer_to_appearance: float
    found: FoundPeople
    appearance_found: FoundPeople


@dataclass(frozen=True, kw_only=True)
class JudgedTriples:
    """Over the true triples: composites, and beside them the true pictures and both copies.

    `cosine_to_truth` is the mean; `structure_cosine` and `appearance_cosine` what copies of either
    input would get. `found` is None where no person of the triples is in the gallery.
    """

    triples: int
    nearer_to_appearance: float
    truth_nearer_to_appearance: float
    cosine_to_truth: float
    structure_cosine: float
    appearance_cosine: float
    found: FoundPeople | None
    truth_found: FoundPeople | None


@dataclass(frozen=True, kw_only=True)
class JudgeReport:
    """What one judge says, and how well it finds the same people itself."""

    name: str
    version: str
    retrieval: RetrievalResult
    pairs: JudgedPairs
    triples: JudgedTriples | None

    def doubt(self) -> str | None:
        """Why its opinion is worth little, where it hardly knows the people that it judges."""
        rank_1 = self.retrieval.dgnet_convention.rank_1
        if rank_1 >= TRUSTWORTHY_RANK_1:
            return None
        return (
            f"the judge {self.name} itself finds {rank_1:.1%} of these people again (rank-1); "
            f"expected at least {TRUSTWORTHY_RANK_1:.0%} for an opinion that means something"
        )

    def rows(self) -> list[tuple[str, str, str]]:
        """Rows of the report's table: measure, figure, and what real pictures get."""
        own, pairs = self.retrieval.dgnet_convention, self.pairs
        rows = [
            (
                f"(f) judge {self.name} ({self.version}): its own rank-1 / mAP",
                f"{own.rank_1:.1%} / {own.mAP:.1%}",
                f"rank-1 ≥ {TRUSTWORTHY_RANK_1:.0%}",
            ),
            (
                f"(f) judge: nearer to the appearance picture, {pairs.pairs} pairs",
                f"{pairs.nearer_to_appearance:.1%}",
                "reported",
            ),
            _found_row(f"{pairs.pairs} pairs", pairs.found, pairs.appearance_found, "appearances"),
        ]
        triples = self.triples
        if triples is None:
            return rows
        rows += [
            (
                f"(f) judge: nearer to the appearance picture, {triples.triples} triples",
                f"{triples.nearer_to_appearance:.1%}",
                f"true pictures {triples.truth_nearer_to_appearance:.1%}",
            ),
            (
                "(f) judge: mean cosine to the true picture",
                f"{triples.cosine_to_truth:.3f}",
                f"copies: structure {triples.structure_cosine:.3f}, appearance "
                f"{triples.appearance_cosine:.3f}",
            ),
        ]
        if triples.found is not None and triples.truth_found is not None:
            count = f"{triples.found.queries} triples"
            rows.append(_found_row(count, triples.found, triples.truth_found, "true pictures"))
        return rows


class JudgedGallery:
    """The gallery in the judge's embedding, and where queries find their person in it."""

    def __init__(self, judge: Judge, pictures: Sequence[Picture], size: PictureSize) -> None:
        """`size` is that of the composites."""
        self._pictures = RetrievalSet(
            embeddings=np.concatenate(
                [
                    judge.embed(decode_pictures([p.path for p in pictures[rows]], size))
                    for rows in batches(len(pictures), _BATCH)
                ]
            ),
            person_ids=np.array([picture.person_id for picture in pictures]),
            camera_ids=np.array([picture.camera_id for picture in pictures]),
        )

    def find(
        self, embeddings: Embeddings, persons: NDArray[np.integer], cameras: NDArray[np.integer]
    ) -> FoundPeople | None:
        """None where nobody is there. Pictures of the person under its camera do not count."""
        query = RetrievalSet(embeddings=embeddings, person_ids=persons, camera_ids=cameras)
        ranked = rank_matches(
            CosineSimilarity(embeddings, self._pictures.embeddings), query, self._pictures
        )
        # Sorted by query, then by rank: the first row of each query is its best match.
        _, firsts = np.unique(ranked.query_rows, return_index=True)
        best = ranked.ranks[firsts]
        if not len(best):
            return None
        return FoundPeople(
            queries=len(best),
            rank_1=float((best == 0).mean()),
            median_rank=float(np.median(best)) + 1,
        )


class PairJudging:
    """Hears of composites of random pairs, a batch at a time."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._embedded = _Rows()
        self._nearer: list[Bools] = []

    def add(self, composite: Pixels, appearance: Pixels, structure: Pixels) -> None:
        """Composites of some pairs of pictures."""
        made, worn, posed = (
            self._judge.embed(pictures) for pictures in (composite, appearance, structure)
        )
        self._embedded.add(made, worn)
        self._nearer.append(nearer_to_appearance(made, worn, posed))

    def judged(self, appearances: Sequence[Picture], gallery: JudgedGallery) -> JudgedPairs:
        """The figures of all pairs so far, whose appearance pictures these are."""
        composite, appearance = self._embedded.columns()
        nearer = np.concatenate(self._nearer)
        persons = np.array([picture.person_id for picture in appearances])
        cameras = np.array([picture.camera_id for picture in appearances])
        found, real = (gallery.find(rows, persons, cameras) for rows in (composite, appearance))
        if found is None or real is None:
            raise DatasetError(
                "nobody of the random pairs is in the gallery under another camera; expected "
                "people that are in query and gallery"
            )
        return JudgedPairs(
            pairs=len(nearer),
            nearer_to_appearance=float(nearer.mean()),
            found=found,
            appearance_found=real,
        )


class TripleJudging:
    """Hears of composites of true triples, a batch at a time."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._embedded = _Rows()

    def add(self, composite: Pixels, appearance: Pixels, structure: Pixels, truth: Pixels) -> None:
        """Composites of some triples beside their pictures."""
        self._embedded.add(
            *(self._judge.embed(pictures) for pictures in (composite, appearance, structure, truth))
        )

    def judged(self, persons: Sequence[int], gallery: JudgedGallery) -> JudgedTriples:
        """The figures of all triples so far, whose appearances are these persons'."""
        composite, appearance, structure, truth = self._embedded.columns()
        # Triples do not tell their cameras, and no picture of them is in the gallery.
        ids, cameras = np.array(persons), np.full(len(persons), NO_CAMERA)

        def cosine(embeddings: Embeddings) -> float:
            return float((embeddings * truth).sum(axis=1, dtype=np.float64).mean())

        return JudgedTriples(
            triples=len(truth),
            nearer_to_appearance=float(
                nearer_to_appearance(composite, appearance, structure).mean()
            ),
            truth_nearer_to_appearance=float(
                nearer_to_appearance(truth, appearance, structure).mean()
            ),
            cosine_to_truth=cosine(composite),
            structure_cosine=cosine(structure),
            appearance_cosine=cosine(appearance),
            found=gallery.find(composite, ids, cameras),
            truth_found=gallery.find(truth, ids, cameras),
        )


class _Rows:
    """Columns of embeddings that grow by a batch at a time."""

    def __init__(self) -> None:
        self._batches: list[tuple[Embeddings, ...]] = []

    def add(self, *columns: Embeddings) -> None:
        self._batches.append(columns)

    def columns(self) -> tuple[Embeddings, ...]:
        return tuple(np.concatenate(parts) for parts in zip(*self._batches, strict=True))


def _found_row(
    count: str, found: FoundPeople, real: FoundPeople, others: str
) -> tuple[str, str, str]:
    return (
        f"(f) judge: appearance's person in the gallery, rank-1 and median rank, {count}",
        f"{found.rank_1:.1%}, {found.median_rank:g}",
        f"{others} {real.rank_1:.1%}, {real.median_rank:g}",
    )
