"""Background tasks: none ends unseen, and all end for certain."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

_log = logging.getLogger(__name__)

_ASK_AGAIN_SECONDS = 0.1
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0
_MOST_ENDS = 5
_MOST_ENDS_WITHIN_SECONDS = 60.0


class TaskKeepsEnding(Exception):
    """A background task ended again and again: its owner cannot go on without it."""


class Background:
    """Tasks that run as long as their owner does.

    One that raises or is cancelled by somebody else is told in the log and begun anew. Where it
    ends more than five times within a minute, `give_up` is told why, and it is left at that;
    without `give_up` it is begun anew for ever. One that returns has done what it was for.
    """

    def __init__(self, give_up: Callable[[TaskKeepsEnding], None] | None = None) -> None:
        self._give_up = give_up
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ends: dict[str, deque[float]] = {}
        self._closed = False

    def start(self, name: str, run: Callable[[], Coroutine[None, None, None]]) -> None:
        """Runs `run` under this name, once for each name."""
        if self._closed:
            return
        task = asyncio.create_task(run(), name=name)
        self._tasks[name] = task
        task.add_done_callback(lambda ended: self._ended(name, run, ended))

    async def returned(self, names: Iterable[str], timeout_seconds: float) -> None:
        """Waits until these tasks have returned, or ended otherwise; not longer than that."""
        waited_for = [self._tasks[name] for name in names if name in self._tasks]
        if waited_for:
            await asyncio.wait(waited_for, timeout=max(0.0, timeout_seconds))

    async def close(self) -> None:
        """Ends all tasks."""
        self._closed = True
        await cancel_and_wait(self._tasks.values())

    def _ended(
        self, name: str, run: Callable[[], Coroutine[None, None, None]], task: asyncio.Task[None]
    ) -> None:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if self._closed or error is None:
            return
        now = time.monotonic()
        ends = self._ends.setdefault(name, deque())
        ends.append(now)
        while ends[0] < now - _MOST_ENDS_WITHIN_SECONDS:
            ends.popleft()
        if self._give_up is not None and len(ends) > _MOST_ENDS:
            reason = TaskKeepsEnding(
                f"the background task {name!r} ended {len(ends)} times within "
                f"{_MOST_ENDS_WITHIN_SECONDS:g} s, the last time by {error!r}"
            )
            reason.__cause__ = error
            self._give_up(reason)
            return
        _log.error(
            "the background task %r ended by %r and is begun anew", name, error, exc_info=error
        )
        pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** (len(ends) - 1))
        asyncio.get_running_loop().call_later(pause, self.start, name, run)


async def cancel_and_wait(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels tasks until they have ended; what they raised is dropped.

    Once is not enough: on Python 3.11 `asyncio.wait_for`, which redis-py and fakeredis use, may
    swallow a cancellation that arrives together with its result (seen with both).
    """
    remaining = set(tasks)
    while remaining:
        for task in remaining:
            task.cancel()
        ended, remaining = await asyncio.wait(remaining, timeout=_ASK_AGAIN_SECONDS)
        for task in ended:
            if not task.cancelled():
                task.exception()  # retrieved, so that it is not reported at collection
