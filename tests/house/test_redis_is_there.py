"""The queue's tests skip where there is no redis-server; this one makes that loud."""

from __future__ import annotations

from tests.redis_server import redis_server_binary


def test_a_real_redis_server_is_found() -> None:
    assert redis_server_binary() is not None, (
        "no redis-server on the PATH or beside the interpreter: `make test` provides one, or "
        "install it (Debian: apt-get install redis-server)"
    )
