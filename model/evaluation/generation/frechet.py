"""Fréchet distance between two sets of features, and what two sets of real pictures have.

Each set is taken for a Gaussian; d = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) (Dowson and
Landau, 1982; this square is what FID reports). With S = F^T F the trace of the root is the sum of
the singular values of F1 F2^T, which needs no root of a matrix and no full rank.

Few samples make every distance larger, so one is only worth something beside a floor: what two sets
of real pictures of the same sizes have (`compare_with_floor`).

N and M samples, D dimensions; everything in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from dgnet.arrays import AnyFloats, Doubles


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Mean over repetitions, and the middle 95 % of them."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class FrechetComparison:
    """Composites against real pictures.

    `distance` is between all of them. `composites_against_real` and `floor` are between sets of
    `size` each, drawn `splits` times: composites against real pictures, and the same real pictures
    against as many other real ones. Only these two can be compared with each other.
    """

    dimensions: int
    composites: int
    real: int
    distance: float
    size: int
    splits: int
    composites_against_real: Interval
    floor: Interval

    @property
    def has_full_rank(self) -> bool:
        """Whether even the smaller sets have more samples than dimensions."""
        return self.size > self.dimensions


class Gaussian:
    """Mean and covariance of features (N, D), N at least 2."""

    def __init__(self, features: AnyFloats) -> None:
        if features.ndim != 2 or len(features) < 2:
            raise ValueError(f"features are {features.shape}; expected (N, D) with N at least 2")
        wide = features.astype(np.float64)
        self.mean = wide.mean(axis=0)  # (D,)
        factor: Doubles = (wide - self.mean) / np.sqrt(len(wide) - 1)
        if len(factor) > factor.shape[1]:
            factor = cast("Doubles", np.linalg.qr(factor, mode="r"))
        self.factor = factor  # (min(N, D), D); F^T F is the covariance

    def distance(self, other: Gaussian) -> float:
        """Squared Fréchet distance, 0 or more."""
        if self.mean.shape != other.mean.shape:
            raise ValueError(
                f"features of {len(self.mean)} and {len(other.mean)} dimensions; expected the same"
            )
        traces = np.square(self.factor).sum() + np.square(other.factor).sum()
        root = np.linalg.svd(self.factor @ other.factor.T, compute_uv=False).sum()
        return max(0.0, float(np.square(self.mean - other.mean).sum() + traces - 2 * root))


def frechet_distance(left: AnyFloats, right: AnyFloats) -> float:
    """Squared Fréchet distance of features (N, D) and (M, D), 0 or more."""
    return Gaussian(left).distance(Gaussian(right))


def compare_with_floor(
    composites: AnyFloats, real: AnyFloats, *, splits: int, seed: int
) -> FrechetComparison:
    """Distance of composites (N, D) to real pictures (M, D), and the floor of real against real.

    Halves are drawn without replacement: a picture twice in a set narrows its covariance, which
    adds a distance that no set of different pictures has.
    """
    size = min(len(composites), len(real) // 2)
    if size < 2:
        raise ValueError(
            f"{len(composites)} composites and {len(real)} real pictures; expected at least 2 and 4"
        )
    random = np.random.Generator(np.random.PCG64(seed))
    made: list[float] = []
    floor: list[float] = []
    for _ in range(splits):
        order = random.permutation(len(real))
        half = Gaussian(real[order[:size]])
        floor.append(half.distance(Gaussian(real[order[size : 2 * size]])))
        drawn = random.permutation(len(composites))[:size]
        made.append(half.distance(Gaussian(composites[drawn])))
    return FrechetComparison(
        dimensions=real.shape[1],
        composites=len(composites),
        real=len(real),
        distance=frechet_distance(composites, real),
        size=size,
        splits=splits,
        composites_against_real=_interval(made),
        floor=_interval(floor),
    )


def _interval(values: list[float]) -> Interval:
    low, high = np.percentile(values, (2.5, 97.5))
    return Interval(mean=float(np.mean(values)), low=float(low), high=float(high))
