"""Where networks run and how their weights lie in memory."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def placed(network: Network, device: torch.device) -> Network:
    """The network on a device, its convolutions channels-last: the faster layout on CPUs and GPUs
    alike.
    """
    # torch's annotations do not know this form of `to`.
    return cast(Network, cast(Any, network).to(device=device, memory_format=torch.channels_last))
