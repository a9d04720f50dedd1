"""The figures of composites as a set, beside those of real pictures, as a table and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from dgnet.markdown import aligned_table
from dgnet.model.evaluation.composites.report import TruthScores
from dgnet.model.evaluation.generation.distribution import Distribution
from dgnet.model.evaluation.generation.diversity import Diversity
from dgnet.model.evaluation.generation.frechet import FrechetComparison, Interval

_NOTHING = "-"


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """What is measured, and on how much of it."""

    composites: int = 2000
    """More than an embedding has values (1,024), so that covariances have full rank."""
    seed: int = 0
    splits: int = 20
    """Times that real pictures are cut into halves for the floor."""
    pairs_per_person: int = 5
    """At most, of one person's pictures that are compared with each other."""
    persons_at_most: int = 500
    """Whose pictures are compared with each other."""
    batch_size: int = 32

    def __post_init__(self) -> None:
        if self.composites < 2 or self.seed < 0:
            raise ValueError(f"{self}: composites start at 2, seed at 0")
        if min(self.splits, self.pairs_per_person, self.persons_at_most, self.batch_size) < 1:
            raise ValueError(f"{self}: all but composites and seed start at 1")


@dataclass(frozen=True, kw_only=True)
class GenerationData:
    """What was measured on. `real` pictures were drawn from `real_available`."""

    name: str
    layout: str
    split: str
    persons: int
    real: int
    real_available: int
    generated: str | None
    """The folder of composites; None where the checkpoint made them."""
    composites: int


@dataclass(frozen=True, kw_only=True)
class Beside:
    """One measure of diversity; None for a set without two pictures of one person."""

    composites: Diversity | None
    real: Diversity | None


@dataclass(frozen=True, kw_only=True)
class IdentityScores:
    """Cosines of embeddings, and what they are between real pictures of one person."""

    to_appearance: Distribution
    to_structure: Distribution
    nearer_to_appearance: float
    """Share of composites, 0..1."""
    real_same_person: Distribution | None


@dataclass(frozen=True, kw_only=True)
class RealismScores:
    """What the discriminator says, and how many composites pass for real pictures."""

    composites: Distribution
    real: Distribution
    above_real_p5: float
    """Share of composites above the real pictures' 5th percentile, 0..1; 0.95 of real ones are."""


@dataclass(frozen=True, kw_only=True)
class GenerationReport:
    """All figures with the settings that made them; None for one that was left out."""

    data: GenerationData
    config: GenerationConfig
    embedding_frechet: FrechetComparison
    fid: FrechetComparison | None
    ssim_diversity: Beside
    lpips_diversity: Beside | None
    identity: IdentityScores | None
    realism: RealismScores | None
    truth: TruthScores | None
    left_out: tuple[str, ...]
    """A sentence for each figure that is missing and could be there."""
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Nested dictionaries of numbers."""
        return asdict(self)

    def to_table(self) -> str:
        """Markdown: composites and real pictures side by side, and errors where truth is known."""
        rows = [
            ("figure", "composites", "real pictures", "measured on"),
            *_frechet_rows("Fréchet distance of embeddings", self.embedding_frechet),
            *([] if self.fid is None else _frechet_rows("FID", self.fid)),
            _diversity_row("diversity in a person, 1 - SSIM", self.ssim_diversity),
            *(
                []
                if self.lpips_diversity is None
                else [_diversity_row("diversity in a person, LPIPS", self.lpips_diversity)]
            ),
            *([] if self.identity is None else _identity_rows(self.identity)),
            *([] if self.realism is None else _realism_rows(self.realism)),
        ]
        table = aligned_table(rows)
        return table if self.truth is None else f"{table}\n\n{_truth_table(self.truth)}"


def _frechet_rows(name: str, found: FrechetComparison) -> list[tuple[str, str, str, str]]:
    return [
        (
            f"{name}, all pictures",
            f"{found.distance:.4g}",
            _NOTHING,
            f"{found.composites} against {found.real}, {found.dimensions} values",
        ),
        (
            f"{name}, equal sets",
            _interval(found.composites_against_real),
            _interval(found.floor),
            f"{found.size} against {found.size}, {found.splits} times",
        ),
    ]


def _interval(interval: Interval) -> str:
    return f"{interval.mean:.4g} ({interval.low:.4g} to {interval.high:.4g})"


def _diversity_row(name: str, beside: Beside) -> tuple[str, str, str, str]:
    made, real = (
        (_NOTHING, "no pair")
        if one is None
        else (str(one.persons), f"{one.pairs} pairs of {one.persons.count} persons")
        for one in (beside.composites, beside.real)
    )
    return name, made[0], real[0], f"{made[1]}; {real[1]}"


def _identity_rows(identity: IdentityScores) -> list[tuple[str, str, str, str]]:
    real, count = identity.real_same_person, identity.to_appearance.count
    return [
        (
            "cosine to the appearance picture",
            str(identity.to_appearance),
            _NOTHING if real is None else f"{real}, two of a person",
            f"{count} composites" + ("" if real is None else f"; {real.count} pairs"),
        ),
        (
            "cosine to the structure picture",
            str(identity.to_structure),
            _NOTHING,
            f"{count} composites",
        ),
        (
            "nearer to appearance than to structure",
            f"{identity.nearer_to_appearance:.1%}",
            _NOTHING,
            f"{count} composites",
        ),
    ]


def _realism_rows(realism: RealismScores) -> list[tuple[str, str, str, str]]:
    samples = f"{realism.composites.count} composites; {realism.real.count} real"
    return [
        ("score of the discriminator", str(realism.composites), str(realism.real), samples),
        (
            "above the real 5th percentile",
            f"{realism.above_real_p5:.1%}",
            "95.0% by definition",
            samples,
        ),
    ]


def _truth_table(truth: TruthScores) -> str:
    columns = (
        ("composite", truth.composite),
        ("copy of structure", truth.copy_of_structure),
        ("copy of appearance", truth.copy_of_appearance),
    )
    errors = [found for _, found in columns]
    return aligned_table(
        [
            (f"error against the truth, {truth.triples} triples", *(name for name, _ in columns)),
            ("mean absolute error, levels", *(f"{one.mean_error:.2f}" for one in errors)),
            ("changed region, ratio", *(f"{one.changed_ratio:.3f}" for one in errors)),
            ("outside of it, levels", *(f"{one.outside_error:.2f}" for one in errors)),
        ]
    )
