"""What adaptation changed, on somebody's own pictures: figures before and after, side by side.

There are no true composites of them. Composites of random pairs are judged by a network that had no
part in making them, and their realism by the discriminator of the checkpoint that was adapted, for
both alike; where the data set has a query and a gallery, people who were not trained on are found
again by DG-Net's own embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dgnet.arrays import Floats, Pixels
from dgnet.markdown import aligned_table
from dgnet.model.data.layouts import DataSet
from dgnet.model.data.picture import Picture
from dgnet.model.evaluation.composites.measures import nearer_to_appearance
from dgnet.model.evaluation.composites.pairs import draw_pairs
from dgnet.model.evaluation.composites.report import EvaluationConfig, score_retrieval
from dgnet.model.evaluation.pictures import batches, decode_pictures
from dgnet.model.judge.judge import Judge
from dgnet.model.predictor import Predictor

REAL_PERCENTILE = 5


@dataclass(frozen=True, kw_only=True)
class AdaptationFigures:
    """Of one checkpoint. Shares are 0..1.

    `judge_cosine`: mean cosine of composite and appearance picture in the judge's embedding.
    `kept`: share of pixels that equal the structure picture's. `realistic`: composites that the
    discriminator finds more real than the lowest twentieth of real pictures; None where there is
    none. `rank_1` and `mAP` (step AP) are None without query and gallery.
    """

    model_version: str
    judge_cosine: float
    judge_nearer_to_appearance: float
    kept: float
    realistic: float | None
    rank_1: float | None
    mAP: float | None

    def to_json(self) -> dict[str, Any]:
        """JSON-safe form."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> AdaptationFigures:
        """Inverse of `to_json`."""
        return cls(**values)


class AdaptationMeasure:
    """Measures checkpoints on the same pairs of the same people, by the same judges."""

    def __init__(
        self, dataset: DataSet, judge: Judge, realism_of: Predictor, config: EvaluationConfig
    ) -> None:
        """`realism_of` brings the discriminator, if it has one. Raises DatasetError for fewer than
        two persons.
        """
        self._judge, self._config = judge, config
        self._query, self._gallery = dataset.query, dataset.gallery
        self.held_out = bool(self._query and self._gallery)
        """Whether people who are not trained on were measured."""
        shown: Sequence[Picture] = (
            [*self._query, *self._gallery] if self.held_out else dataset.split("train")
        )
        people = [picture for picture in shown if picture.shows_a_person]
        worn, posed, _ = draw_pairs(people, config.pairs, config.seed)
        self._pairs = [
            (people[int(one)], people[int(other)]) for one, other in zip(worn, posed, strict=True)
        ]
        self.judge_version = judge.version
        self._realism_of = realism_of if realism_of.has_discriminator else None

    def __call__(self, predictor: Predictor) -> AdaptationFigures:
        """The figures of a checkpoint."""
        cosines: list[Floats] = []
        nearer: list[Floats] = []
        kept: list[Floats] = []
        scores: list[Floats] = []
        real: list[Floats] = []
        for rows in batches(len(self._pairs), self._config.batch_size):
            appearance, structure = (
                decode_pictures([picture.path for picture in pictures], predictor)
                for pictures in zip(*self._pairs[rows], strict=True)
            )
            made = predictor.composed(
                predictor.appearance_styles(appearance), predictor.structure_codes(structure)
            )
            composite, worn, posed = (
                self._judge.embed(pictures) for pictures in (made.pictures, appearance, structure)
            )
            cosines.append((composite * worn).sum(axis=1))
            nearer.append(nearer_to_appearance(composite, worn, posed).astype(np.float32))
            kept.append(made.kept_shares)
            if self._realism_of:
                scores.append(self._realism(made.pictures))
                real.append(self._realism(appearance))
        realistic = None
        if scores:
            least = np.percentile(np.concatenate(real), REAL_PERCENTILE)
            realistic = float((np.concatenate(scores) > least).mean())
        found = None
        if self.held_out:
            result = score_retrieval(predictor, self._query, self._gallery, self._config)
            found = result.torchreid_convention
        return AdaptationFigures(
            model_version=predictor.model_version,
            judge_cosine=_mean(cosines),
            judge_nearer_to_appearance=_mean(nearer),
            kept=_mean(kept),
            realistic=realistic,
            rank_1=None if found is None else found.rank_1,
            mAP=None if found is None else found.mAP,
        )

    def _realism(self, pictures: Pixels) -> Floats:
        assert self._realism_of is not None
        return self._realism_of.realism(pictures)


def _mean(batches_of: Sequence[Floats]) -> float:
    return float(np.concatenate(batches_of).mean(dtype=np.float64))


def before_and_after(before: AdaptationFigures, after: AdaptationFigures) -> str:
    """A Markdown table of both."""
    shares = {
        "judge: nearer to the appearance picture": "judge_nearer_to_appearance",
        "pixels kept of the structure picture": "kept",
        "composites that pass for real": "realistic",
        "rank-1 of the embedding": "rank_1",
        "mAP of the embedding, step AP": "mAP",
    }
    rows = [
        ("measure", "before", "after"),
        ("weights", before.model_version, after.model_version),
        (
            "judge: mean cosine to the appearance picture",
            f"{before.judge_cosine:.3f}",
            f"{after.judge_cosine:.3f}",
        ),
        *(
            (name, *(_share(getattr(figures, field)) for figures in (before, after)))
            for name, field in shares.items()
        ),
    ]
    return aligned_table(rows)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
