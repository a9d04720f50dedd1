"""Overhead of HTTP and queue without the model: `python -m benchmarks.http_overhead`.

Starts a redis-server, `dgnet serve` as front end and a worker with a null model, each a process of
its own, and loads them from another process at 1 and 32 connections with a JPEG of 14 kB (256 x
128 pixels, as a person's crop has). Goal on two cores: 955 requests/s at 32 connections, p95 of
5.5 ms at one. Prints a table and writes JSON with the machine and every figure.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import numpy as np
from PIL import Image

from tests.redis_server import RedisServer, free_port

JPEG_BYTES = 14_000
START_SECONDS = 60.0
BOUNDARY = "benchmark-boundary"
CONNECTIONS = (1, 32)


@dataclass(frozen=True)
class Case:
    """One kind of request."""

    name: str
    path: str
    parts: tuple[str, ...]
    accept: str


CASES = (
    Case("embedding, npy", "/v1/embeddings", ("files",), "application/x-npy"),
    Case("embedding, JSON", "/v1/embeddings", ("files",), "application/json"),
    Case("swap, JPEG", "/v1/swaps", ("appearance", "structure"), "image/jpeg"),
    Case("swap, PNG", "/v1/swaps", ("appearance", "structure"), "image/png"),
)


def sample_jpeg() -> bytes:
    """A smooth picture with noise whose JPEG comes as near to 14 kB as the quality allows."""
    rows, columns = np.mgrid[0:256, 0:128] / 255.0
    waves = np.stack([rows, columns, (np.sin(rows * 20) + np.cos(columns * 14) + 2) / 4], axis=-1)
    noise = np.random.default_rng(0).normal(0, 8, (256, 128, 3))
    image = Image.fromarray((waves * 215 + 20 + noise).clip(0, 255).astype(np.uint8))

    def encode(quality: int) -> bytes:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return file.getvalue()

    return min((encode(quality) for quality in range(30, 100)), key=_distance_to_goal)


def _distance_to_goal(data: bytes) -> int:
    return abs(len(data) - JPEG_BYTES)


def request_of(case: Case, jpeg: bytes) -> bytes:
    """The bytes of one keep-alive request."""
    body = b"".join(
        (
            f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
            f'name="{part}"; filename="{part}.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
        ).encode()
        + jpeg
        + b"\r\n"
        for part in case.parts
    )
    body += f"--{BOUNDARY}--\r\n".encode()
    head = (
        f"POST {case.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {case.accept}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@contextmanager
def process(*arguments: str, environment: dict[str, str], log: IO[bytes]) -> Generator[int]:
    """A Python process of ours, with a session of its own, ended with the benchmark; its id."""
    child = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env={**os.environ, **environment},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        yield child.pid
    finally:
        child.terminate()
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def cpu_seconds(session_id: int) -> float:
    """User and system time of all processes of a session (Linux only)."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # ended meanwhile
            continue
        if int(fields[3]) == session_id:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"front end and worker were not ready within {START_SECONDS} s")


def measure(
    port: int,
    case: Case,
    *,
    connections: int,
    seconds: float,
    jpeg: bytes,
    sessions: Mapping[str, int],
) -> dict[str, Any]:
    """One row of the table, from a load generator in a process of its own."""
    before = {name: cpu_seconds(session_id) for name, session_id in sessions.items()}
    output = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", str(port), str(connections), str(seconds)],
        input=request_of(case, jpeg),
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    measured = json.loads(output)
    # Independent of what else the machine does, unlike the times; warm-up included on both sides.
    cpu_ms = {
        f"{name}_cpu_ms": (cpu_seconds(session_id) - before[name]) * 1000 / measured["sent"]
        for name, session_id in sessions.items()
    }
    return {"case": case.name, "connections": connections, **measured, **cpu_ms}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measurement")
    parser.add_argument("--workers", type=int, default=2, help="front-end processes")
    parser.add_argument("--height", type=int, default=128, help="the model's height in pixels")
    parser.add_argument("--width", type=int, default=64, help="the model's width in pixels")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()

    jpeg = sample_jpeg()
    port = free_port()
    with RedisServer(append_only=True) as redis:
        environment = {"DGNET_REDIS_URL": redis.url}
        size = (str(options.height), str(options.width))
        serve = ("dgnet", "serve", "--redis-url", redis.url, "--port", str(port))
        serve += ("--workers", str(options.workers))
        with (
            tempfile.TemporaryFile() as log,
            process("benchmarks.null_worker", *size, environment=environment, log=log) as worker,
            process(*serve, environment=environment, log=log) as front_end,
        ):
            wait_until_ready(port)
            rows = [
                measure(
                    port,
                    case,
                    connections=connections,
                    seconds=options.seconds,
                    jpeg=jpeg,
                    sessions={"front_end": front_end, "worker": worker},
                )
                for case in CASES
                for connections in CONNECTIONS
            ]

    print(f"JPEG of {len(jpeg)} bytes, model {options.height} x {options.width}, ", end="")
    print(f"{options.workers} front-end process(es), load average {os.getloadavg()[0]:.1f}\n")
    print(
        "| Request | Connections | Requests/s | p50 ms | p95 ms | p99 ms | Failures "
        "| CPU ms per request: front end | worker |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['case']} | {row['connections']} | {row['requests_per_second']:.0f} "
            f"| {row['p50_ms']:.2f} | {row['p95_ms']:.2f} | {row['p99_ms']:.2f} "
            f"| {row['failures']} | {row['front_end_cpu_ms']:.2f} | {row['worker_cpu_ms']:.2f} |"
        )
    if options.json:
        report = {
            "command": " ".join(sys.argv),
            "machine": platform.platform(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "load_average": os.getloadavg(),
            "jpeg_bytes": len(jpeg),
            "model": {"height": options.height, "width": options.width},
            "front_end_processes": options.workers,
            "rows": rows,
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
