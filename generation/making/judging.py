"""Scores and labels of composites, and whether they are kept.

Only what the spec asks for is computed, which is the identity score unless it says otherwise. A
score that decides is in the manifest, rounded as it was
compared: what the manifest shows explains every drop.

Legend: B composites, H x W pixels, D embedding values, I the teacher's classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import torch

from dgnet.arrays import Floats, Integers, Pixels
from dgnet.generation.pairing.listing import Listing
from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.manifest import Labels, Score
from dgnet.jobs.generation.spec import GenerationSpec
from dgnet.model.data.fingerprint import fingerprint_from, persons_digest
from dgnet.model.judge.judge import Judge
from dgnet.model.labeler import Labeler
from dgnet.model.predictor import Predictor
from dgnet.model.teacher import apply_label_policy

Embed = Callable[[Pixels], Floats]
Embedded = dict[Score, Floats]
"""Of the appearance pictures (B, D), by the name of the score that they are for."""

LABELS_OF_PERSONS = ("two_labels", "teacher_top_k")
"""Made of a teacher's classes, which mean something where they are the persons of the pictures."""

DIGITS = 6


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """On one composite."""

    labels: Labels = field(default_factory=Labels)
    scores: dict[Score, float] = field(default_factory=dict[Score, float])
    dropped: str | None = None
    """The first filter that it failed."""


class Judging:
    """Applies the labels and filters of one spec."""

    def __init__(
        self,
        spec: GenerationSpec,
        listing: Listing,
        predictor: Predictor,
        labeler: Labeler | None,
        realism_of_real_pictures: Callable[[], Floats],
        judge: Judge | None = None,
    ) -> None:
        """`labeler` is needed where the spec needs a teacher, `judge` where it needs one;
        `realism_of_real_pictures`, sorted, is asked once if the spec needs a discriminator.
        """
        self._spec = spec
        self._listing = listing
        self._predictor = predictor
        self._labeler = labeler
        self._real = cache(realism_of_real_pictures)
        self._judge = judge
        self._persons = np.array(listing.persons)
        known = labeler.identities if labeler else 0
        whose = fingerprint_from(predictor.metadata.fingerprint)
        shown = persons_digest(listing.persons, listing.names)
        asked = [name for name in spec.label_names if name in LABELS_OF_PERSONS]
        if asked and whose is not None and whose.persons != shown:
            raise GenerationError(
                f"the label {asked[0]} needs a teacher trained on these very persons, but the "
                f"checkpoint's, trained on {predictor.metadata.data.get('name', 'a data set')}, "
                f"knows others than {listing.root.name} shows (persons {whose.persons} and "
                f"{shown}); use the checkpoint of this data set or leave the label out"
            )
        if asked and known != len(listing.persons):
            raise GenerationError(
                f"the label {asked[0]} needs a teacher trained on these very persons, but it knows "
                f"{known} and the pictures show {len(listing.persons)}; use the "
                "checkpoint of this data set or leave the label out"
            )

    def __call__(
        self,
        composites: Pixels,
        appearances: Integers,
        structures: Integers,
        appearance_embeddings: Embedded,
    ) -> list[Verdict]:
        """Judge composites (B, H, W, 3) of the pictures (B) and (B)."""
        scores = self._scores(composites, appearance_embeddings)
        soft = self._labeler.probabilities(composites) if self._labeler else None
        if soft is not None and "teacher_confidence" in self._spec.wanted_scores:
            scores["teacher_confidence"] = soft.max(axis=1)
        return [
            self._verdict(
                {name: round(float(values[row]), DIGITS) for name, values in scores.items()},
                int(self._listing.person_ids[appearances[row]]),
                int(self._listing.person_ids[structures[row]]),
                None if soft is None else soft[row],
            )
            for row in range(len(composites))
        ]

    @property
    def embedders(self) -> dict[Score, Embed]:
        """What compares composites with their appearance pictures, by the score's name."""
        wanted: dict[Score, Embed] = {}
        if "identity_consistency" in self._spec.wanted_scores:
            wanted["identity_consistency"] = self._predictor.embed
        if self._spec.needs_judge:
            assert self._judge is not None
            wanted["judge_similarity"] = self._judge.embed
        return wanted

    def _scores(self, composites: Pixels, embeddings: Embedded) -> dict[Score, Floats]:
        scores: dict[Score, Floats] = {
            name: (embeddings[name] * embed(composites)).sum(axis=1)
            for name, embed in self.embedders.items()
        }
        if self._spec.needs_discriminator:
            real, realism = self._real(), self._predictor.realism(composites)
            below = np.searchsorted(real, realism, side="right")
            scores["realism_percentile"] = (100 * below / len(real)).astype(np.float32)
        return scores

    def _verdict(
        self, scores: dict[Score, float], appearance: int, structure: int, soft: Floats | None
    ) -> Verdict:
        labels = self._labels(appearance, structure, soft)
        for name, minimum in self._spec.keep.minimums.items():
            if scores[name] < minimum:
                return Verdict(labels=labels, scores=scores, dropped=f"low_{name}")
        return Verdict(labels=labels, scores=scores)

    def _labels(self, appearance: int, structure: int, soft: Floats | None) -> Labels:
        labels: Labels = {}
        wanted = self._spec.labels
        if "appearance" in wanted:
            labels["appearance"] = appearance
        if "structure" in wanted:
            labels["structure"] = structure
        if self._spec.top_k is not None:
            assert soft is not None
            best = np.argsort(-soft, kind="stable")[: self._spec.top_k]
            labels["teacher_top_k"] = [
                {"class": int(label), "probability": round(float(soft[label]), DIGITS)}
                for label in best
            ]
        if "uniform" in wanted:
            labels["uniform"] = round(1 / len(self._persons), DIGITS)
        if "two_labels" in wanted:
            assert soft is not None
            share = self._share_of_appearance(soft, appearance, structure)
            labels["two_labels"] = {
                "appearance": round(share, DIGITS),
                "structure": round(1 - share, DIGITS),
            }
        return labels

    def _share_of_appearance(self, soft: Floats, appearance: int, structure: int) -> float:
        """What the teacher's answer (I) gives the appearance's person, of what it gives the two."""
        first, second = np.searchsorted(self._persons, [appearance, structure])
        labels = torch.tensor([[first], [second]])
        wide = torch.as_tensor(soft[None], dtype=torch.float64)
        target = apply_label_policy("two_labels", wide, *labels)
        return float(target[0, first])
