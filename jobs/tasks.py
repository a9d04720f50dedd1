"""Ending background tasks for certain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

_ASK_AGAIN_SECONDS = 0.1


async def cancel_and_wait(tasks: Iterable[asyncio.Task[None]]) -> None:
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
