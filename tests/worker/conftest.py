"""The queue's two stores: every test that takes `connect` runs on both."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from dgnet.jobs.connection import connect as connect_to_url
from dgnet.jobs.embedded import embedded_redis
from tests.generation.conftest import checkpoint, memory, networks, people
from tests.redis_server import RedisServer, redis_server_binary
from tests.worker.harness import Connect, flush

# Fixtures of generation that tests of its workers take too.
__all__ = ["checkpoint", "memory", "networks", "people"]


@pytest.fixture(scope="session")
def shared_server() -> Iterator[RedisServer]:
    if redis_server_binary() is None:
        pytest.skip("no redis-server on PATH or beside the interpreter")
    with RedisServer() as server:
        yield server


@pytest_asyncio.fixture
async def server(shared_server: RedisServer) -> RedisServer:
    """A real server, empty."""
    redis = connect_to_url(shared_server.url)
    await flush(redis)
    await redis.aclose()
    return shared_server


@pytest.fixture
def durable_server() -> Iterator[RedisServer]:
    """A real server of the test's own that writes an append-only file."""
    if redis_server_binary() is None:
        pytest.skip("no redis-server on PATH or beside the interpreter")
    with RedisServer(append_only=True) as server:
        yield server


@pytest_asyncio.fixture(params=["embedded", "server"])
async def connect(request: pytest.FixtureRequest) -> AsyncGenerator[Connect]:
    """Gives clients of one store; on a server each has connections of its own."""
    clients: list[Redis] = []
    if request.param == "embedded":
        clients.append(embedded_redis())
        yield lambda: clients[0]
    else:
        server: RedisServer = request.getfixturevalue("shared_server")

        def connect_to_server() -> Redis:
            clients.append(connect_to_url(server.url))
            return clients[-1]

        await flush(connect_to_server())
        yield connect_to_server
    for client in clients:
        await client.aclose()
