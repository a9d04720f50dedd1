"""A queue without a server: the same commands on a store inside this process.

For `dgnet serve` without a Redis URL: front end, queue and worker share one process and one event
loop. The store is fakeredis with Lua; docs/queue.md says what was compared. Nothing survives the
process, and nobody else can reach it.
"""

from __future__ import annotations

from typing import Any, cast

from redis.asyncio import Redis

try:
    from fakeredis import FakeAsyncRedis, FakeServer
except ImportError as error:
    raise ImportError(
        "a queue inside this process needs fakeredis: install dgnet[embedded], "
        "or give a Redis server by --redis-url"
    ) from error


_MOST_CONNECTIONS = 2**31  # they are objects of this process: nobody need wait for one


class _WaitingRedis(FakeAsyncRedis):
    """fakeredis answers XREADGROUP with BLOCK and COUNT at once; this one waits."""

    async def xreadgroup(
        self,
        groupname: str,
        consumername: str,
        streams: dict[Any, Any],
        count: int | None = None,
        block: int | None = None,
        *arguments: Any,
        **options: Any,
    ) -> Any:
        async def read() -> Any:
            return await super(_WaitingRedis, self).xreadgroup(
                groupname, consumername, streams, count, None, *arguments, **options
            )

        if block is None:
            return await read()
        # Positions before reading: whatever arrives later ends the wait at once.
        positions = {
            stream: (await self.xinfo_stream(stream))["last-generated-id"] for stream in streams
        }
        reply = await read()
        if not reply and await self.xread(positions, count=1, block=block):
            reply = await read()
        return reply


def embedded_redis() -> Redis:
    """A client of a new, empty store; use it from one event loop."""
    return cast("Redis", _WaitingRedis(server=FakeServer(), max_connections=_MOST_CONNECTIONS))
