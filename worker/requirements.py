"""What the queue asks of Redis, tried before a worker says that it is ready.

Each command is given once, on keys of its own that end with the look: a server that is too old, or
a user whose permissions (ACL) lack one, is found here and not in the middle of a job. Scripts need
the permissions of what they call, too, so all commands are tried in the same way.
"""

from __future__ import annotations

import re
import secrets
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from dgnet.jobs.keys import Keys
from dgnet.jobs.outages import is_outage

LEAST_VERSION = (6, 2)
"""XPENDING with IDLE."""

# S string, N number, X stream, H hash, T set, Z sorted set, L list, C channel: names below the
# prefix. One line a type; docs/queue.md lists the same commands.
_TRIED = """
PING|TIME|EVAL return(1) 0
SET S o PX 60000|SET S o KEEPTTL|GET S|GETRANGE S 0 0|STRLEN S|MGET S|EXISTS S|EXPIRE S 60|PERSIST S
INCR N|INCRBY N 1|DECRBY N 1
XADD X 1-1 a b|XLEN X|XRANGE X - +|XREAD COUNT 1 STREAMS X 0|XGROUP CREATE X g 0 MKSTREAM
XREADGROUP GROUP g c COUNT 1 STREAMS X >|XPENDING X g IDLE 0 - + 1|XCLAIM X g c 0 1-1 JUSTID
XACK X g 1-1|XINFO CONSUMERS X g|XGROUP DELCONSUMER X g c|XDEL X 1-1
HSET H a b|HGET H a|HMGET H a|HGETALL H|HKEYS H|HVALS H|HINCRBY H n 1|HDEL H a
SADD T a|SCARD T|SMEMBERS T|SISMEMBER T a|SREM T a
ZADD Z 1 a|ZCARD Z|ZRANGE Z 0 -1|ZREVRANGEBYSCORE Z +inf -inf|ZREM Z a
RPUSH L a|LPOP L|PUBLISH C o
DEL S N X H T Z L
"""
_NAMES = "SNXHTZLC"
COMMANDS = tuple(sorted({line.split()[0] for line in re.split(r"[|\n]", _TRIED.strip())}))
"""What a worker's user must be allowed; front ends also SUBSCRIBE and UNSUBSCRIBE."""


async def shortcomings(redis: Redis, keys: Keys) -> list[str]:
    """What Redis lacks, in words; raises what an outage raises."""
    name = f"{keys.prefix}:check:{secrets.token_hex(8)}"
    pipeline: Any = redis.pipeline(transaction=False)
    pipeline.response_callbacks = {}  # answers are only looked at for errors
    commands = [line.split(" ") for line in re.split(r"[|\n]", _TRIED.strip())]
    for command in commands:
        pipeline.execute_command(
            command[0], *(f"{name}:{word}" if word in _NAMES else word for word in command[1:])
        )
    replies = cast("list[Any]", await pipeline.execute(raise_on_error=False))
    found: list[str] = []
    for command, reply in zip(commands, replies, strict=True):
        if not isinstance(reply, Exception):
            continue
        words = " ".join(command[:2] if command[0] in ("XGROUP", "XINFO") else command[:1])
        if isinstance(reply, NoPermissionError):
            found.append(f"its user may not {words} on {keys.prefix}:* ({reply})")
        elif isinstance(reply, ResponseError) and ("nknown" in str(reply) or not is_outage(reply)):
            found.append(f"it does not take {' '.join(command)} ({reply})")
        else:
            raise reply
    return await _too_old(redis) + found


async def dangers(redis: Redis) -> list[str]:
    """What works and may lose work, in words."""
    about = await _about(redis, "memory")
    policy = str(about.get("maxmemory_policy", "noeviction"))
    if not about.get("maxmemory") or policy == "noeviction":
        return []
    return [
        f"its maxmemory-policy is {policy}: it throws queued work away when it is full; set "
        "noeviction"
    ]


async def _too_old(redis: Redis) -> list[str]:
    version = str((await _about(redis, "server")).get("redis_version", ""))
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if not numbers or numbers >= LEAST_VERSION:
        return []
    return [f"it is version {version}, expected {'.'.join(map(str, LEAST_VERSION))} or newer"]


async def _about(redis: Redis, section: str) -> dict[str, Any]:
    try:
        return await redis.info(section)  # pyright: ignore[reportUnknownMemberType]
    except ResponseError:  # not allowed, and not needed
        return {}
