"""What a worker counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

JOBS = Counter("dgnet_worker_jobs", "Jobs answered, by kind and outcome", ["kind", "outcome"])
REDELIVERIES = Counter("dgnet_worker_redeliveries", "Jobs taken over from a silent worker")
SURPRISES = Counter(
    "dgnet_worker_surprises", "Attempts that ended in a way that nobody foresaw", ["lane"]
)
DEAD_LETTERS = Counter("dgnet_worker_dead_letters", "Messages given up", ["reason"])
BATCH_SIZE = Histogram(
    "dgnet_worker_batch_size",
    "Items in a device batch, by kind",
    ["kind"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)
DEVICE_SECONDS = Counter("dgnet_worker_device_seconds", "Time in device batches, by kind", ["kind"])
FAILED_BATCHES = Counter("dgnet_worker_failed_batches", "Device batches that failed", ["kind"])
SHARDS = Counter(
    "dgnet_worker_shards", "Shards of generation jobs, made or found complete", ["outcome"]
)
COMPOSITES = Counter("dgnet_worker_composites", "Composites of generation jobs, by fate", ["fate"])
SHARD_SECONDS = Histogram(
    "dgnet_worker_shard_seconds",
    "Time to make one shard",
    buckets=(1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800),
)
GENERATION_FAILURES = Counter(
    "dgnet_worker_generation_failures", "Generation jobs that failed here, by error code", ["code"]
)
