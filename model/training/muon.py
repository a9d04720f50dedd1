"""Muon for convolutions: torch's own, shown every weight as a matrix.

Muon (K. Jordan, 2024) makes the momentum of a weight matrix orthogonal before it steps, so that
directions that many gradients share do not drown the rare ones: here, the few pixels that tell a
shirt from a wall. `torch.optim.Muon` takes matrices alone; a convolution (outputs, inputs, rows,
columns) is the matrix (outputs, inputs x rows x columns).

torch's makes them orthogonal in bf16 whatever the weights are, which is slower and coarser where
bf16 is only emulated: there it is done in float32. And torch's takes one matrix after the other;
here those of one shape are multiplied together, which a GPU starts with a tenth of the kernels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
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
        loss = None if closure is None else closure()
        stepped = [
            (matrix, group)
            for group in self.param_groups
            for matrix in group["params"]
            if matrix.grad is not None
        ]
        if not stepped:
            return loss
        native = all(has_native_bf16(matrix.device) for matrix in self._matrices)
        updates = orthogonalized(
            [self._looking_ahead(matrix, group["momentum"]) for matrix, group in stepped],
            coefficients=stepped[0][1]["ns_coefficients"],
            steps=stepped[0][1]["ns_steps"],
            dtype=torch.bfloat16 if native else torch.float32,
        )
        for (matrix, group), update in zip(stepped, updates, strict=True):
            matrix.mul_(1 - group["lr"] * group["weight_decay"])
            matrix.add_(update, alpha=-0.2 * max(matrix.shape) ** 0.5 * group["lr"])
        return loss

    def _looking_ahead(self, matrix: Tensor, momentum: float) -> Tensor:
        """Nesterov's direction, as in torch's step and on the same state."""
        gradient = cast(Tensor, matrix.grad)
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        average: Tensor = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(average, momentum)


def orthogonalized(
    matrices: Sequence[Tensor],
    *,
    coefficients: tuple[float, float, float],
    steps: int,
    dtype: torch.dtype,
) -> list[Tensor]:
    """Newton-Schulz in the given arithmetic: singular values become about 1.

    Matrices of one shape, lying or standing, are one stack: three products a step for all of them.
    """
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, matrix in enumerate(matrices):
        alike[tuple(sorted(matrix.shape))].append(index)
    found: dict[int, Tensor] = {}
    for indices in alike.values():
        stack = torch.stack([_lying(matrices[index]) for index in indices])
        for index, update in zip(
            indices, _orthogonal(stack, coefficients, steps, dtype), strict=True
        ):
            standing = matrices[index].shape[0] > matrices[index].shape[1]
            found[index] = update.T if standing else update
    return [found[index] for index in range(len(matrices))]


def _lying(matrix: Tensor) -> Tensor:
    return matrix.T if matrix.shape[0] > matrix.shape[1] else matrix


def _orthogonal(
    stack: Tensor, coefficients: tuple[float, float, float], steps: int, dtype: torch.dtype
) -> Tensor:
    """(N, rows, columns), no more rows than columns, each on its own."""
    first, third, fifth = coefficients
    norms = stack.square().sum(dim=(1, 2), keepdim=True).sqrt()
    stack = (stack / norms.clamp(min=SMALLEST_NORM)).to(dtype)
    for _ in range(steps):
        gram = stack @ stack.mT
        stack = torch.baddbmm(
            stack, torch.baddbmm(gram, gram, gram, beta=third, alpha=fifth), stack, beta=first
        )
    return stack


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
