"""How much memory a process may still take on this machine, or in its container."""

from __future__ import annotations

import os
from pathlib import Path

MEMORY_FACTS = Path("/proc/meminfo")
CONTROL_GROUP = Path("/sys/fs/cgroup")
"""What a container sees of its own group; version 2, else version 1 below `memory`."""

_LIMIT_AND_USE = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


def free_memory_bytes() -> int:
    """What the system calls available, or what is left of the container's limit if that is less."""
    return max(0, min([_available(), *_left_in_container()]))


def _available() -> int:
    facts = _numbers(MEMORY_FACTS)
    if "MemAvailable:" in facts:
        return 1024 * facts["MemAvailable:"]
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _left_in_container() -> list[int]:
    """Of files that were read and are not in use, the system frees what it needs."""
    left: list[int] = []
    for limit, use, facts, idle in _LIMIT_AND_USE:
        try:
            most, used = (int((CONTROL_GROUP / name).read_text()) for name in (limit, use))
        except (OSError, ValueError):  # not this version, or no limit ("max")
            continue
        left.append(most - used + _numbers(CONTROL_GROUP / facts).get(idle, 0))
    return left


def _numbers(path: Path) -> dict[str, int]:
    """Lines of a name and a number."""
    try:
        words = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {line[0]: int(line[1]) for line in words if len(line) > 1 and line[1].isdigit()}
