"""Networks on a card that is not there: fake tensors have device, shape and type, and no values.

What torch would refuse on a card (parts on two devices) is refused here, too; what it would do and
wait for (copies between the host and the card) is noted.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ROOT = str(Path(__file__).parents[2])
CARD = torch.device("cuda:0")


def move(network: nn.Module) -> None:
    """Parameters and buffers onto the card, within a FakeTensorMode."""
    for layer in network.modules():
        for name, weight in list(layer.named_parameters(recurse=False)):
            fake = torch.empty(weight.shape, dtype=weight.dtype, device=CARD)
            layer.register_parameter(name, nn.Parameter(fake, weight.requires_grad))
        for name, buffer in list(layer.named_buffers(recurse=False)):
            layer.register_buffer(name, torch.empty(buffer.shape, dtype=buffer.dtype, device=CARD))


class Crossings(TorchDispatchMode):
    """Counts, by file and function of ours, what is copied from one device to another."""

    def __init__(self) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        before, after = _devices((args, kwargs)), _devices(result)
        if before and after and before != after:
            self.found[_place()] += 1
        return result


def _devices(values: Any) -> set[str]:
    leaves = cast("Iterable[object]", tree_leaves(values))
    return {leaf.device.type for leaf in leaves if isinstance(leaf, Tensor)}


def _place() -> str:
    """The innermost function of the product."""
    frames = [
        frame for frame in traceback.extract_stack() if frame.filename.startswith(f"{ROOT}/dgnet/")
    ]
    if not frames:
        return "tests"
    return f"{frames[-1].filename.removeprefix(f'{ROOT}/dgnet/')}:{frames[-1].name}"
