"""A generation job as everybody sees it, and the messages by which workers share it.

Light: neither torch nor `model` is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

GenerationState = Literal[
    "queued", "planning", "running", "assembling", "done", "failed", "cancelled", "expired"
]
FINAL_STATES: frozenset[GenerationState] = frozenset({"done", "failed", "cancelled", "expired"})
"""Nothing happens any more unless somebody resumes the job."""

Step = Literal["begin", "shard", "advance"]


@dataclass(frozen=True, kw_only=True)
class GenerationJob:
    """What is known of a job; times are seconds since the epoch by Redis's clock.

    `kept` and `dropped` count published shards, `made` also what is under way in others:
    kept + dropped <= made <= planned.
    """

    job_id: str
    state: GenerationState
    spec: dict[str, Any]
    """JSON of `GenerationSpec`."""
    created: float
    updated: float
    finished: float | None
    planned: int
    """Composites; 0 until the plan is known, more when dropped ones are topped up."""
    made: int
    kept: int
    dropped: dict[str, int]
    """Composites by the reason why they were dropped."""
    unreadable: int
    """Source pictures that could not be read."""
    shards: int
    shards_done: int
    rate: float | None
    """Composites a second of all workers, over the last half minute; None while unknown."""
    eta_seconds: float | None
    error_code: str | None
    error_message: str | None
    """Safe to show."""
    model_version: str | None
    """Of the checkpoint that makes the composites; None until a worker has begun."""


@dataclass(frozen=True, kw_only=True)
class JobEvent:
    """Something that happened to a job, with the job as it was then."""

    event_id: str
    """Id in the Redis stream, the value of `Last-Event-ID`."""
    kind: Literal["state", "progress"]
    job: GenerationJob


@dataclass(frozen=True, kw_only=True)
class GenerationTask:
    """A step of a job for one worker.

    `epoch` is drawn anew whenever a job is submitted, cancelled, failed, done or resumed: a task of
    another epoch than the job's is stale, and acknowledged without work.
    """

    job_id: str
    epoch: str
    step: Step
    number: int
    """Of the shard."""
