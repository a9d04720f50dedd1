"""What is made of what with which networks: everything that decides the bytes of a job.

So shards can be made anywhere: by `local_run` one after the other, or by workers that share a job.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import PIL
import torch

from dgnet.generation.output.folder import MADE_BY, SIZES
from dgnet.generation.pairing.listing import Listing
from dgnet.generation.pairing.plan import Plan
from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.spec import GenerationSpec
from dgnet.model.checkpoints import Checkpoint
from dgnet.model.devices import kind_of
from dgnet.model.judge.judge import Judge
from dgnet.model.predictor import Predictor, PredictorError

FORMAT = 1

Window = tuple[int, int]
"""Positions of the plan, from the first to before the second."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is made of what with which networks."""

    spec: GenerationSpec
    listing: Listing
    plan: Plan
    checkpoint: Checkpoint
    predictor: Predictor
    batch: int
    """Rows that go through the networks together; it decides how they round."""
    judge: Judge | None = None
    """Asked where the spec asks for one."""

    @classmethod
    def of(
        cls,
        spec: GenerationSpec,
        checkpoint: Checkpoint,
        predictor: Predictor,
        *,
        batch: int | None = None,
        judge: Judge | None = None,
    ) -> Job:
        """Read the listing and lay out the plan; by default as many rows as the predictor takes.

        Raises GenerationError for pictures that give no such job, and for a scene that these
        networks cannot keep.
        """
        try:
            predictor.chosen_scene(spec.scene)
        except PredictorError as error:
            raise GenerationError(f"scene: {error}") from error
        listing = Listing.read(spec.source)
        plan = Plan(listing, spec.pairing, spec.seed)
        return cls(
            spec=spec, listing=listing, plan=plan, checkpoint=checkpoint, predictor=predictor,
            batch=predictor.max_batch if batch is None else batch, judge=judge,
        )  # fmt: skip

    @property
    def count(self) -> int:
        return self.plan.amount(self.spec)

    def identity(self) -> dict[str, Any]:
        """Everything that decides the bytes; two jobs of one identity make the same files."""
        spec = self.spec.to_json()
        # A data set may be moved: what is in it counts, and the listing's digest tells that.
        # Nor does it matter where the files go, or what the job is called.
        spec.pop("name", None)
        del spec["source"]["folder"], spec["output"]["destination"]
        if not self.spec.scores:  # as jobs were before there was a choice
            del spec["scores"]
        return {
            "format": FORMAT,
            "spec": spec,
            "listing_sha256": self.listing.digest,
            SIZES: self.listing.sizes_digest,
            **networks_identity(self.checkpoint, self.predictor, self.batch),
            **({"judge": self.judge.version} if self.judge and self.spec.needs_judge else {}),
        }

    def next_window(self, window: Window, kept: int) -> Window | None:
        """What is made in place of dropped composites after `window`, within the spec's bound, when
        `kept` were kept so far.
        """
        beyond = min(
            self.count - kept,
            self.count + self.spec.top_up - window[1],
            self.plan.pairs - window[1],
        )
        return (window[1], window[1] + beyond) if beyond > 0 else None


def networks_identity(checkpoint: Checkpoint, predictor: Predictor, batch: int) -> dict[str, Any]:
    """What checkpoint and device add to a job's identity."""
    return {
        "checkpoint_sha256": checkpoint.metadata.sha256,
        "device": predictor.device.type,
        "precision": predictor.precision,
        "batch": batch,
        MADE_BY: {
            "device": kind_of(predictor.device),
            "torch": f"{torch.__version__}{' compiled' if predictor.is_compiled else ''}",
            "pillow": PIL.__version__,
        },
    }
