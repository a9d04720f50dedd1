"""Measures a checkpoint on people it never saw: composites and retrieval in one report.

(a) whose clothes does the composite's embedding see, (b) do its edges follow the structure picture,
(c) how far is it from the true picture where that is known, (d) how well does the embedding find
people again, (e) how sharp is it and how different from the true picture does it look, (f) what
does a judge say that had no part in making it. Pairs and comparison pictures are drawn from a seed,
so a report repeats. Looking at the pictures is left to `dgnet.model.evaluation.sheets`.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dgnet.arrays import Bools, Doubles, Pixels
from dgnet.markdown import aligned_table
from dgnet.model.data.market1501 import GALLERY_SPLIT, QUERY_SPLIT, Picture, read_split
from dgnet.model.data.triples import read_triples
from dgnet.model.evaluation.composites.imagenet_distance import ImageNetDistance
from dgnet.model.evaluation.composites.judged import (
    JudgedGallery,
    JudgeReport,
    PairJudging,
    TripleJudging,
)
from dgnet.model.evaluation.composites.measures import gray_ssim, nearer_to_appearance
from dgnet.model.evaluation.composites.pairs import draw_pairs
from dgnet.model.evaluation.composites.sharpness import Sharpness, SharpnessTally
from dgnet.model.evaluation.composites.truth import TruthErrors, TruthTally
from dgnet.model.evaluation.pictures import batches, decode_pictures
from dgnet.model.evaluation.retrieval.embedding import Embedder, embed_pictures, labeled
from dgnet.model.evaluation.retrieval.preflight import searching
from dgnet.model.evaluation.retrieval.retrieval_set import RetrievalSet
from dgnet.model.evaluation.retrieval.scores import RetrievalResult, evaluate_retrieval
from dgnet.model.judge.judge import Judge
from dgnet.model.predictor import rows_named
from dgnet.paths import local_path

# What hears of every batch of composites: of pairs the composite, appearance and structure
# pictures, of triples also the true pictures.
ObservePairs = Callable[[Pixels, Pixels, Pixels], None]
ObserveTriples = Callable[[Pixels, Pixels, Pixels, Pixels], None]


class Swapper(Embedder, Protocol):
    """What evaluation asks of a model. Pictures are uint8 (B, height, width, 3), RGB."""

    def swap(self, appearance_images: Pixels, structure_images: Pixels) -> Pixels:
        """Row by row: the appearance of the first and the structure of the second."""
        ...


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How a checkpoint is measured."""

    pairs: int = 500
    """Random cross-identity pairs for (a) and (b); 500 keep the error of a share near 1 %."""

    seed: int = 0
    batch_size: int = 32

    def __post_init__(self) -> None:
        if self.pairs < 1 or self.batch_size < 1 or self.seed < 0:
            raise ValueError(f"{self}: pairs and batch_size start at 1, seed at 0")


@dataclass(frozen=True, kw_only=True)
class SwapScores:
    """(a) and (b) over random cross-identity pairs.

    `nearer_to_appearance`: share of pairs, 0..1. `ssim_structure` and `ssim_other`: mean SSIM of
    the gray composite with its structure picture and with a random picture of anybody else;
    `ssim_margin` is the difference.
    """

    pairs: int
    nearer_to_appearance: float
    ssim_structure: float
    ssim_other: float
    ssim_margin: float


@dataclass(frozen=True, kw_only=True)
class LooksDistance:
    """Mean distance of ImageNet features to the true pictures (`imagenet_distance`)."""

    composite: float
    copy_of_structure: float
    copy_of_appearance: float


