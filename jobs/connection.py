"""How the queue connects to Redis, for front end and workers alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import RedisError

from dgnet.jobs.errors import QueueUnavailable

REDIS_ERRORS = (RedisError, OSError)
RETRY_AFTER_SECONDS = 2.0
# Longest a read may block on the server; must stay well below the socket's timeout.
BLOCK_SECONDS = 1.0
_SOCKET_TIMEOUT_SECONDS = 5.0
MOST_CONNECTIONS = 64  # of a process

Entry = tuple[bytes, dict[bytes, bytes]]  # id and fields of a stream entry


def connect(redis_url: str) -> Redis:
    """A client that tries a command again for about half a second; all of ours may be repeated.

    RESP2 replies, so that every server and the in-process store answer in the same shape. Whoever
    finds all connections at work waits for one: many at once are no outage.
    """
    pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
        redis_url,
        max_connections=MOST_CONNECTIONS,
        timeout=_SOCKET_TIMEOUT_SECONDS,
        protocol=2,
        socket_timeout=_SOCKET_TIMEOUT_SECONDS,
        socket_connect_timeout=2.0,
        retry=Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.3), retries=3),
    )
    return Redis.from_pool(pool)


async def run_script(
    redis: Redis,
    script: str,
    keys: Sequence[str],
    arguments: Sequence[str | bytes | int | float],
) -> Any:
    """One EVAL; see scripts.py for why the text travels each time."""
    evaluate = cast("Callable[..., Awaitable[Any]]", redis.eval)  # typed for sync and async at once
    return await evaluate(script, len(keys), *keys, *arguments)


def unavailable(error: BaseException) -> QueueUnavailable:
    """The error a client may see; the cause goes to the log by chaining."""
    return QueueUnavailable(
        f"the queue does not answer ({type(error).__name__}); try again shortly",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def stream_entries(reply: Any) -> list[tuple[str, Entry]]:
    """(stream, entry) pairs of an XREAD or XREADGROUP reply; none if it timed out."""
    streams = cast("list[tuple[bytes, list[Entry]]] | None", reply)
    return [(name.decode(), entry) for name, entries in streams or [] for entry in entries]
