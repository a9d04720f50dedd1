"""Bounds the decoded pixels that are alive at once, however many threads decode.

Each takes its pixels before it decodes and gives them back when only the small result is left.
Nobody is overtaken: who waits for a large picture makes those that come later wait behind it.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

# A thousand crops of people at once would take as much memory as one photograph: they do not wait.
SMALL_PIXELS: Final = 2**18
_NO_WAIT: Final = nullcontext()


class PixelBudget:
    """`limit` pixels for all who decode; a picture that is larger than that is decoded alone."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used = 0
        self._changed = threading.Condition()
        self._turn = threading.Lock()

    def taken(self, pixels: int) -> AbstractContextManager[None]:
        """Waits until so many pixels are free, and holds them."""
        return _NO_WAIT if pixels <= SMALL_PIXELS else self._taken(pixels)

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for pixels."""
        return self._turn.locked()

    @contextmanager
    def _taken(self, pixels: int) -> Generator[None]:
        wanted = min(pixels, self.limit)
        with self._turn, self._changed:
            self._changed.wait_for(lambda: self._used + wanted <= self.limit)
            self._used += wanted
        try:
            yield
        finally:
            with self._changed:
                self._used -= wanted
                self._changed.notify_all()


FILE_BUDGET: Final = PixelBudget(2**26)
"""Of all files that this process reads: one of the largest, or many smaller ones."""
