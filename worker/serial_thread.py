"""One thread that does calls one after the other, so that nothing blocks the event loop.

A daemon thread rather than an executor: the interpreter waits for executors at exit, and a call
that hangs must not outlive the shutdown deadline.
"""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

END, FIRST, LATER = 0, 1, 2  # what is taken first


class SerialThread:
    """Runs calls one after the other in a thread of its own."""

    def __init__(self, name: str) -> None:
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
                answer_with(answer.set_exception, bearable(error))
            else:
                answer_with(answer.set_result, result)

        self._put(FIRST, perform)
        return await answer

    def close(self) -> None:
        """Ends the thread after the call in progress; does not wait for it."""
        self._closed = True
        self._put(END, lambda: None)

    def _put(self, priority: int, perform: Callable[[], None]) -> None:
        self._calls.put((priority, next(self._order), perform))

    def _work(self) -> None:
        while not self._closed:
            self._calls.get()[2]()
        while not self._calls.empty():  # whoever waits is told
            priority, _, perform = self._calls.get()
            if priority == LATER:
                perform()


def bearable(error: BaseException) -> Exception:
    """The error as a future can carry it: futures refuse StopIteration and would never be done,
    and an interpreter's exit that a library asks for must end the call, not the event loop.

    Without what the frames of the call held: whoever keeps the error would keep the tensors of a
    batch that did not fit, and the smaller one that is tried next would not fit either.
    """
    reason: BaseException | None = error
    while reason is not None:
        traceback.clear_frames(reason.__traceback__)
        reason = reason.__cause__ or reason.__context__
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError(f"the call ended by {error!r}")
    wrapped.__cause__ = error
    return wrapped
