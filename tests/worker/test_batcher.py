"""The micro-batcher alone: bisection, memory, a broken device."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from dgnet.arrays import Floats, Pixels
from dgnet.worker.batcher import DeviceBroken, MicroBatcher, Served
from dgnet.worker.device import DeviceThread
from dgnet.worker.handlers import CanaryFailed, is_out_of_memory, run_canary
from tests.worker.fakes import FakePredictor, OutOfMemoryError


class Device:
    """Doubles numbers; 13 fails; more than `fits` do not fit in memory."""

    def __init__(self, *, fits: int = 1000, healthy: bool = True) -> None:
        self.sizes: list[int] = []
        self.fits = fits
        self.healthy = healthy

    def double(self, numbers: Sequence[Any]) -> Sequence[Any]:
        self.sizes.append(len(numbers))
        if len(numbers) > self.fits:
            raise OutOfMemoryError(f"{len(numbers)} do not fit")
        if 13 in numbers:
            raise ValueError("13")
        return [2 * number for number in numbers]

    def probe(self) -> None:
        if not self.healthy:
            raise RuntimeError("gone")


@asynccontextmanager
async def batcher_of(
    device: Device, *, max_batch: int = 8, small_batch_seconds: float = 600.0
) -> AsyncGenerator[MicroBatcher]:
    thread = DeviceThread()
    try:
        yield MicroBatcher(
            {"double": device.double, "other": device.double},
            device=thread,
            probe=device.probe,
            is_out_of_memory=is_out_of_memory,
            max_batch=max_batch,
            small_batch_seconds=small_batch_seconds,
        )
    finally:
        thread.close()


async def serve_all(batcher: MicroBatcher, numbers: Sequence[int]) -> list[Any]:
    answers = await asyncio.gather(
        *(batcher.serve("double", number) for number in numbers), return_exceptions=True
    )
    return [answer.output if isinstance(answer, Served) else answer for answer in answers]


async def test_failing_batch_is_bisected_until_the_culprit_stands_alone() -> None:
    device = Device()
    async with batcher_of(device) as batcher:
        answers = await serve_all(batcher, [1, 2, 13, 4])
    assert [answers[0], answers[1], answers[3]] == [2, 4, 8]
    assert isinstance(answers[2], ValueError)
    assert device.sizes == [4, 2, 2, 1, 1]


class Activations:
    """What a batch takes on the device."""


async def test_what_did_not_fit_is_given_back_before_less_is_tried() -> None:
    thread, alive = DeviceThread(), list[weakref.ref[Activations]]()
    events: list[str] = []

    def call(numbers: Sequence[Any]) -> Sequence[Any]:
        held = sum(reference() is not None for reference in alive)
        events.append(f"{len(numbers)} beside {held}")
        activations = Activations()
        alive.append(weakref.ref(activations))
        if len(numbers) > 2:
            raise OutOfMemoryError(f"{len(numbers)} do not fit") from ValueError("of torch's own")
        return numbers

    batcher = MicroBatcher(
        {"double": call}, device=thread, probe=lambda: None, is_out_of_memory=is_out_of_memory,
        free_memory=lambda: events.append(f"freed in {threading.current_thread().name}"),
        max_batch=8, small_batch_seconds=600.0,
    )  # fmt: skip
    gc.disable()  # an error that refers to itself would free what it holds only now and then
    try:
        assert await serve_all(batcher, range(4)) == [0, 1, 2, 3]
    finally:
        gc.enable()
        thread.close()
    assert events == ["4 beside 0", "freed in device", "2 beside 0", "2 beside 0"]


async def test_out_of_memory_halves_and_remembers() -> None:
    device = Device(fits=3)
    async with batcher_of(device) as batcher:
        assert await serve_all(batcher, range(8)) == [2 * n for n in range(8)]
        assert device.sizes == [8, 4, 2, 2, 4, 2, 2]
        device.sizes.clear()
        assert await serve_all(batcher, range(4)) == [0, 2, 4, 6]
    assert device.sizes == [2, 2]


async def test_larger_batches_are_tried_again_after_a_while() -> None:
    device = Device(fits=3)
    async with batcher_of(device, small_batch_seconds=0.0) as batcher:
        await serve_all(batcher, range(4))
        device.fits = 1000
        device.sizes.clear()
        await serve_all(batcher, range(8))
    assert device.sizes == [8]


async def test_broken_device_blames_no_job() -> None:
    async with batcher_of(Device(healthy=False)) as batcher:
        answers = await serve_all(batcher, [13])
    assert isinstance(answers[0], DeviceBroken)


async def test_kinds_are_batches_of_their_own_and_neither_starves() -> None:
    device = Device()
    async with batcher_of(device, max_batch=2) as batcher:
        order: list[str] = []

        async def serve(kind: str) -> None:
            await batcher.serve(kind, 1)
            order.append(kind)

        kinds = ["double", "double", "double", "other", "other", "double"]
        await asyncio.gather(*(serve(kind) for kind in kinds))
    assert order == ["double", "double", "double", "double", "other", "other"]


def test_canary_tells_what_the_device_said() -> None:
    predictor = FakePredictor()
    run_canary(predictor)
    predictor.broken = True
    with pytest.raises(CanaryFailed, match="fell off the bus"):
        run_canary(predictor)


def test_canary_refuses_embeddings_that_are_not_numbers() -> None:
    class NotANumber(FakePredictor):
        def embed(self, images: Pixels) -> Floats:
            return super().embed(images) * np.float32("nan")

    with pytest.raises(CanaryFailed, match="not finite"):
        run_canary(NotANumber())
