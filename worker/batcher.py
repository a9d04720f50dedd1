"""Micro-batches: single items in, as few device calls as the load allows.

An idle device gets what is there at once; while it works, arrivals gather and become the next batch
of up to `max_batch`. There is no timer: waiting for more would only add latency. A batch that fails
is bisected until the culprit stands alone; one that does not fit in memory is halved, and the
smaller size is kept for a while. Whatever else goes wrong with a batch fails that batch alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from dgnet.worker import metrics
from dgnet.worker.device import DeviceThread

_log = logging.getLogger(__name__)

# Items of one kind in, one output for each.
DeviceCall = Callable[[Sequence[Any]], Sequence[Any] | NDArray[Any]]


class DeviceBroken(Exception):
    """The device fails even what it must always be able to do."""


class BatchLost(Exception):
    """An item's batch was lost by no fault of the item's or the device's: it may be tried again."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """An item's output and when the device worked on its batch, by the monotonic clock."""

    output: Any
    started: float
    finished: float
    batch_size: int


@dataclass(frozen=True, kw_only=True)
class _Item:
    payload: Any
    arrived: float
    answer: asyncio.Future[Served]


@dataclass
class _Kind:
    call: DeviceCall
    limit: int
    limited_until: float = 0.0
    waiting: deque[_Item] = field(default_factory=deque[_Item])


class MicroBatcher:
    """Batches items of one kind at a time; `calls` maps each kind to its device call.

    `probe` must succeed on a healthy device. It is asked before an item that fails alone is blamed:
    if it fails too, the item gets DeviceBroken, for then the job may well succeed elsewhere.
    `free_memory` gives back, on the device's thread, what a failed batch left behind.
    """

    def __init__(
        self,
        calls: Mapping[str, DeviceCall],
        *,
        device: DeviceThread,
        probe: Callable[[], None],
        is_out_of_memory: Callable[[BaseException], bool],
        free_memory: Callable[[], None] = lambda: None,
        max_batch: int,
        small_batch_seconds: float,
    ) -> None:
        self._kinds = {name: _Kind(call=call, limit=max_batch) for name, call in calls.items()}
        self._device = device
        self._probe = probe
        self._is_out_of_memory = is_out_of_memory
        self._free_memory = free_memory
        self._max_batch = max_batch
        self._small_batch_seconds = small_batch_seconds
        self._task: asyncio.Task[None] | None = None

    async def serve(self, kind: str, payload: Any) -> Served:
        """The output for one item.

        Raises what its own device call raised, DeviceBroken, or BatchLost.
        """
        answer: asyncio.Future[Served] = asyncio.get_running_loop().create_future()
        item = _Item(payload=payload, arrived=time.monotonic(), answer=answer)
        self._kinds[kind].waiting.append(item)
        self._go_on()
        return await answer

    def _go_on(self) -> None:
        if self._task is None and self._next_kind() is not None:
            self._task = asyncio.create_task(self._run(), name="batcher")
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Whatever ended the task, what arrived meanwhile is served."""
        self._task = None
        if task.cancelled() or task.exception() is not None:
            _log.error("the batcher was ended and is begun anew", exc_info=_why(task))
        self._go_on()

    async def _run(self) -> None:
        while (kind := self._next_kind()) is not None:
            state = self._kinds[kind]
            if time.monotonic() >= state.limited_until:
                state.limit = self._max_batch
            count = min(state.limit, len(state.waiting))
            taken = [state.waiting.popleft() for _ in range(count)]
            wanted = [item for item in taken if not item.answer.done()]
            if not wanted:
                continue
            try:
                await self._serve_batch(kind, wanted)
            except Exception as error:
                _log.exception("a batch of %d of kind %s surprised the batcher", len(wanted), kind)
                _lose(wanted, f"its batch met a {type(error).__name__}", error)
            finally:  # nobody may wait for ever, whatever ended the batch
                _lose(wanted, "its batch was ended", None)

    def _next_kind(self) -> str | None:
        """The kind whose first item has waited longest, so that neither starves the other."""
        for state in self._kinds.values():  # callers may have gone away
            while state.waiting and state.waiting[0].answer.done():
                state.waiting.popleft()
        kinds = [name for name, state in self._kinds.items() if state.waiting]
        return min(kinds, key=lambda name: self._kinds[name].waiting[0].arrived, default=None)

    async def _serve_batch(self, kind: str, items: list[_Item]) -> None:
        state = self._kinds[kind]
        payloads = [item.payload for item in items]
        half = len(items) // 2
        started = time.monotonic()
        try:
            outputs = await self._device.run(lambda: state.call(payloads))
            if len(outputs) != len(items):
                raise ValueError(f"{len(items)} items gave {len(outputs)} outputs of kind {kind}")
        except Exception as error:
            metrics.FAILED_BATCHES.labels(kind).inc()
            if len(items) == 1:
                await self._blame(items[0], error)
                return
            if self._is_out_of_memory(error):
                state.limit = max(1, min(state.limit, half))
                state.limited_until = time.monotonic() + self._small_batch_seconds
            outputs = None
        if outputs is None:  # out of the `except` block: the error holds what the batch held
            await self._device.run(self._free_memory)
            await self._serve_batch(kind, items[:half])
            await self._serve_batch(kind, items[half:])
            return
        finished = time.monotonic()
        metrics.BATCH_SIZE.labels(kind).observe(len(items))
        metrics.DEVICE_SECONDS.labels(kind).inc(finished - started)
        for item, output in zip(items, outputs, strict=True):
            if not item.answer.done():
                item.answer.set_result(
                    Served(output=output, started=started, finished=finished, batch_size=len(items))
                )

    async def _blame(self, item: _Item, error: Exception) -> None:
        try:
            await self._device.run(self._probe)
        except Exception as probe_error:
            broken = DeviceBroken(f"the device failed a job ({error!r}) and its check")
            broken.__cause__ = probe_error
            verdict: Exception = broken
        else:
            verdict = error
        if not item.answer.done():
            item.answer.set_exception(verdict)


def _lose(items: Sequence[_Item], reason: str, cause: Exception | None) -> None:
    """Tells those who have no answer yet."""
    for item in items:
        if not item.answer.done():
            lost = BatchLost(reason)
            lost.__cause__ = cause
            item.answer.set_exception(lost)


def _why(task: asyncio.Task[None]) -> BaseException:
    return asyncio.CancelledError() if task.cancelled() else task.exception() or RuntimeError()
