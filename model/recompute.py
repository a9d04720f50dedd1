"""Activation checkpointing: networks that compute their insides again instead of keeping them.

The backward pass needs what every layer saw. A recomputing part keeps what it was given, and runs
once more when its turn comes: memory of one part instead of all of them, for one more forward pass.
The second run gives the same values and leaves no trace: running statistics move once, and
whatever is random draws the same.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import (
    checkpoint,  # pyright: ignore[reportUnknownVariableType]
)


class Recomputing(nn.Module):
    """A network that may compute some of its parts again in the backward pass."""

    recompute: bool = False

    def part(self, layers: Sequence[nn.Module], *inputs: Tensor) -> Tensor:
        """One layer after the other, the first on all inputs; what is inside is kept or not."""

        def run(*inputs: Tensor) -> Tensor:
            for layer in layers:
                inputs = (layer(*inputs),)
            return inputs[0]

        def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
            return nullcontext(), _still_statistics(layers)

        if not (self.recompute and torch.is_grad_enabled()):
            return run(*inputs)
        return checkpoint(run, *inputs, use_reentrant=False, context_fn=contexts)


def set_recompute(network: nn.Module, recompute: bool) -> None:
    """Let every part of a network that can recompute do so, or not."""
    for module in network.modules():
        if isinstance(module, Recomputing):
            module.recompute = recompute


@contextmanager
def _still_statistics(parts: Sequence[nn.Module]) -> Generator[None]:
    """Batch normalization takes each batch's statistics as before, and adds them to a copy of the
    running ones that is thrown away.

    Without running statistics at all it would save other tensors than in its first run.
    """
    layers = [
        layer
        for part in parts
        for layer in part.modules()
        if isinstance(layer, nn.modules.batchnorm._BatchNorm)  # pyright: ignore[reportPrivateUsage]
        and layer.training
    ]
    originals = [dict(layer.named_buffers(recurse=False)) for layer in layers]
    for layer, buffers in zip(layers, originals, strict=True):
        for name, buffer in buffers.items():
            setattr(layer, name, buffer.clone())
    try:
        yield
    finally:
        for layer, buffers in zip(layers, originals, strict=True):
            for name, buffer in buffers.items():
                setattr(layer, name, buffer)
