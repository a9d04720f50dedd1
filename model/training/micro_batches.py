"""A step in micro-batches, and by several processes.

Every loss is a mean over the pictures, so the mean over equal parts is that of the whole, and so
are its gradients; only batch normalization, which takes its statistics from what goes through at
once, can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dgnet.model.data.pairs import PairBatch
from dgnet.model.data.shares import split_rows
from dgnet.model.data.truth_batches import TruthBatch
from dgnet.model.training.config import LossWeights
from dgnet.model.training.draws import Draws
from dgnet.model.training.parts import StepParts

Losses = dict[str, Tensor]
"""Unweighted losses by name, plus the weighted `total`; scalars."""


@dataclass(frozen=True, kw_only=True)
class MicroBatch:
    """What is computed at once: a part of a step's pictures with its draws."""

    batch: PairBatch
    draws: Draws
    truth: TruthBatch | None


def micro_batches(
    batch: PairBatch, draws: Draws, truth: TruthBatch | None, count: int
) -> list[MicroBatch]:
    """Equal parts of a step's pictures in their order."""
    truths = split_rows(truth, count) if truth else [None] * count
    return [
        MicroBatch(batch=rows, draws=own, truth=triples)
        for rows, own, triples in zip(
            split_rows(batch, count), draws.split(count), truths, strict=True
        )
    ]


def learn(
    parts: StepParts,
    micro: Sequence[MicroBatch],
    losses_of: Callable[[MicroBatch], Losses],
    weights: LossWeights,
    optimizers: Sequence[Optimizer],
    networks: Sequence[nn.Module],
) -> Losses:
    """Step the optimizers of these networks once by the mean of the weighted losses over all
    micro-batches of all workers; returns this worker's means, detached.
    """
    for optimizer in optimizers:
        optimizer.zero_grad()
    found: list[Losses] = []
    for part in micro:
        with parts.precision():
            losses = losses_of(part)
            total = weighted_total(losses, weights)
        (total / len(micro)).backward()  # pyright: ignore[reportUnknownMemberType]
        found.append({**losses, "total": total})
    parts.workers.average_gradients(*networks)
    parts.workers.average_statistics(*networks)
    if parts.config.clip_gradient:
        _clip_generator(parts, parts.config.clip_gradient)
    for optimizer in optimizers:
        optimizer.step()
    return mean_losses(found)


def weighted_total(losses: Losses, weights: LossWeights) -> Tensor:
    """The generator's objective: every loss times the weight of its name."""
    return torch.stack([getattr(weights, name) * loss for name, loss in losses.items()]).sum()


def _clip_generator(parts: StepParts, longest: float) -> None:
    """One surprising batch must not undo a hundred."""
    generator = parts.networks.generator_parts.values()
    nn.utils.clip_grad_norm_(
        (weight for part in generator for weight in part.parameters()), longest
    )


def mean_losses(parts: Sequence[Losses]) -> Losses:
    """The mean of every loss over equal micro-batches, detached."""
    return {
        name: torch.stack([losses[name].detach() for losses in parts]).mean() for name in parts[0]
    }
