"""Muon for convolutions: torch's own, shown every weight as a matrix.

Muon (K. Jordan, 2024) makes the momentum of a weight matrix orthogonal before it steps, so that
directions that many gradients share do not drown the rare ones: here, the few pixels that tell a
shirt from a wall. `torch.optim.Muon` takes matrices alone; a convolution (outputs, inputs, rows,
columns) is the matrix (outputs, inputs x rows x columns).

torch's makes them orthogonal in bf16 whatever the weights are, which is slower and coarser where
bf16 is only emulated: there it is done in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Muon

from dgnet.model.devices import has_native_bf16

STEP_OF_ADAM = "match_rms_adamw"
"""Scales steps so that Adam's learning rates serve here as well."""


PICTURE_CHANNELS = 3
SMALLEST_NORM = 1e-7


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

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Hand every matrix the gradient of its weight, then step; the weights share its memory."""
        for weight, matrix in zip(self._weights, self._matrices, strict=True):
            matrix.grad = None if weight.grad is None else _gradient_as(weight)
        if all(has_native_bf16(matrix.device) for matrix in self._matrices):
            return cast(float | None, super().step(closure))  # pyright: ignore[reportUnknownMemberType]
        loss = None if closure is None else closure()
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    self._step_in_float32(matrix, matrix.grad, group)
        return loss

    def _step_in_float32(self, matrix: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        """As torch's step, on the same state."""
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        average: Tensor = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
        update = orthogonalized(
            gradient.lerp(average, group["momentum"]),
            coefficients=group["ns_coefficients"],
            steps=group["ns_steps"],
        )
        matrix.mul_(1 - group["lr"] * group["weight_decay"])
        matrix.add_(update, alpha=-0.2 * max(matrix.shape) ** 0.5 * group["lr"])


def orthogonalized(
    matrix: Tensor, *, coefficients: tuple[float, float, float], steps: int
) -> Tensor:
    """Newton-Schulz in the matrix's own arithmetic: singular values become about 1."""
    first, third, fifth = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    wide = matrix.T if tall else matrix
    wide = wide / wide.square().sum().sqrt().clamp(min=SMALLEST_NORM)
    for _ in range(steps):
        gram = wide @ wide.T
        wide = torch.addmm(
            wide, torch.addmm(gram, gram, gram, beta=third, alpha=fifth), wide, beta=first
        )
    return wide.T if tall else wide


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