@dataclass(frozen=True, kw_only=True)
class TruthScores:
    """(c) and (e) over the true triples, and what two ways of doing nothing would score."""

    triples: int
    composite: TruthErrors
    copy_of_structure: TruthErrors
    copy_of_appearance: TruthErrors
    sharpness: Sharpness
    """Of the composites."""
    imagenet_distance: LooksDistance | None = None
    """None where nobody asked, or the weights are not there."""


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """All figures of one checkpoint with the settings that made them."""

    config: EvaluationConfig
    swaps: SwapScores
    truth: TruthScores | None
    """None where no true composites are known."""
    retrieval: RetrievalResult
    judge: JudgeReport | None = None
    """None where none was asked."""

    def to_json(self) -> dict[str, Any]:
        """Nested dictionaries of numbers."""
        return asdict(self)

    def to_table(self) -> str:
        """A Markdown table: measure, figure, and the goal of the shipped weights."""
        swaps, retrieval = self.swaps, self.retrieval
        rows = [
            (
                f"(a) nearer to the appearance picture, {swaps.pairs} pairs",
                f"{swaps.nearer_to_appearance:.1%}",
                "≥ 95 %",
            ),
            (
                "(b) SSIM to the structure picture minus to a random other",
                f"{swaps.ssim_margin:.3f} ({swaps.ssim_structure:.3f} - {swaps.ssim_other:.3f})",
                "≥ 0.2",
            ),
            *([] if self.truth is None else _truth_rows(self.truth)),
            *(
                (
                    f"(d) rank-1 / mAP, {name}",
                    f"{scores.rank_1:.1%} / {scores.mAP:.1%}",
                    "reported",
                )
                for name, scores in (
                    ("all queries, trapezoid AP", retrieval.dgnet_convention),
                    ("valid queries, step AP", retrieval.torchreid_convention),
                )
            ),
            *([] if self.truth is None else _looks_rows(self.truth)),
            *([] if self.judge is None else self.judge.rows()),
        ]
        return aligned_table([("measure", "figure", "goal"), *rows])


def evaluate_checkpoint(
    predictor: Swapper,
    people_dir: str | Path,
    truth_dir: str | Path | None,
    config: EvaluationConfig | None = None,
    *,
    judge: Judge | None = None,
    imagenet_distance: ImageNetDistance | None = None,
) -> EvaluationReport:
    """Measures on `query` and `bounding_box_test` of people_dir and the triples of truth_dir.

    Without `truth_dir` the report leaves (c) and (e) out, without a judge (f).
    """
    config = config or EvaluationConfig()
    people_dir = local_path(people_dir)
    query = read_split(people_dir / QUERY_SPLIT)
    gallery = read_split(people_dir / GALLERY_SPLIT)
    people = [picture for picture in query + gallery if picture.shows_a_person]
    pairs = None if judge is None else PairJudging(judge)
    triples = None if judge is None else TripleJudging(judge)
    swaps = score_swaps(predictor, people, config, observe=None if pairs is None else pairs.add)
    truth = None
    if truth_dir is not None:
        observe = None if triples is None else triples.add
        truth = score_truth(predictor, truth_dir, config, imagenet_distance, observe=observe)
    report = EvaluationReport(
        config=config,
        swaps=swaps,
        truth=truth,
        retrieval=score_retrieval(predictor, query, gallery, config),
    )
    if judge is None or pairs is None or triples is None:
        return report
    judged_gallery = JudgedGallery(judge, gallery, predictor)
    appearances, _, _ = draw_pairs(people, config.pairs, config.seed)
    persons = [] if truth_dir is None else read_triples(truth_dir)
    return replace(
        report,
        judge=JudgeReport(
            name=judge.name,
            version=judge.version,
            retrieval=score_retrieval(judge, query, gallery, config),
            pairs=pairs.judged([people[int(row)] for row in appearances], judged_gallery),
            triples=triples.judged([t.appearance_person_id for t in persons], judged_gallery)
            if persons
            else None,
        ),
    )


def score_swaps(
    predictor: Swapper,
    pictures: Sequence[Picture],
    config: EvaluationConfig,
    *,
    observe: ObservePairs | None = None,
) -> SwapScores:
    """(a) and (b); junk and distractors take no part."""
    people = [picture for picture in pictures if not picture.is_junk and not picture.is_distractor]
    appearances, structures, others = draw_pairs(people, config.pairs, config.seed)
    nearer: list[Bools] = []
    to_structure: list[Doubles] = []
    to_other: list[Doubles] = []
    for batch in batches(config.pairs, config.batch_size):
        appearance, structure, other = (
            decode_pictures([people[int(row)].path for row in rows[batch]], predictor)
            for rows in (appearances, structures, others)
        )
        worn = [people[int(row)].path for row in appearances[batch]]
        posed = [people[int(row)].path for row in structures[batch]]
        composite = _swapped(predictor, appearance, structure, worn, posed)
        if observe:
            observe(composite, appearance, structure)
        nearer.append(
            nearer_to_appearance(
                predictor.embed(composite), predictor.embed(appearance), predictor.embed(structure)
            )
        )
        to_structure.append(gray_ssim(composite, structure))
        to_other.append(gray_ssim(composite, other))
    ssim_structure = float(np.concatenate(to_structure).mean())
    ssim_other = float(np.concatenate(to_other).mean())
    return SwapScores(
        pairs=config.pairs,
        nearer_to_appearance=float(np.concatenate(nearer).mean()),
        ssim_structure=ssim_structure,
        ssim_other=ssim_other,
        ssim_margin=ssim_structure - ssim_other,
    )


