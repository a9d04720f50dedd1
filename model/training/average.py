"""A running average of the generator's weights (Polyak averaging), for the checkpoint of a run.

Steps of a small batch overshoot; the average of the last few hundred steps has less error than any
of them (docs/experiments.md). The networks that learn never see it.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

from dgnet.model.dgnet import DGNet


class RunningAverage(nn.Module):
    """Averages of everything that follows the generator's objective, by the networks' names."""

    def __init__(self, networks: DGNet, share: float) -> None:
        """`share` of the past in the average after each iteration of the schedule, once that many
        are done.
        """
        super().__init__()
        self.parts = nn.ModuleDict(copy.deepcopy(networks.generator_parts)).requires_grad_(False)
        self._learned = [
            weight for part in networks.generator_parts.values() for weight in part.parameters()
        ]
        self._share = share

    @torch.no_grad()
    def update(self, iteration: int, advance: float = 1.0) -> None:
        """After iteration number `iteration` (0, 1, ...): early averages forget their start.

        `advance` is how many iterations of the schedule it stands for (see `pace`).
        """
        share = min(self._share**advance, (1 + iteration) / (10 + iteration))
        torch._foreach_lerp_(  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]
            list(self.parts.parameters()), [w.detach() for w in self._learned], 1 - share
        )

    def put_into(self, networks: DGNet) -> DGNet:
        """A copy of the networks with averaged weights, in evaluation mode."""
        averaged = copy.deepcopy(networks).eval()
        for name, part in averaged.generator_parts.items():
            part.load_state_dict(self.parts[name].state_dict())
        return averaged
