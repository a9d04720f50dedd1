"""What D learns from, as a module of its own, so that it can be compiled: scores, the adversary's
loss and the gradient penalty together.

Compiled functions cannot ask autograd for a gradient in their middle. Within one, the penalty's
gradient is a vector-Jacobian product of `torch.func`; elsewhere it is what it always was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from dgnet.model.discriminator import Discriminator
from dgnet.model.losses import discriminator_loss, gradient_penalty, squared_norms


class DiscriminatorLosses(nn.Module):
    """Pictures (B, 3, H, W), real and generated, to two scalars."""

    def __init__(self, discriminator: Discriminator) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(
        self, real: Tensor, generated: Tensor, inside: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The adversary's loss, by what lies `inside` a mask (B, 1, H, W) if there is one, and the
        gradient penalty at the real pictures, unweighted.
        """
        if torch.compiler.is_compiling():
            real_scores, penalty = self._penalized(real)
            return discriminator_loss(self.discriminator(generated), real_scores, inside), penalty
        real.requires_grad_()
        real_scores = self.discriminator(real)
        loss = discriminator_loss(self.discriminator(generated), real_scores, inside)
        return loss, gradient_penalty(real, real_scores)

    def _penalized(self, real: Tensor) -> tuple[list[Tensor], Tensor]:
        """Scores of real pictures, and `gradient_penalty` of them."""
        made: tuple[Any, ...] = torch.func.vjp(self.discriminator, real)
        scores = cast(list[Tensor], made[0])
        pull_back = cast(Callable[[list[Tensor]], tuple[Tensor]], made[1])
        penalties: list[Tensor] = []
        for index in range(len(scores)):
            of_one_scale = [
                torch.ones_like(each) if place == index else torch.zeros_like(each)
                for place, each in enumerate(scores)
            ]
            penalties.append(squared_norms(pull_back(of_one_scale)[0]))
        return scores, torch.stack(penalties).sum()
