"""The processes of one training run, and what they tell each other.

A run of several processes is started by `torchrun`; Lightning Fabric finds out who is who, picks
each one's device and connects them (gloo between CPUs, NCCL between GPUs). Of Fabric nothing else
is used: an iteration of joint training updates one group of networks before the losses of another
are known, and judges pictures by frozen twins that share their weights. Wrapping every network for
gradients that travel during the backward pass would have to know all of that; averaging gradients
once before each optimizer steps does not.

Losses are means over a batch and every process has an equal share of it, so the average over the
processes of gradients, losses and running statistics is that of the whole batch.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from lightning_fabric import Fabric

BUCKET_VALUES = 8 * 2**20
"""Values that travel together: few messages, and no second copy of all gradients at once."""


class WorkerLost(RuntimeError):
    """Another process of the run is gone; this one cannot go on alone."""


class Workers:
    """This process among the others; without Fabric it is alone and every call is free."""

    def __init__(self, fabric: Fabric | None = None) -> None:
        self._fabric = fabric
        self.rank = fabric.global_rank if fabric else 0
        self.count = fabric.world_size if fabric else 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes what the run leaves."""
        return self.rank == 0

    @property
    def device(self) -> torch.device | None:
        """Where this process should compute; None: wherever it likes."""
        return self._fabric.device if self._fabric else None

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace floating-point tensors by their means over all processes, in place."""
        if self._fabric is None:
            return
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in bucket])
            with _others_may_be_lost():
                # Fabric's annotations are partial; the result lies in `flat`.
                cast(Any, self._fabric).all_reduce(flat, reduce_op="mean")
            start = 0
            for tensor in bucket:
                end = start + tensor.numel()
                tensor.detach().copy_(flat[start:end].view(tensor.shape))
                start = end

    def average_gradients(self, *networks: nn.Module) -> None:
        """Before an optimizer steps: everybody's gradients of these networks, averaged.

        Which weights have one is decided by the iteration, so all processes agree.
        """
        self.average(
            weight.grad
            for network in networks
            for weight in network.parameters()
            if weight.grad is not None
        )

    def average_statistics(self, *networks: nn.Module) -> None:
        """Running statistics, which every process gathers on its own pictures."""
        self.average(
            buffer
            for network in networks
            for buffer in network.buffers()
            if buffer.is_floating_point()
        )

    def averaged(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Scalars by name, averaged: every process gets the same numbers."""
        if not values:
            return {}
        joined = torch.stack([value.detach().float() for value in values.values()])
        self.average([joined])
        return {name: float(value) for name, value in zip(values, joined.cpu(), strict=True)}

    def start_alike(self, *networks: nn.Module) -> None:
        """Every process takes the first one's weights and statistics."""
        if self._fabric is None:
            return
        with _others_may_be_lost():
            for network in networks:
                for tensor in (*network.parameters(), *network.buffers()):
                    # Not every memory layout can be sent; a plain copy can.
                    plain = tensor.detach().contiguous()
                    torch.distributed.broadcast(plain, 0)
                    tensor.detach().copy_(plain)

    def wait(self) -> None:
        """Until every process is here."""
        if self._fabric is not None:
            with _others_may_be_lost():
                self._fabric.barrier()


def launched_workers(device: str) -> Workers:
    """The processes that `torchrun` started; alone without it. `device` is auto, cpu or cuda."""
    if not torch.distributed.is_available() or not torch.distributed.is_torchelastic_launched():
        return Workers()
    from lightning_fabric import Fabric
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    here, everywhere = (int(os.environ[name]) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    accelerator = _accelerator(device)
    try:
        fabric = Fabric(
            accelerator=accelerator, devices=here, num_nodes=everywhere // here, strategy="ddp"
        )
    except MisconfigurationException as error:
        raise ValueError(
            f"torchrun started {here} processes on this machine, and they cannot have a "
            f"{accelerator} device each ({error}): start at most one for each device"
        ) from error
    fabric.launch()
    return Workers(fabric)


def _accelerator(device: str) -> Literal["cpu", "cuda"]:
    if device in ("cpu", "cuda"):
        return device
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    raise ValueError(
        f"device is {device!r}, and torchrun started this run; expected auto, cpu or cuda: every "
        "process gets a device of its own"
    )


def _buckets(tensors: Iterable[Tensor]) -> Generator[list[Tensor]]:
    """Tensors of one kind in their order, about `BUCKET_VALUES` together."""
    bucket: list[Tensor] = []
    values = 0
    for tensor in tensors:
        if bucket and (bucket[0].dtype != tensor.dtype or values + tensor.numel() > BUCKET_VALUES):
            yield bucket
            bucket, values = [], 0
        bucket.append(tensor)
        values += tensor.numel()
    if bucket:
        yield bucket


@contextmanager
def _others_may_be_lost() -> Generator[None]:
    try:
        yield
    except RuntimeError as error:
        raise WorkerLost(
            "another process of this run ended, so this one ends too; its own message says why"
        ) from error
