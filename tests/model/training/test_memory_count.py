"""What `benchmarks.training_memory` counts, against sums by hand."""

from __future__ import annotations

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks.training_memory import AliveBytes

MIB = 2**20


def test_storages_count_once_while_they_are_alive() -> None:
    with FakeTensorMode(), AliveBytes() as alive:
        first = torch.empty(256, 1024)  # 1 MiB of float32
        second = first * 2
        view = second.view(-1)
        assert (alive.now, alive.most) == (2 * MIB, 2 * MIB)
        del second
        assert alive.now == 2 * MIB  # the view still needs it
        del view
        assert alive.now == MIB
        half = first.bfloat16()
        assert (alive.now, alive.most) == (1.5 * MIB, 2 * MIB)
        del half


def test_what_autograd_keeps_is_alive() -> None:
    with FakeTensorMode(), AliveBytes() as alive:
        weight = torch.empty(256, 1024, requires_grad=True)
        loss = (weight.exp().exp()).sum()  # each keeps its result
        assert alive.now == 3 * MIB + 4
        loss.backward()  # pyright: ignore[reportUnknownMemberType]
        assert alive.now == 2 * MIB + 4  # the weight and its gradient
