"""Where networks run, in which arithmetic, and how their weights lie in memory."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import torch
from torch import nn

_log = logging.getLogger(__name__)

Network = TypeVar("Network", bound=nn.Module)
Precision = Literal["fp32", "bf16", "auto"]

DEVICES = "auto, cpu, cuda or cuda:N"

NVIDIA_CARD = (Path("/dev/nvidia0"), Path("/proc/driver/nvidia"))
"""One of them is there where there is a card and its driver."""

NATIVE_BF16_CAPABILITY = (8, 0)
"""Of CUDA cards; older ones (T4, V100, RTX 20) compute bf16 by way of float32, and slower."""

NATIVE_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
"""Of processors. Others emulate it as well."""

CPU_FACTS = Path("/proc/cpuinfo")


class DeviceError(ValueError):
    """A device or precision that cannot be had; the message says what to take instead."""


def placed(network: Network, device: torch.device) -> Network:
    """The network on a device, its convolutions channels-last: the faster layout on CPUs and GPUs
    alike.
    """
    # torch's annotations do not know this form of `to`.
    return cast(Network, cast(Any, network).to(device=device, memory_format=torch.channels_last))


def choose_device(name: str) -> torch.device:
    """The device of this name; `auto` is the first CUDA device where there is one, else the CPU,
    with a warning where that leaves a card idle.
    """
    if name == "auto":
        if not torch.cuda.is_available():
            _warn_of_an_idle_card()
            return torch.device("cpu")
        name = "cuda"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"device is {name!r}; expected {DEVICES}") from error
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"device is {name!r}; expected {DEVICES}")
    visible = torch.cuda.device_count()
    if device.type == "cuda" and not 0 <= (device.index or 0) < visible:
        raise DeviceError(
            f"device is {name!r}, but {visible} CUDA devices are visible to torch "
            f"{torch.__version__}: use another one or cpu, or see docs/gpu.md"
        )
    if device.type == "cuda":
        exact_float32()
    return device


@cache
def _warn_of_an_idle_card() -> None:
    """Once: hours on a CPU beside a card that nobody asked about are no service."""
    if any(path.exists() for path in NVIDIA_CARD):
        _log.warning(
            "dgnet: this machine has an NVIDIA card, but torch %s (built for CUDA %s) cannot use "
            "it, so everything is computed on the CPU. The driver may be too old for this torch, "
            "or the container was not given the card: see docs/gpu.md. --device cpu says that it "
            "is meant, --device cuda fails instead",
            torch.__version__,
            torch.version.cuda,
        )


def exact_float32() -> None:
    """float32 on CUDA is float32: torch's default for convolutions, TF32, keeps 10 of its 23 bits.

    For the whole process, by the settings that torch.compile reads, too (the newer ones of torch
    break it where both were used).
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def autocast_dtype(precision: Precision, device: torch.device) -> torch.dtype | None:
    """`auto` is bf16 where the device has instructions for it, else float32 (None)."""
    if precision not in ("fp32", "bf16", "auto"):
        raise DeviceError(f"precision is {precision!r}; expected fp32, bf16 or auto")
    if precision == "bf16" and not has_native_bf16(device):
        _log.warning("dgnet: %s only emulates bf16: fp32 is faster", kind_of(device))
    if device.type == "cuda":
        exact_float32()
    wanted = precision == "bf16" or (precision == "auto" and has_native_bf16(device))
    return torch.bfloat16 if wanted else None


def has_native_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for bf16; emulated, it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= NATIVE_BF16_CAPABILITY
    return not NATIVE_BF16_FLAGS.isdisjoint(_processor_flags())


def kind_of(device: torch.device) -> str:
    """Of card or processor, such as `NVIDIA H200` or `CPU AVX512`: others may round differently."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU {torch.backends.cpu.get_cpu_capability()}"


@cache
def _processor_flags() -> frozenset[str]:
    """What Linux says that the processor can do; nothing elsewhere."""
    try:
        lines = CPU_FACTS.read_text().splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())
