"""Loss weights and learning rates as pure functions of the position in a schedule (see `pace`):
the number of iterations done, or the share of a run's minutes.

Nothing here has state: a resumed run asks for its position and gets what the uninterrupted one
had.
"""

from __future__ import annotations

import math
from dataclasses import replace

from torch.optim import Optimizer

from dgnet.model.training.config import JointConfig, LossWeights, TeacherConfig

LAST_SHARE = 1 / 50
"""Of a learning rate at the end of its cosine."""

WARMED = (
    "appearance_code_reconstruction",
    "structure_code_reconstruction",
    "cycle_reconstruction",
    "primary",
)
"""Losses that the spec's schedule ramps up."""

WARMED_AFTER_RECONSTRUCTION = ("adversarial", "identity_generated")
"""Losses that look at swapped pictures, ramped too where reconstruction is trained first."""


def loss_weights(config: JointConfig, iteration: float) -> LossWeights:
    """Weights at an iteration (counted from 0): the warm-up ramps of the spec's schedule."""
    grown = max(0, iteration - config.warmup_start) * config.warmup_rate
    names = WARMED
    if config.reconstruction_first:
        names += WARMED_AFTER_RECONSTRUCTION
    final = config.final_weights
    weights = replace(final, **{name: min(grown, getattr(final, name)) for name in names})
    if config.reconstruction_first and not grown:
        weights = replace(weights, self_reconstruction=0.0, squared_errors=config.squared_first)
        if config.appearance_learns == "everything":
            weights = replace(weights, identity=0.0, identity_positive=0.0, truth_identity=0.0)
    return weights


def joint_learning_rate_factor(config: JointConfig, iteration: float) -> float:
    """What every learning rate is multiplied with: one decay for each milestone passed, or half a
    cosine; from 0 in the first iterations, if so set.
    """
    warm = min(1.0, (iteration + 1) / config.rate_warmup) if config.rate_warmup else 1.0
    if config.cosine:
        half_turn = math.cos(math.pi * min(1.0, iteration / config.iterations))
        return warm * (LAST_SHARE + (1 - LAST_SHARE) * (1 + half_turn) / 2)
    passed = sum(iteration >= milestone for milestone in config.milestones)
    return warm * config.decay**passed


def teacher_learning_rate_factor(config: TeacherConfig, iteration: float) -> float:
    """Linear warm-up from a tenth, then one fall by 10."""
    warm = min(1.0, 0.1 + 0.9 * iteration / max(1, config.warmup_iterations))
    return warm * (0.1 if iteration >= config.milestone else 1.0)


def apply_learning_rate_factor(optimizer: Optimizer, factor: float) -> None:
    """Set every group to its initial learning rate times `factor`."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def iteration_seed(seed: int, iteration: int) -> int:
    """Seed of everything that an iteration draws, so that a resumed run draws the same."""
    return seed * 1_000_003 + iteration
