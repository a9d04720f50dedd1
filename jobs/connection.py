"""How the queue connects to Redis, for front end and workers alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, cast

from redis.asyncio import (
    BlockingConnectionPool,
    Connection,
    Redis,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from dgnet.jobs.outages import REDIS_ERRORS as REDIS_ERRORS  # for those who talk to Redis
from dgnet.jobs.outages import lost_connections_told

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
    pool = cast("Any", BlockingConnectionPool).from_url(
        redis_url,
        max_connections=MOST_CONNECTIONS,
        timeout=_SOCKET_TIMEOUT_SECONDS,
        protocol=2,
        socket_timeout=_SOCKET_TIMEOUT_SECONDS,
        socket_connect_timeout=2.0,
        retry=Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.3), retries=3),
    )
    pool.connection_class = _TELLING[pool.connection_class]
    return Redis.from_pool(pool)


class _Telling:
    """A connection that tells its loss as ConnectionError, whatever the event loop calls it.

    Then redis-py itself connects again, and whoever asked knows an outage when it is one.
    """

    async def connect_check_health(self, *arguments: Any, **options: Any) -> None:
        with lost_connections_told():
            await cast("Any", super()).connect_check_health(*arguments, **options)

    async def send_packed_command(self, *arguments: Any, **options: Any) -> None:
        with lost_connections_told():
            await cast("Any", super()).send_packed_command(*arguments, **options)

    async def can_read(self, *arguments: Any, **options: Any) -> Any:
        with lost_connections_told():
            return await cast("Any", super()).can_read(*arguments, **options)

    async def can_read_destructive(self, *arguments: Any, **options: Any) -> Any:
        """`can_read` of redis-py before 8."""
        with lost_connections_told():
            return await cast("Any", super()).can_read_destructive(*arguments, **options)

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        with lost_connections_told():
            return await cast("Any", super()).read_response(*arguments, **options)

    async def disconnect(self, *arguments: Any, **options: Any) -> None:
        with suppress(RuntimeError):  # it is closed already
            await cast("Any", super()).disconnect(*arguments, **options)


class _TcpConnection(_Telling, Connection):
    pass


class _TlsConnection(_Telling, SSLConnection):
    pass


class _UnixConnection(_Telling, UnixDomainSocketConnection):
    pass


_TELLING: dict[type, type] = {
    Connection: _TcpConnection,
    SSLConnection: _TlsConnection,
    UnixDomainSocketConnection: _UnixConnection,
}


async def run_script(
    redis: Redis,
    script: str,
    keys: Sequence[str],
    arguments: Sequence[str | bytes | int | float],
) -> Any:
    """One EVAL; see scripts.py for why the text travels each time."""
    evaluate = cast("Callable[..., Awaitable[Any]]", redis.eval)  # typed for sync and async at once
    return await evaluate(script, len(keys), *keys, *arguments)


def stream_entries(reply: Any) -> list[tuple[str, Entry]]:
    """(stream, entry) pairs of an XREAD or XREADGROUP reply; none if it timed out."""
    streams = cast("list[tuple[bytes, list[Entry]]] | None", reply)
    return [(name.decode(), entry) for name, entries in streams or [] for entry in entries]
