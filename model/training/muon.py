"""Muon for convolutions: torch's own, shown every weight as a matrix.

Muon (K. Jordan, 2024) makes the momentum of a weight matrix orthogonal before it steps, so that
directions that many gradients share do not drown the rare ones: here, the few pixels that tell a
shirt from a wall. `torch.optim.Muon` takes matrices alone; a convolution (outputs, inputs, rows,
columns) is the matrix (outputs, inputs x rows x columns).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Muon

STEP_OF_ADAM = "match_rms_adamw"
"""Scales steps so that Adam's learning rates serve here as well."""


PICTURE_CHANNELS = 3


def is_hidden_matrix(weight: Tensor) -> bool:
    """Whether Muon should step a weight: linear layers and convolutions, but not the first and the
    last one, whose inputs or outputs are a picture's channels.
    """
    return weight.ndim in (2, 4) and min(weight.shape[:2]) > PICTURE_CHANNELS


class ConvolutionMuon(Muon):
    """Steps weights of linear layers and convolutions, each group {"params": [...], "lr": rate}.

    Weights must not be moved to another device or memory format afterwards.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], *, weight_decay: float) -> None:
        groups = list(groups)
        self._weights = [weight for group in groups for weight in group["params"]]
        matrices = [
            {**group, "params": [nn.Parameter(_as_matrix(weight)) for weight in group["params"]]}
            for group in groups
        ]
        super().__init__(matrices, weight_decay=weight_decay, adjust_lr_fn=STEP_OF_ADAM)
        self._matrices = [matrix for group in self.param_groups for matrix in group["params"]]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of the weights and of the matrices that show them."""
        super().zero_grad(set_to_none)
        for weight in self._weights:
            weight.grad = None

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Hand every matrix the gradient of its weight, then step; the weights share its memory."""
        for weight, matrix in zip(self._weights, self._matrices, strict=True):
            matrix.grad = None if weight.grad is None else _gradient_as(weight)
        return cast(float | None, super().step(closure))  # pyright: ignore[reportUnknownMemberType]


def _is_channels_last(weight: Tensor) -> bool:
    return weight.ndim == 4 and weight.is_contiguous(memory_format=torch.channels_last)


def _as_matrix(weight: Tensor) -> Tensor:
    """A view; `view` refuses a memory layout that has none."""
    weight = weight.detach()
    if _is_channels_last(weight):
        weight = weight.permute(0, 2, 3, 1)
    return weight.view(len(weight), -1)


def _gradient_as(weight: Tensor) -> Tensor:
    gradient = cast(Tensor, weight.grad)
    if _is_channels_last(weight):
        gradient = gradient.permute(0, 2, 3, 1)
    return gradient.reshape(len(gradient), -1)
