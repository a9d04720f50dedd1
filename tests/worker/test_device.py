"""The device's thread: what comes from requests goes first, and nobody is left waiting."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dgnet.worker.device import DeviceClosed, DeviceThread
from tests.worker.harness import until


async def test_a_request_waits_for_at_most_one_bulk_call() -> None:
    device, gate, order = DeviceThread(), threading.Event(), list[str]()
    with ThreadPoolExecutor(3) as others:

        def bulk(name: str) -> None:
            device.run_bulk(lambda: (gate.wait(), order.append(name)))

        first = others.submit(bulk, "bulk 1")
        await until(first.running)
        later = [others.submit(bulk, f"bulk {number}") for number in (2, 3)]
        small = asyncio.create_task(device.run(lambda: order.append("small")))
        await asyncio.sleep(0)  # it is in the queue
        gate.set()
        await small
        for call in (first, *later):
            await asyncio.wrap_future(call)
    assert order.index("small") <= 1
    device.close()


async def test_what_a_call_raises_reaches_both_kinds_of_callers() -> None:
    device = DeviceThread()
    with pytest.raises(ZeroDivisionError):
        await device.run(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(device.run_bulk, lambda: 1 / 0)
    device.close()


async def test_bulk_callers_of_a_closed_device_are_told() -> None:
    device, begun, gate = DeviceThread(), threading.Event(), threading.Event()
    holding = asyncio.create_task(device.run(lambda: (begun.set(), gate.wait())))
    await until(begun.is_set)
    with ThreadPoolExecutor(1) as others:
        waiting = others.submit(device.run_bulk, lambda: None)
        await until(waiting.running)
        device.close()
        gate.set()
        await holding
        with pytest.raises(DeviceClosed):
            await asyncio.wrap_future(waiting)
    with pytest.raises(DeviceClosed):
        device.run_bulk(lambda: None)
