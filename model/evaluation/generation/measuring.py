"""How good composites are as a set, each figure beside the one that real pictures get.

Composites of random pairs of two persons, or of a folder, against real pictures: distance of the
two sets, diversity within a person, whose clothes the embedding sees, realism by the discriminator,
error against true pictures where there are any. Each measure has its own module; docs/evaluation.md
defines the figures. Reading data sets and finding weights are left to the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dgnet.arrays import Embeddings, Integers, Pixels
from dgnet.model.data.layouts import DataSet, SplitName
from dgnet.model.data.picture import Picture
from dgnet.model.evaluation.composites.measures import gray_ssim, nearer_to_appearance
from dgnet.model.evaluation.composites.pairs import draw_pairs, draw_person_pairs, person_ids
from dgnet.model.evaluation.composites.report import (
    EvaluationConfig,
    Swapper,
    TruthScores,
    score_truth,
)
from dgnet.model.evaluation.generation.distribution import Distribution
from dgnet.model.evaluation.generation.diversity import PairMeasure
from dgnet.model.evaluation.generation.frechet import FrechetComparison, compare_with_floor
from dgnet.model.evaluation.generation.picture_set import (
    Instruments,
    MeasuredSet,
    PersonPairs,
    PictureMeasure,
    measure_set,
)
from dgnet.model.evaluation.generation.pictures import (
    drawn_pictures,
    pictured_composites,
    pictured_people,
)
from dgnet.model.evaluation.generation.report import (
    Beside,
    GenerationConfig,
    GenerationData,
    GenerationReport,
    IdentityScores,
    RealismScores,
)
from dgnet.model.evaluation.pictures import decode_pictures
from dgnet.model.evaluation.retrieval.embedding import ShowProgress
from dgnet.model.evaluation.retrieval.preflight import PreflightError, check_embeddings
from dgnet.model.predictor import rows_named

SSIM, LPIPS = "ssim", "lpips"

MadeOf = tuple[Path, Path]
"""Appearance picture and structure picture of a composite."""


@dataclass(frozen=True, kw_only=True)
class OptionalMeasures:
    """What not every checkpoint or machine has, and a sentence for each that is missing."""

    realism: PictureMeasure | None = None
    inception: PictureMeasure | None = None
    perceptual: PairMeasure | None = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PlannedComposites:
    """Composites to be made: rows (N,) of their pictures, those of one appearance's person
    together.
    """

    appearances: Integers
    structures: Integers


def measure_generation(
    dataset: DataSet,
    predictor: Swapper,
    config: GenerationConfig,
    *,
    optional: OptionalMeasures | None = None,
    split: SplitName | None = None,
    generated: DataSet | None = None,
    made_of: Mapping[Path, MadeOf] | None = None,
    truth_dir: str | Path | None = None,
    progress: ShowProgress = lambda starts, title: starts,
) -> GenerationReport:
    """Measures composites that a predictor makes, or those of the data set `generated`, of whose
    pictures `made_of` tells by path what each was made of, where that is known.

    Raises DatasetError for pictures that are missing and PreflightError for what no figure can come
    out of.
    """
    optional = optional or OptionalMeasures()
    people = pictured_people(dataset, split)
    # Twice as many, as the floor takes two sets of real pictures.
    real = drawn_pictures(people, 2 * config.composites, config.seed)
    instruments = _instruments(predictor, optional)

    def measured(pictures: Callable[[slice], Pixels], persons: Integers, title: str) -> MeasuredSet:
        rows, whose = draw_person_pairs(
            persons,
            per_person=config.pairs_per_person,
            persons_at_most=config.persons_at_most,
            seed=config.seed,
        )
        return measure_set(
            pictures,
            len(persons),
            PersonPairs(rows=rows, persons=whose),
            instruments,
            batch_size=config.batch_size,
            title=title,
            progress=progress,
        )

    plan: PlannedComposites | None = None
    parents: list[MadeOf] | None = None
    if generated is None:
        plan = plan_composites(real, config)
        persons, pictures = person_ids(real)[plan.appearances], _made(predictor, real, plan)
    else:
        ready = drawn_pictures(pictured_composites(generated), config.composites, config.seed)
        persons, pictures = person_ids(ready), _read(ready, predictor)
        parents = _parents(ready, made_of, dataset)
    truth = None if truth_dir is None else _truth(predictor, truth_dir, config)
    photographs = measured(_read(real, predictor), person_ids(real), "Real pictures")
    warnings = check_embeddings(photographs.embeddings, real)
    composites = measured(pictures, persons, "Composites")
    _require_finite(composites.embeddings)
    sources: tuple[Embeddings, Embeddings] | None = None
    if plan is not None:
        sources = (
            photographs.embeddings[plan.appearances],
            photographs.embeddings[plan.structures],
        )
    elif parents is not None:
        sources = _embedded(parents, predictor, config, progress)

    frechet = _compared(composites.embeddings, photographs.embeddings, config)
    fid = (
        None
        if composites.inception is None or photographs.inception is None
        else _compared(composites.inception, photographs.inception, config)
    )
    return GenerationReport(
        data=GenerationData(
            name=dataset.root.resolve().name,
            layout=dataset.layout,
            split=split or "query and gallery",
            persons=len({picture.person_id for picture in real}),
            real=len(real),
            real_available=len(people),
            generated=None if generated is None else generated.root.resolve().name,
            composites=len(persons),
        ),
        config=config,
        embedding_frechet=frechet,
        fid=fid,
        ssim_diversity=_beside(SSIM, composites, photographs),
        lpips_diversity=(
            None if optional.perceptual is None else _beside(LPIPS, composites, photographs)
        ),
        identity=None if sources is None else _identity(composites, photographs, *sources),
        realism=_realism(composites, photographs),
        truth=truth,
        left_out=(*optional.left_out, *([] if sources is not None else [_NO_PAIRS])),
        warnings=(
            *warnings,
            *_about_size("Fréchet distance of embeddings", frechet),
            *([] if fid is None else _about_size("FID", fid)),
        ),
    )


def plan_composites(pictures: Sequence[Picture], config: GenerationConfig) -> PlannedComposites:
    """Random pairs of pictures of two persons."""
    appearances, structures, _ = draw_pairs(pictures, config.composites, config.seed)
    order = np.argsort(person_ids(pictures)[appearances], kind="stable")
    return PlannedComposites(appearances=appearances[order], structures=structures[order])


_NO_PAIRS = (
    "identity consistency is left out: it needs the two pictures that each composite was made of, "
    "which a folder of composites does not tell; one that `dgnet generate` has made does, beside "
    "the data set that it was made of"
)


def _instruments(predictor: Swapper, optional: OptionalMeasures) -> Instruments:
    pairs: dict[str, PairMeasure] = {SSIM: lambda left, right: 1 - gray_ssim(left, right)}
    if optional.perceptual is not None:
        pairs[LPIPS] = optional.perceptual
    return Instruments(
        embed=predictor.embed,
        realism=optional.realism,
        inception=optional.inception,
        pairs=pairs,
    )


def _read(pictures: Sequence[Picture], predictor: Swapper) -> Callable[[slice], Pixels]:
    return lambda batch: decode_pictures([picture.path for picture in pictures[batch]], predictor)


def _made(
    predictor: Swapper, pictures: Sequence[Picture], plan: PlannedComposites
) -> Callable[[slice], Pixels]:
    def swapped(batch: slice) -> Pixels:
        appearance, structure = (
            decode_pictures([pictures[int(row)].path for row in rows[batch]], predictor)
            for rows in (plan.appearances, plan.structures)
        )
        with rows_named(lambda: _pairs(pictures, plan, batch)):
            return predictor.swap(appearance, structure)

    return swapped


def _pairs(pictures: Sequence[Picture], plan: PlannedComposites, batch: slice) -> list[str]:
    rows = zip(plan.appearances[batch], plan.structures[batch], strict=True)
    return [f"{pictures[int(a)].path} on {pictures[int(s)].path}" for a, s in rows]


def _compared(
    composites: Embeddings, real: Embeddings, config: GenerationConfig
) -> FrechetComparison:
    return compare_with_floor(composites, real, splits=config.splits, seed=config.seed)


def _beside(measure: str, composites: MeasuredSet, real: MeasuredSet) -> Beside:
    return Beside(composites=composites.diversity(measure), real=real.diversity(measure))


def _parents(
    composites: Sequence[Picture], made_of: Mapping[Path, MadeOf] | None, dataset: DataSet
) -> list[MadeOf] | None:
    """Of each composite; None where those of one are not known, or no pictures of the data set."""
    if made_of is None:
        return None
    known = {picture.path for pictures in dataset.splits.values() for picture in pictures}
    found = [made_of.get(picture.path) for picture in composites]
    parents = [one for one in found if one is not None and known.issuperset(one)]
    return parents if len(parents) == len(found) else None


def _embedded(
    parents: Sequence[MadeOf],
    predictor: Swapper,
    config: GenerationConfig,
    progress: ShowProgress,
) -> tuple[Embeddings, Embeddings]:
    """Embeddings (N, D) of the appearance pictures and of the structure pictures; each picture is
    embedded once.
    """
    paths = sorted({path for one in parents for path in one})
    row_of = {path: row for row, path in enumerate(paths)}
    size = config.batch_size
    found = [
        predictor.embed(decode_pictures(paths[start : start + size], predictor))
        for start in progress(range(0, len(paths), size), "Sources")
    ]
    embeddings = np.concatenate(found)
    appearance, structure = (
        embeddings[[row_of[path] for path in role]] for role in zip(*parents, strict=True)
    )
    return appearance, structure


def _identity(
    composites: MeasuredSet, real: MeasuredSet, appearance: Embeddings, structure: Embeddings
) -> IdentityScores:
    made = composites.embeddings
    one, other = (real.embeddings[rows] for rows in real.pairs.rows.T)
    return IdentityScores(
        to_appearance=Distribution.of((made * appearance).sum(axis=1)),
        to_structure=Distribution.of((made * structure).sum(axis=1)),
        nearer_to_appearance=float(nearer_to_appearance(made, appearance, structure).mean()),
        real_same_person=Distribution.of((one * other).sum(axis=1)) if len(one) else None,
    )


def _realism(composites: MeasuredSet, real: MeasuredSet) -> RealismScores | None:
    if composites.realism is None or real.realism is None:
        return None
    found = Distribution.of(real.realism)
    return RealismScores(
        composites=Distribution.of(composites.realism),
        real=found,
        above_real_p5=float((composites.realism > found.p5).mean()),
    )


def _truth(predictor: Swapper, truth_dir: str | Path, config: GenerationConfig) -> TruthScores:
    settings = EvaluationConfig(seed=config.seed, batch_size=config.batch_size)
    return score_truth(predictor, truth_dir, settings)


def _require_finite(embeddings: Embeddings) -> None:
    if not np.isfinite(embeddings).all():
        raise PreflightError(
            "embeddings of some composites are not finite; expected numbers: try --precision fp32, "
            "and if that does not help the checkpoint is broken"
        )


def _about_size(name: str, found: FrechetComparison) -> list[str]:
    if found.has_full_rank:
        return []
    return [
        f"{name}: equal sets of {found.size} pictures are not more than a feature's "
        f"{found.dimensions} values, so that their number makes up much of the distance: compare "
        f"it with that of real pictures alone, or take more than {found.dimensions} composites "
        "(--composites) and twice as many real pictures"
    ]
