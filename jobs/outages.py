"""What an outage of Redis looks like: the one place that knows.

An outage is no fault of what was asked: Redis is away, silent, or takes nothing from us now (full,
read-only, loading, a permission missing). The same may succeed later, so work that is done waits
for it, and requests are told to come again. Any other refusal, such as a record of the wrong type,
is about what was asked, and would come again for ever.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from redis.exceptions import (
    ConnectionError,
    InvalidResponse,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from dgnet.jobs.errors import QueueUnavailable

T = TypeVar("T")

RETRY_AFTER_SECONDS = 2.0
_SLICES = 10

REDIS_ERRORS = (RedisError, OSError)
"""Whatever a command may raise: an outage, or a refusal of what was asked."""

_REFUSES_ALL = (NoPermissionError, OutOfMemoryError, ReadOnlyError)
# Errors that the client library has no class for, and those that a script passes on: Redis 6 wraps
# them into "ERR Error running script (...): -READONLY ...".
_REFUSALS_OF_ALL = re.compile(
    r"(?:^|-|: )(?:READONLY|OOM|LOADING|BUSY|MISCONF|MASTERDOWN|CLUSTERDOWN|NOREPLICAS|NOPERM|"
    r"NOAUTH|WRONGPASS|UNKILLABLE) |ACL failure in script|executing the script can't run|"
    r"against a read only replica|when used memory > 'maxmemory'|unknown (?:Redis )?command|"
    r"Unknown Redis command|max number of clients"
)


def is_outage(error: BaseException) -> bool:
    """Whether Redis is away or takes nothing now, whoever asks and whatever for."""
    if isinstance(error, ResponseError):
        return isinstance(error, _REFUSES_ALL) or bool(_REFUSALS_OF_ALL.search(str(error)))
    return isinstance(error, (ConnectionError, InvalidResponse, TimeoutError, OSError))


class Backoff:
    """Pauses between tries: 0.05 s, then each twice as long as the one before."""

    def __init__(self, longest_seconds: float = 1.0) -> None:
        self._longest_seconds = longest_seconds
        self._seconds = 0.0

    def reset(self) -> None:
        """A try succeeded."""
        self._seconds = 0.0

    async def pause(self) -> None:
        self._seconds = min(self._longest_seconds, self._seconds * 2 or 0.05)
        await asyncio.sleep(self._seconds)


async def until_taken(call: Callable[[], Awaitable[T]], tell: Callable[[BaseException], None]) -> T:
    """What `call` returns once Redis takes it: the work is done, an outage should not undo it.

    `tell` hears of each try that an outage ended; any other refusal is raised.
    """
    backoff = Backoff()
    while True:
        try:
            return await call()
        except REDIS_ERRORS as error:
            if not is_outage(error):
                raise
            tell(error)
            await backoff.pause()


@contextmanager
def lost_connections_told() -> Generator[None]:
    """Around what a connection does: raises ConnectionError for what is one by another name.

    uvloop raises a RuntimeError ("the handler is closed") where a transport was reset meanwhile,
    asyncio's streams an EOFError where it ended in the middle of a reply.
    """
    try:
        yield
    except (RuntimeError, EOFError) as error:
        raise ConnectionError(f"the connection to Redis is lost: {error}") from error


async def answered_within(seconds: float, asked: Awaitable[T]) -> T:
    """What Redis answers; raises TimeoutError where it is silent for so long.

    Requests have no time for a connection's own, longer patience. The wait is in slices: a process
    that stood still itself has lost one slice, and is not told that Redis did.
    """
    task = asyncio.ensure_future(asked)
    done: set[asyncio.Task[T]] = set()
    try:
        for _ in range(_SLICES):
            done, _ = await asyncio.wait([task], timeout=seconds / _SLICES)
            if done:
                break
    finally:
        if not task.done():
            task.add_done_callback(_drop)
            task.cancel()
    if not done:
        raise TimeoutError(f"Redis was silent for {seconds:g} s")
    return task.result()


def unavailable(error: BaseException) -> QueueUnavailable:
    """The error a client may see; the cause goes to the log by chaining."""
    does = "takes nothing now" if isinstance(error, ResponseError) else "does not answer"
    return QueueUnavailable(
        f"the queue {does} ({type(error).__name__}); try again shortly",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


async def asked_for_a_request(seconds: float, asked: Awaitable[T]) -> T:
    """The answer as `answered_within` has it; raises QueueUnavailable for all that can go wrong."""
    try:
        return await answered_within(seconds, asked)
    except REDIS_ERRORS as error:
        raise unavailable(error) from error


def _drop(task: asyncio.Future[Any]) -> None:
    """Nobody waits for it any more, whatever it ends by."""
    if not task.cancelled():
        task.exception()
