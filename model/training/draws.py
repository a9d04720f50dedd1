"""The random choices of one step, and the micro-batches that it may be computed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dgnet.model.data.pairs import PairBatch
from dgnet.model.data.shares import WHOLE, Share, split_rows
from dgnet.model.data.truth_batches import TruthBatch
from dgnet.model.training.schedule import iteration_seed


@dataclass(frozen=True, kw_only=True)
class Draws:
    """The same for every share of a step's batch, but for where in it the share lies."""

    encoder_learns: bool
    """Structure-code reconstruction: true, E_s learns from detached pictures; false, the picture
    learns.
    """
    erasing: torch.Generator
    share: Share = WHOLE
    """Which pictures of the step's batch are at hand."""

    def split(self, parts: int) -> list[Draws]:
        """For equal parts of the share: each erases as if it were the whole."""
        return [
            replace(self, erasing=self.erasing.clone_state(), share=share)
            for share in self.share.split(parts)
        ]


def draw(seed: int, iteration: int, share: Share = WHOLE) -> Draws:
    """The choices of an iteration, a pure function of its number: a resumed run draws the same."""
    generator = torch.Generator().manual_seed(iteration_seed(seed, iteration))
    encoder_learns = bool(torch.rand((), generator=generator) < 0.5)
    return Draws(encoder_learns=encoder_learns, erasing=generator, share=share)


@dataclass(frozen=True, kw_only=True)
class MicroBatch:
    """What is computed at once: a part of a step's pictures with its draws."""

    batch: PairBatch
    draws: Draws
    truth: TruthBatch | None


def micro_batches(
    batch: PairBatch, draws: Draws, truth: TruthBatch | None, parts: int
) -> list[MicroBatch]:
    """Equal parts of a step's pictures in their order."""
    truths = split_rows(truth, parts) if truth else [None] * parts
    return [
        MicroBatch(batch=rows, draws=own, truth=triples)
        for rows, own, triples in zip(
            split_rows(batch, parts), draws.split(parts), truths, strict=True
        )
    ]


def mean_losses(parts: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Of every loss over equal micro-batches, detached."""
    return {
        name: torch.stack([losses[name].detach() for losses in parts]).mean() for name in parts[0]
    }
