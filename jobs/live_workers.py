"""Who is alive: the heartbeats of all workers, as anybody reads them."""

from __future__ import annotations

import contextlib
from typing import cast

from redis.asyncio import Redis

from dgnet.jobs.codec import decode_worker
from dgnet.jobs.contract import WorkerInfo
from dgnet.jobs.errors import BadJob
from dgnet.jobs.keys import Keys


async def read_workers(redis: Redis, keys: Keys) -> list[WorkerInfo]:
    """Live workers; names whose heartbeat ran out are removed."""
    members = cast("set[bytes]", await redis.smembers(keys.workers))
    if not members:
        return []
    worker_ids = sorted(member.decode() for member in members)
    heartbeats = cast(
        "list[bytes | None]", await redis.mget([keys.worker(worker_id) for worker_id in worker_ids])
    )
    gone = [
        worker_id
        for worker_id, heartbeat in zip(worker_ids, heartbeats, strict=True)
        if heartbeat is None
    ]
    if gone:
        await redis.srem(keys.workers, *gone)
    alive: list[WorkerInfo] = []
    for heartbeat in heartbeats:
        if heartbeat is not None:
            with contextlib.suppress(BadJob):  # a worker of another release
                alive.append(decode_worker(heartbeat))
    return alive
