"""What may lie in the folder of jobs though nobody wants it: found by name alone.

Folders that are being deleted, and halves of requests, are of no use to anybody whatever Redis
knows. Of everything else Redis has to say what it is (`JobStore.sweep`): a folder or a request of
which it knows nothing is what `resume` brings a job back from.
"""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from dgnet.files import PART
from dgnet.jobs.generation.records import DELETED_SUFFIX, is_job_id
from dgnet.jobs.storage import StorageSettings

_HIDDEN = r"\.(gen_[A-Za-z0-9_-]{22})"
_DELETED = re.compile(_HIDDEN + r"\.[0-9a-f]{8}" + re.escape(DELETED_SUFFIX))
_HALF = re.compile(r"\.?" + _HIDDEN + r"\.(?:json|unsettled)\.[0-9a-f]{8}" + re.escape(PART))
_UNSETTLED = re.compile(_HIDDEN + r"\.unsettled")


@dataclass(kw_only=True)
class Leftovers:
    """Ids of jobs that have files here."""

    jobs: set[str] = field(default_factory=set[str])
    """With a folder or a request."""
    unsettled: set[str] = field(default_factory=set[str])
    """With a request that was written so long ago that no submission is under way any more."""


def look_through(storage: StorageSettings, *, settling_seconds: float) -> Leftovers:
    """Removes what is known by its name, and names the rest. Raises OSError."""
    found = Leftovers()
    latest = time.time() - settling_seconds
    try:
        entries = sorted((storage.data_root / "jobs").iterdir())
    except FileNotFoundError:
        return found
    for entry in entries:
        if _DELETED.fullmatch(entry.name):
            shutil.rmtree(entry, ignore_errors=True)
        elif is_job_id(entry.name.removesuffix(".json")):
            found.jobs.add(entry.name.removesuffix(".json"))
        elif (match := _UNSETTLED.fullmatch(entry.name)) and _written(entry) < latest:
            found.unsettled.add(match[1])
        elif _HALF.fullmatch(entry.name) and _written(entry) < latest:
            entry.unlink(missing_ok=True)
    return found


def _written(path: Path) -> float:
    """When, in seconds since the epoch; never for what is gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