def score_truth(
    predictor: Swapper,
    truth_dir: str | Path,
    config: EvaluationConfig,
    imagenet_distance: ImageNetDistance | None = None,
    *,
    observe: ObserveTriples | None = None,
) -> TruthScores:
    """(c) and (e) over every triple of a folder."""
    triples = read_triples(truth_dir)
    made, structures, appearances = TruthTally(), TruthTally(), TruthTally()
    sharpness = SharpnessTally()
    distances: list[Doubles] = []  # (3, B): composite, structure, appearance
    for batch in batches(len(triples), config.batch_size):
        appearance, structure, truth = (
            decode_pictures(paths, predictor)
            for paths in zip(
                *((triple.appearance, triple.structure, triple.truth) for triple in triples[batch]),
                strict=True,
            )
        )
        worn = [triple.appearance for triple in triples[batch]]
        posed = [triple.structure for triple in triples[batch]]
        composite = _swapped(predictor, appearance, structure, worn, posed)
        if observe:
            observe(composite, appearance, structure, truth)
        made.add(composite, structure, truth)
        structures.add(structure, structure, truth)
        appearances.add(appearance, structure, truth)
        sharpness.add(composite, structure, truth)
        if imagenet_distance:
            shown = (composite, structure, appearance)
            distances.append(np.stack([imagenet_distance(one, truth) for one in shown]))
    return TruthScores(
        triples=len(triples),
        composite=made.errors(),
        copy_of_structure=structures.errors(),
        copy_of_appearance=appearances.errors(),
        sharpness=sharpness.sharpness(),
        imagenet_distance=_looks_distance(distances),
    )


def _looks_distance(distances: Sequence[Doubles]) -> LooksDistance | None:
    if not distances:
        return None
    composite, structure, appearance = np.concatenate(distances, axis=1).mean(axis=1).tolist()
    return LooksDistance(
        composite=composite, copy_of_structure=structure, copy_of_appearance=appearance
    )


def _swapped(
    predictor: Swapper,
    appearance: Pixels,
    structure: Pixels,
    worn: Sequence[Path],
    posed: Sequence[Path],
) -> Pixels:
    """Composites; one that is no picture is named by those that it was to be made of."""
    with rows_named(lambda: [f"{a} on {s}" for a, s in zip(worn, posed, strict=True)]):
        return predictor.swap(appearance, structure)


def score_retrieval(
    embedder: Embedder,
    query: Sequence[Picture],
    gallery: Sequence[Picture],
    config: EvaluationConfig,
) -> RetrievalResult:
    """(d) rank-1 and mAP of the embedding under both conventions."""

    def embedded(pictures: Sequence[Picture]) -> RetrievalSet:
        return labeled(pictures, embed_pictures(embedder, pictures, batch_size=config.batch_size))

    return evaluate_retrieval(embedded(searching(query)[0]), embedded(gallery))


def _truth_rows(truth: TruthScores) -> list[tuple[str, str, str]]:
    references = (("structure", truth.copy_of_structure), ("appearance", truth.copy_of_appearance))
    return [
        (
            f"(c) changed region, ratio, {truth.triples} triples",
            f"{truth.composite.changed_ratio:.3f}",
            "≤ 0.6, aim 0.35",
        ),
        ("(c) outside of it, levels", f"{truth.composite.outside_error:.2f}", "≤ 16, aim 6"),
        *(
            (
                f"(c) for a copy of the {name} picture: ratio, outside",
                f"{errors.changed_ratio:.3f}, {errors.outside_error:.2f}",
                "reference",
            )
            for name, errors in references
        ),
    ]


def _looks_rows(truth: TruthScores) -> list[tuple[str, str, str]]:
    inside, outside = truth.sharpness.inside, truth.sharpness.outside
    rows = [
        (
            "(e) sharpness inside / outside of the changed region",
            f"{_share(inside)} / {_share(outside)}",
            "the truth: 1",
        )
    ]
    if (distance := truth.imagenet_distance) is not None:
        rows.append(
            (
                "(e) distance of ImageNet features to the truth (no LPIPS)",
                f"{distance.composite:.3f}",
                f"copies: structure {distance.copy_of_structure:.3f}, appearance "
                f"{distance.copy_of_appearance:.3f}",
            )
        )
    return rows


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
