"""Copies between the host and a card that nobody waits for before he has to.

A card copies by itself from and to pinned memory alone; from any other the host copies first, and
waits for the card. What comes back goes by a stream of its own, so that the card computes the next
batch meanwhile, and one event tells when all of it is there.
"""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Values of the host on a device, which has them before it computes what is asked next."""
    if device.type != "cuda":
        return values.to(device)
    # torch keeps pinned memory for later calls, and gives none out again before it was read.
    return values.pin_memory().to(device, non_blocking=True)


class HostCopies:
    """What a device makes batch by batch, on its way to the host: groups of tensors that are each
    joined along their first axis.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._groups: list[tuple[Tensor, ...]] = []
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def add(self, *parts: Tensor) -> None:
        """Begin to copy; the parts must not be written to any more."""
        if self._stream is None:
            self._groups.append(parts)
            return
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            self._groups.append(tuple(self._begun(part) for part in parts))

    def _begun(self, part: Tensor) -> Tensor:
        there = torch.empty(part.shape, dtype=part.dtype, pin_memory=True)
        there.copy_(part, non_blocking=True)
        assert self._stream is not None
        part.record_stream(self._stream)  # its memory is not given away before it was read
        return there

    def arrived(self) -> tuple[Tensor, ...]:
        """All of it, once the last of it is there; no longer in pinned memory, which is scarce."""
        if self._stream is not None:
            self._stream.synchronize()
        return tuple(torch.cat(parts) for parts in zip(*self._groups, strict=True))
