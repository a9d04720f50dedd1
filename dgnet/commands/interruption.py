"""Lets SIGTERM end long work the way Ctrl-C does: by KeyboardInterrupt, where the work can tell."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def sigterm_interrupts() -> Generator[None]:
    """Within the block SIGTERM raises KeyboardInterrupt; afterwards it does what it did before."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
