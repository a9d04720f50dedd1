"""A lean HTTP load generator: N keep-alive connections, one request outstanding on each.

`python -m benchmarks.load PORT CONNECTIONS SECONDS < REQUEST` sends the bytes of one request again
and again and prints JSON: requests, failures, seconds and latency percentiles in milliseconds.
A closed loop: with slow answers it sends less, so latencies are those of this many patient clients.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast

import numpy as np
import uvloop

WARM_UP_SECONDS = 1.0


class Run:
    """What all connections share: the request, the deadline and the measurements."""

    def __init__(self, request: bytes, seconds: float) -> None:
        self.request = request
        self.latencies: list[float] = []
        self.failures = 0
        self.sent = 0
        self.measure_from = time.perf_counter() + WARM_UP_SECONDS
        self.measure_until = self.measure_from + seconds


class Connection(asyncio.Protocol):
    """Sends a request as soon as the answer to the last one is complete."""

    def __init__(self, run: Run, closed: asyncio.Future[None]) -> None:
        self._run = run
        self._closed = closed
        self._buffer = bytearray()
        self._missing = -1  # bytes of the body to come; -1 while in the header
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._closed.done():
            self._closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._buffer[:end]).lower()
            start = head.index(b"content-length:") + len(b"content-length:")
            length = int(head[start:].split(b"\r\n", 1)[0])
            self._missing = length - (len(self._buffer) - end - 4)
            self._ok = b" 200 " in head.split(b"\r\n", 1)[0]
        else:
            self._missing -= len(data)
        if self._missing == 0:
            self._finish()

    def _send(self) -> None:
        self._buffer.clear()
        self._missing = -1
        self._sent = time.perf_counter()
        self._run.sent += 1
        self._transport.write(self._run.request)

    def _finish(self) -> None:
        now = time.perf_counter()
        if self._run.measure_from <= self._sent and now <= self._run.measure_until:
            self._run.latencies.append(now - self._sent)
            self._run.failures += not self._ok
        if now < self._run.measure_until:
            self._send()
        else:
            self._transport.close()


async def drive(port: int, connections: int, seconds: float, request: bytes) -> dict[str, float]:
    """Load 127.0.0.1:`port` for `seconds` after a warm-up."""
    loop = asyncio.get_running_loop()
    run = Run(request, seconds)
    closed: list[asyncio.Future[None]] = []
    for _ in range(connections):
        future: asyncio.Future[None] = loop.create_future()
        closed.append(future)
        await loop.create_connection(
            lambda future=future: Connection(run, future), "127.0.0.1", port
        )
    await asyncio.wait_for(asyncio.gather(*closed), seconds + WARM_UP_SECONDS + 60)
    p50, p95, p99 = np.percentile(run.latencies, [50, 95, 99]) * 1000
    return {
        "sent": run.sent,
        "requests": len(run.latencies),
        "failures": run.failures,
        "seconds": seconds,
        "requests_per_second": len(run.latencies) / seconds,
        "p50_ms": float(p50),
        "p95_ms": float(p95),
        "p99_ms": float(p99),
    }


if __name__ == "__main__":
    measured = uvloop.run(
        drive(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.stdin.buffer.read())
    )
    print(json.dumps(measured))
