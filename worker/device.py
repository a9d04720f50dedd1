"""One thread that owns the device, so that nothing blocks the event loop.

What comes from requests goes before what comes from bulk jobs, so that a request waits for at most
one bulk batch. A daemon thread rather than an executor: the interpreter waits for executors at
exit, and a device call that hangs must not outlive the shutdown deadline.
"""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

T = TypeVar("T")

_END, _SMALL, _BULK = 0, 1, 2  # what is taken first
_LOOK_SECONDS = 1.0  # whether the thread is alive, while a call takes long


class DeviceClosed(Exception):
    """The thread has ended and runs nothing more."""


class DeviceThread:
    """Runs calls one after the other in a thread of its own."""

    def __init__(self, name: str = "device") -> None:
        self._calls: queue.PriorityQueue[tuple[int, int, Callable[[], None]]] = (
            queue.PriorityQueue()
        )
        self._order = itertools.count()  # first come, first served within a priority
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def run(self, call: Callable[[], T]) -> T:
        """What `call` returns or raises."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def answer_with(settle: Callable[[Any], None], value: object) -> None:
            def apply() -> None:
                if not answer.done():
                    settle(value)

            if not loop.is_closed():  # a call may outlive its worker
                loop.call_soon_threadsafe(apply)

        def perform() -> None:
            try:
                result = call()
            except BaseException as error:
                answer_with(answer.set_exception, _bearable(error))
            else:
                answer_with(answer.set_result, result)

        self._put(_SMALL, perform)
        return await answer

    def run_bulk(self, call: Callable[[], T]) -> T:
        """As `run`, for another thread, which waits; after everything that `run` was given.

        Raises DeviceClosed once the thread has ended.
        """
        answer: Future[T] = Future()

        def perform() -> None:
            try:
                if self._closed:
                    raise DeviceClosed("the device is no longer used")
                answer.set_result(call())
            except BaseException as error:
                answer.set_exception(_bearable(error))

        self._put(_BULK, perform)
        while not wait([answer], timeout=_LOOK_SECONDS).done:
            if not self._thread.is_alive():  # it ended before it saw the call
                raise DeviceClosed("the device is no longer used")
        return answer.result()

    def close(self) -> None:
        """Ends the thread after the call in progress; does not wait for it."""
        self._closed = True
        self._put(_END, lambda: None)

    def _put(self, priority: int, perform: Callable[[], None]) -> None:
        self._calls.put((priority, next(self._order), perform))

    def _work(self) -> None:
        while not self._closed:
            self._calls.get()[2]()
        while not self._calls.empty():  # whoever waits is told
            priority, _, perform = self._calls.get()
            if priority == _BULK:
                perform()


def _bearable(error: BaseException) -> Exception:
    """The error as a future can carry it: futures refuse StopIteration and would never be done,
    and an interpreter's exit that a library asks for must end the call, not the event loop.
    """
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError(f"the call ended by {error!r}")
    wrapped.__cause__ = error
    return wrapped
