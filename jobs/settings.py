"""Everything about the queue and the workers that an operator can set, by `DGNET_...` variables.

Front end and workers of one installation must agree on `QueueSettings`. No torch and no Redis here:
the front end imports this module.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from dgnet.jobs.contract import Lane


class QueueSettings(BaseSettings):
    """What front end and workers must agree on."""

    model_config = SettingsConfigDict(env_prefix="DGNET_", frozen=True, extra="ignore")

    redis_url: str | None = Field(
        default=None,
        repr=False,  # it may hold a password
        description="redis:// URL of the queue; unset: an in-process store.",
    )
    key_prefix: str = Field(
        default="dgnet", min_length=1, description="First part of every Redis key."
    )
    small_lane_depth: int = Field(
        default=1024, ge=1, description="Unfinished swaps and embeddings before answers turn 429."
    )
    grid_lane_depth: int = Field(
        default=32,
        ge=1,
        description="Unfinished grids, lists of pairs and interpolations before answers turn 429.",
    )
    bulk_lane_depth: int = Field(
        default=256, ge=1, description="Unfinished jobs in the bulk lane before answers turn 429."
    )
    lease_seconds: float = Field(
        default=10.0,
        gt=0,
        description="A job whose worker has been silent for this long goes to another worker.",
    )
    max_deliveries: int = Field(
        default=5,
        ge=1,
        description="A job lost with its worker this often is dead-lettered, not delivered again.",
    )
    job_ttl_seconds: int = Field(
        default=86_400, ge=1, description="A job without an answer is forgotten after this long."
    )
    result_ttl_seconds: int = Field(
        default=3600, ge=1, description="How long a result waits to be collected."
    )
    collected_ttl_seconds: int = Field(
        default=30,
        ge=1,
        description="How long a result stays once a waiter has it; bounds Redis's memory.",
    )
    uncollected_bytes: int = Field(
        default=268_435_456,
        ge=1,
        description="Results that nobody has fetched; beyond this the oldest make room.",
    )
    poll_seconds: float = Field(
        default=1.0,
        gt=0,
        description="Waiters look for results this often even if no wake-up came.",
    )
    outage_seconds: float = Field(
        default=1.0,
        gt=0,
        description="Redis silent for longer than this fails waiting requests with 503.",
    )
    heartbeat_seconds: float = Field(
        default=2.0, gt=0, description="A worker announces itself this often."
    )
    heartbeat_ttl_seconds: float = Field(
        default=6.0, gt=0, description="A worker silent for this long counts as gone."
    )
    workers_cache_seconds: float = Field(
        default=1.0, ge=0, description="The front end asks who is alive at most this often."
    )

    @model_validator(mode="after")
    def _heartbeats_outlive_their_interval(self) -> Self:
        if self.heartbeat_ttl_seconds <= self.heartbeat_seconds:
            raise ValueError(
                f"heartbeat_ttl_seconds ({self.heartbeat_ttl_seconds}) must be longer than "
                f"heartbeat_seconds ({self.heartbeat_seconds}), or live workers look gone; "
                "three times as long is usual"
            )
        return self

    def lane_depth(self, lane: Lane) -> int:
        """The bound of a lane: its unfinished jobs, waiting or running."""
        bounds: dict[Lane, int] = {
            "small": self.small_lane_depth,
            "grid": self.grid_lane_depth,
            "bulk": self.bulk_lane_depth,
        }
        return bounds[lane]


class WorkerSettings(BaseSettings):
    """What concerns one worker process alone."""

    model_config = SettingsConfigDict(env_prefix="DGNET_", frozen=True, extra="ignore")

    max_batch: int = Field(default=32, ge=1, description="Largest number of pictures in a batch.")
    shutdown_seconds: float = Field(
        default=25.0,
        gt=0,
        description="Time to finish what is in flight after SIGTERM; below the usual 30 s to kill.",
    )
    grid_batch: int | None = Field(
        default=None,
        ge=1,
        description="Composites of grids on the device at once. Unset: 2 on a CPU, 32 on a GPU, so "
        "that a single swap never waits longer than it takes.",
    )
    small_batch_seconds: float = Field(
        default=60.0,
        gt=0,
        description="How long batches stay halved after the device ran out of memory.",
    )
    generation_batch: int | None = Field(
        default=None,
        ge=1,
        description="Rows of generation jobs on the device at once; decides their bytes. Unset: 2 "
        "on a CPU, 32 on a GPU, so that a small request never waits longer than it takes.",
    )
    generation_threads: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="Threads of generation jobs that read pictures, and as many that write. Unset: "
        "half of the processors, at most 8.",
    )
    generation_codes_mib: int | None = Field(
        default=None,
        ge=0,
        description="Memory, on the device, for codes that open generation jobs keep between their "
        "shards. Unset: a quarter of what is free at the start.",
    )
    judge: str | None = Field(
        default=None,
        description="Judge that generation jobs may ask: a folder, an .onnx file or `shipped`.",
    )
    metrics_port: int | None = Field(
        default=None, ge=1, le=65535, description="`dgnet worker` serves Prometheus metrics here."
    )
