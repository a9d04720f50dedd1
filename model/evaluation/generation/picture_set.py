"""Takes every measure of one set of pictures in one pass, and keeps the measures alone.

N pictures, B at a time, uint8 (B, H, W, 3) RGB; D values of an embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from dgnet.arrays import AnyFloats, Doubles, Embeddings, Integers, Pixels
from dgnet.model.evaluation.generation.diversity import (
    Diversity,
    PairMeasure,
    PairScores,
    diversity,
)
from dgnet.model.evaluation.retrieval.embedding import ShowProgress

PictureMeasure = Callable[[Pixels], AnyFloats]
"""One row for each picture: (B,) or (B, values)."""


@dataclass(frozen=True, kw_only=True)
class Instruments:
    """What a picture, or a pair of one person's, is measured with."""

    embed: Callable[[Pixels], Embeddings]
    realism: PictureMeasure | None = None
    """Score (B,) of a discriminator."""
    inception: PictureMeasure | None = None
    """Features (B, 2048) that FID is computed from."""
    pairs: Mapping[str, PairMeasure]
    """By name; see `diversity`."""


@dataclass(frozen=True, kw_only=True)
class PersonPairs:
    """Pairs (P, 2) of rows that show one person, and whose pair each is (P,)."""

    rows: Integers
    persons: Integers


@dataclass(frozen=True, kw_only=True)
class MeasuredSet:
    """All measures of N pictures, in their order."""

    embeddings: Embeddings
    realism: AnyFloats | None
    inception: AnyFloats | None
    pairs: PersonPairs
    pair_scores: Mapping[str, Doubles]

    def diversity(self, measure: str) -> Diversity | None:
        """By the measure of that name; None without a pair."""
        return diversity(self.pair_scores[measure], self.pairs.persons)


def measure_set(
    pictures: Callable[[slice], Pixels],
    count: int,
    pairs: PersonPairs,
    instruments: Instruments,
    *,
    batch_size: int,
    title: str,
    progress: ShowProgress,
) -> MeasuredSet:
    """Asks `pictures` for the rows of one batch after another, `count` in all."""
    embeddings: list[Embeddings] = []
    realism: list[AnyFloats] = []
    inception: list[AnyFloats] = []
    pair_scores = PairScores(pairs.rows, instruments.pairs)
    for start in progress(range(0, count, batch_size), title):
        batch = pictures(slice(start, min(start + batch_size, count)))
        embeddings.append(instruments.embed(batch))
        if instruments.realism is not None:
            realism.append(instruments.realism(batch))
        if instruments.inception is not None:
            inception.append(instruments.inception(batch))
        pair_scores.add(start, batch)
    return MeasuredSet(
        embeddings=np.concatenate(embeddings),
        realism=np.concatenate(realism) if realism else None,
        inception=np.concatenate(inception) if inception else None,
        pairs=pairs,
        pair_scores=pair_scores.scores(),
    )
