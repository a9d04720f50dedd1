"""One thread that owns the device.

What comes from requests goes before what comes from bulk jobs, so that a request waits for at most
one bulk batch.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from dgnet.worker.serial_thread import LATER, SerialThread, bearable

T = TypeVar("T")

_LOOK_SECONDS = 1.0  # whether the thread is alive, while a call takes long


class DeviceClosed(Exception):
    """The thread has ended and runs nothing more."""


class DeviceThread(SerialThread):
    """Runs calls on the device one after the other."""

    def __init__(self) -> None:
        super().__init__("device")

    def run_bulk(self, call: Callable[[], T]) -> T:
        """Run a call for another thread, which waits; after everything that `run` was given.

        Raises DeviceClosed once the thread has ended.
        """
        answer: Future[T] = Future()

        def perform() -> None:
            try:
                if self._closed:
                    raise DeviceClosed("the device is no longer used")
                answer.set_result(call())
            except BaseException as error:
                answer.set_exception(bearable(error))

        self._put(LATER, perform)
        while not wait([answer], timeout=_LOOK_SECONDS).done:
            if not self._thread.is_alive():  # it ended before it saw the call
                raise DeviceClosed("the device is no longer used")
        return answer.result()
