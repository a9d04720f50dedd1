"""Prometheus metrics of one app: requests, latency, queue depth, live workers.

Each app has its own registry, so that several can live in one process. Where several front-end
processes share a port, `PROMETHEUS_MULTIPROC_DIR` makes every one of them answer for all.
"""

from __future__ import annotations

import os

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Metrics:
    """Counts requests as they end; gauges are set when Prometheus asks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "dgnet_http_requests_total",
            "Finished HTTP requests.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "dgnet_http_request_seconds",
            "Time from the first byte of a request to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._depth = Gauge(
            "dgnet_queue_depth",
            "Jobs that wait in a lane.",
            ("lane",),
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )
        self._workers = Gauge(
            "dgnet_workers",
            "Live workers, by whether their canary has passed.",
            ("ready",),
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )
        self._queue_up = Gauge(
            "dgnet_queue_up",
            "1 when the queue answers, else 0.",
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )

    def observe(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """A request ended."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def set_queue(self, *, depths: dict[str, int], ready: int, starting: int) -> None:
        """The queue answered with these depths per lane and these workers."""
        self._queue_up.set(1)
        for lane, depth in depths.items():
            self._depth.labels(lane).set(depth)
        self._workers.labels("true").set(ready)
        self._workers.labels("false").set(starting)

    def set_queue_down(self) -> None:
        """The queue does not answer: its last depth would mislead."""
        self._queue_up.set(0)
        self._depth.clear()
        self._workers.clear()

    def render(self) -> bytes:
        """The text exposition format."""
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            shared = CollectorRegistry()
            MultiProcessCollector(shared)
            return generate_latest(shared)
        return generate_latest(self.registry)
