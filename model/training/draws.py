"""The random choices of one step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from dgnet.model.data.shares import WHOLE, Share
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
        """Draws for equal parts of the share: each erases as if it were the whole."""
        return [
            replace(self, erasing=self.erasing.clone_state(), share=share)
            for share in self.share.split(parts)
        ]


def draw(seed: int, iteration: int, share: Share = WHOLE) -> Draws:
    """The choices of an iteration, a pure function of its number: a resumed run draws the same."""
    generator = torch.Generator().manual_seed(iteration_seed(seed, iteration))
    encoder_learns = bool(torch.rand((), generator=generator) < 0.5)
    return Draws(encoder_learns=encoder_learns, erasing=generator, share=share)
