"""Muon on convolutions: torch's Muon on the same numbers, whatever the memory layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import Muon
from torch.utils._python_dispatch import TorchDispatchMode

from dgnet.model.training.muon import (
    STEP_OF_ADAM,
    ConvolutionMuon,
    is_hidden_matrix,
    orthogonalized,
)
from tests.model.tiny import length

RATE = 0.01
STEPS = 3


def _native(device: torch.device) -> bool:
    return True


def _emulated(device: torch.device) -> bool:
    return False


class Counted(TorchDispatchMode):
    """Counts matrix products."""

    products = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.products += func.overloadpacket.__name__ in ("mm", "bmm", "addmm", "baddbmm")
        return func(*args, **(kwargs or {}))


def _layer(layout: torch.memory_format) -> nn.Conv2d:
    torch.manual_seed(1)  # pyright: ignore[reportUnknownMemberType]
    return nn.Conv2d(6, 5, 3).to(memory_format=layout)  # pyright: ignore[reportCallIssue]


def _gradient(step: int) -> torch.Tensor:
    return torch.randn(5, 6, 3, 3, generator=torch.Generator().manual_seed(step))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_convolution_steps_like_the_matrix_of_its_windows(
    layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dgnet.model.training.muon.has_native_bf16", _native)
    layer = _layer(layout)
    matrix = nn.Parameter(layer.weight.detach().clone().reshape(5, -1))
    expected = Muon([matrix], lr=RATE, weight_decay=0.1, adjust_lr_fn=STEP_OF_ADAM)
    optimizer = ConvolutionMuon([{"params": [layer.weight], "lr": RATE}], weight_decay=0.1)
    before = layer.weight.detach().clone()
    for step in range(STEPS):
        layer.weight.grad = _gradient(step)
        matrix.grad = _gradient(step).reshape(5, -1)
        optimizer.step()
        expected.step()  # pyright: ignore[reportUnknownMemberType]
    # The Newton-Schulz iteration runs in bfloat16, and the layouts add up in another order.
    moved = (matrix.detach().reshape(before.shape) - before).abs().mean()
    assert (layer.weight.detach() - matrix.detach().reshape(before.shape)).abs().max() < moved / 20


def test_where_bf16_is_emulated_steps_are_made_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    def as_by_torch(gradient: torch.Tensor) -> torch.Tensor:
        matrix = nn.Parameter(torch.zeros(5, 54))
        optimizer = Muon([matrix], lr=RATE, weight_decay=0.1, adjust_lr_fn=STEP_OF_ADAM)
        matrix.grad = gradient.reshape(5, -1)
        optimizer.step()  # pyright: ignore[reportUnknownMemberType]
        return matrix.detach()

    monkeypatch.setattr("dgnet.model.training.muon.has_native_bf16", _emulated)
    weight = nn.Parameter(torch.zeros(5, 6, 3, 3))
    optimizer = ConvolutionMuon([{"params": [weight], "lr": RATE}], weight_decay=0.1)
    weight.grad = _gradient(0)
    optimizer.step()
    ours, coarse = weight.detach().reshape(5, -1), as_by_torch(_gradient(0))
    assert length(ours - coarse) < 0.02 * length(coarse)  # bf16 has 8 bits
    assert not torch.equal(ours, coarse)
    # The quintic polynomial of Newton-Schulz, on the singular values alone.
    u, values, v = np.linalg.svd(_gradient(0).reshape(5, -1).double().numpy(), full_matrices=False)
    values = values / np.sqrt((values**2).sum())  # momentum only scales the first gradient
    a, b, c = optimizer.param_groups[0]["ns_coefficients"]
    for _ in range(optimizer.param_groups[0]["ns_steps"]):
        values = a * values + b * values**3 + c * values**5
    expected = -RATE * 0.2 * 54**0.5 * (u * values) @ v
    assert np.abs(ours.numpy() - expected).max() < 1e-5 * np.abs(expected).max()


def test_matrices_of_one_shape_are_multiplied_together_and_stay_apart() -> None:
    shapes = [(5, 7), (7, 5), (5, 7), (6, 6), (3, 9)]
    draws = torch.Generator().manual_seed(0)
    matrices = [torch.randn(shape, generator=draws) for shape in shapes]
    with Counted() as counted:
        together = orthogonalized(
            matrices, coefficients=(3.4, -4.8, 2.0), steps=5, dtype=torch.float32
        )
    # Three products a step for each of 5 x 7, 6 x 6 and 3 x 9.
    assert counted.products == 3 * 5 * 3
    for matrix, update in zip(matrices, together, strict=True):
        u, values, v = np.linalg.svd(matrix.double().numpy(), full_matrices=False)
        values = values / np.sqrt((values**2).sum())
        for _ in range(5):
            values = 3.4 * values - 4.8 * values**3 + 2.0 * values**5
        np.testing.assert_allclose(update.numpy(), (u * values) @ v, atol=2e-5)


def test_a_run_goes_on_where_the_arithmetic_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = _layer(torch.channels_last)
    optimizer = ConvolutionMuon([{"params": [layer.weight], "lr": RATE}], weight_decay=0.1)
    layer.weight.grad = _gradient(0)
    optimizer.step()
    momentum = next(iter(optimizer.state.values()))["momentum_buffer"].clone()
    monkeypatch.setattr("dgnet.model.training.muon.has_native_bf16", _emulated)
    optimizer.step()
    again = next(iter(optimizer.state.values()))["momentum_buffer"]
    assert torch.allclose(again, momentum * 0.95 + momentum)  # the same gradient twice


def test_weights_without_gradient_stand_still_and_gradients_are_forgotten() -> None:
    layer = _layer(torch.channels_last)
    optimizer = ConvolutionMuon([{"params": [layer.weight], "lr": RATE}], weight_decay=0.0)
    before = layer.weight.detach().clone()
    optimizer.step()
    assert torch.equal(layer.weight, before)
    layer.weight.grad = _gradient(0)
    optimizer.step()
    optimizer.zero_grad()
    assert layer.weight.grad is None
    after = layer.weight.detach().clone()
    assert not torch.equal(after, before)
    optimizer.step()
    assert torch.equal(layer.weight, after)


def test_layers_that_touch_a_picture_are_left_to_adam() -> None:
    assert is_hidden_matrix(nn.Conv2d(16, 32, 3).weight)
    assert is_hidden_matrix(nn.Linear(8, 8).weight)
    assert not is_hidden_matrix(nn.Conv2d(1, 16, 3).weight)
    assert not is_hidden_matrix(nn.Conv2d(16, 3, 1).weight)
    assert not is_hidden_matrix(nn.Linear(8, 8).bias)
