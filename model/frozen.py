"""Frozen twins: networks that share every weight with an original but never learn.

DG-Net judges generated pictures by frozen copies of E_a, E_s and D: gradients must pass through to
the picture and stop at the weights. A twin shares the original's storage, so it always holds its
present weights and no step copies a network.
"""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def frozen_twin(network: Network, *, batch_statistics: bool) -> Network:
    """A twin of `network` in evaluation mode, valid until the original moves to another device or
    dtype.

    With `batch_statistics` its batch normalization uses the statistics of the batch (the spec's
    `train_bn`) without touching the original's running ones; otherwise it shares the running ones.
    """
    # deepcopy keeps what it finds in its memo: here parameters around the same storage.
    memo: dict[int, object] = {
        id(weight): nn.Parameter(weight.detach(), requires_grad=False)
        for weight in network.parameters()
    }
    for statistic in network.buffers():
        memo[id(statistic)] = statistic.clone() if batch_statistics else statistic
    twin = copy.deepcopy(network, memo)
    twin.eval()
    if batch_statistics:
        _use_batch_statistics(twin)
    return twin


def _use_batch_statistics(network: nn.Module) -> None:
    """Let the batch normalization inside an evaluating network use each batch's own statistics."""
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):  # pyright: ignore[reportPrivateUsage]
            layer.train()
            layer.momentum = 0.0  # the running statistics stay as they are
