"""Where networks run and in which arithmetic: `auto` chooses nothing that is emulated, and says so
where a card stands idle.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from dgnet.model import devices
from dgnet.model.devices import (
    DeviceError,
    autocast_dtype,
    choose_device,
    exact_float32,
    has_native_bf16,
    kind_of,
)

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 1)


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    """What is remembered of this machine."""
    caches = (
        devices._processor_flags,  # pyright: ignore[reportPrivateUsage]
        devices._warn_of_an_idle_card,  # pyright: ignore[reportPrivateUsage]
    )
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.fixture
def flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for /proc/cpuinfo."""
    facts = tmp_path / "cpuinfo"
    monkeypatch.setattr(devices, "CPU_FACTS", facts)
    return facts


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("fpu avx2 avx512f", None),
        ("fpu avx512f avx512_bf16", torch.bfloat16),
        ("amx_tile amx_bf16", torch.bfloat16),
    ],
)
def test_auto_is_bf16_on_processors_that_compute_it(
    names: str, expected: torch.dtype | None, flags: Path
) -> None:
    flags.write_text(f"processor\t: 0\nflags\t\t: {names}\n\nprocessor\t: 1\nflags\t\t: {names}\n")
    assert autocast_dtype("auto", CPU) == expected
    assert autocast_dtype("fp32", CPU) is None


def test_auto_is_float32_where_nothing_is_known_of_the_processor(flags: Path) -> None:
    assert not flags.exists()
    assert autocast_dtype("auto", CPU) is None


@pytest.mark.parametrize(
    ("capability", "native"), [((7, 0), False), ((7, 5), False), ((8, 0), True), ((9, 0), True)]
)
def test_cards_that_emulate_bf16_get_float32(
    capability: tuple[int, int], native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[torch.device] = []

    def capability_of(device: torch.device) -> tuple[int, int]:
        asked.append(device)
        return capability

    monkeypatch.setattr(torch.cuda, "get_device_capability", capability_of)
    assert has_native_bf16(CUDA) == native
    assert autocast_dtype("auto", CUDA) == (torch.bfloat16 if native else None)
    assert set(asked) == {CUDA}  # that very card, not the first one


def test_emulated_bf16_that_was_asked_for_is_given_and_said(
    flags: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flags.write_text("flags\t\t: avx2\n")
    assert autocast_dtype("bf16", CPU) == torch.bfloat16
    assert "only emulates bf16" in caplog.text


def test_auto_says_once_that_a_card_stands_idle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(devices, "NVIDIA_CARD", (tmp_path / "nvidia0", tmp_path))
    assert [choose_device("auto") for _ in range(2)] == [CPU, CPU]
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert "has an NVIDIA card" in warning.getMessage()
    assert "docs/gpu.md" in warning.getMessage()


def test_auto_is_silent_where_there_is_no_card_and_cpu_is_always_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(devices, "NVIDIA_CARD", (tmp_path / "nvidia0",))
    assert choose_device("auto") == CPU
    monkeypatch.setattr(devices, "NVIDIA_CARD", (tmp_path,))
    assert choose_device("cpu") == CPU
    assert not caplog.records


def test_a_card_that_torch_does_not_see_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(DeviceError, match="'cuda:1', but 1 CUDA devices are visible to torch"):
        choose_device("cuda:1")


def test_float32_is_no_tf32() -> None:
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    exact_float32()
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


def test_the_kind_of_a_processor_is_what_its_kernels_are_chosen_by() -> None:
    assert kind_of(CPU) == f"CPU {torch.backends.cpu.get_cpu_capability()}"
