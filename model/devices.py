"""Where networks run, in which arithmetic, and how their weights lie in memory."""

from __future__ import annotations

from typing import Any, Literal, TypeVar, cast

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)
Precision = Literal["fp32", "bf16", "auto"]

DEVICES = "auto, cpu, cuda or cuda:N"


class DeviceError(ValueError):
    """A device or precision that cannot be had; the message says what to take instead."""


def placed(network: Network, device: torch.device) -> Network:
    """The network on a device, its convolutions channels-last: the faster layout on CPUs and GPUs
    alike.
    """
    # torch's annotations do not know this form of `to`.
    return cast(Network, cast(Any, network).to(device=device, memory_format=torch.channels_last))


def choose_device(name: str) -> torch.device:
    """The device of this name; `auto` is the first CUDA device where there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"device is {name!r}; expected {DEVICES}") from error
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"device is {name!r}; expected {DEVICES}")
    visible = torch.cuda.device_count()
    if device.type == "cuda" and not 0 <= (device.index or 0) < visible:
        raise DeviceError(
            f"device is {name!r}, but {visible} CUDA devices are visible: use another one or cpu"
        )
    return device


def autocast_dtype(precision: Precision, device: torch.device) -> torch.dtype | None:
    """`auto` is bf16 where the device computes it faster than float32, which most CPUs do not."""
    if precision not in ("fp32", "bf16", "auto"):
        raise DeviceError(f"precision is {precision!r}; expected fp32, bf16 or auto")
    fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if precision == "bf16" or (precision == "auto" and fast) else None
