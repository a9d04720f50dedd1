"""One thread that owns the device, so that nothing blocks the event loop.

A daemon thread rather than an executor: the interpreter waits for executors at exit, and a device
call that hangs must not outlive the shutdown deadline.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class DeviceThread:
    """Runs calls one after the other in a thread of its own."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="device", daemon=True)
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
                answer_with(answer.set_exception, error)
            else:
                answer_with(answer.set_result, result)

        self._calls.put(perform)
        return await answer

    def close(self) -> None:
        """Ends the thread after the call in progress; does not wait for it."""
        self._calls.put(None)

    def _work(self) -> None:
        while (perform := self._calls.get()) is not None:
            perform()
