"""How fast and how surely jobs travel, without any model: `python -m benchmarks.queue`.

A real redis-server with an append-only file, worker processes with a predictor that does nothing,
and one client process; 20 kB go in and 10 kB come out with every job. Prints a table, writes JSON.

- drain: a filled lane, jobs per second until it is empty
- throughput: jobs per second from submit to result, so many waiting at once
- round trip: milliseconds from submit to result
- takeover: seconds from `kill -9` of a worker until the last job that it held is answered
- chaos: a worker killed every second; every job must be answered, each once
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.null_worker import NullPredictor
from dgnet.arrays import Pixels
from dgnet.jobs.client import JobClient
from dgnet.jobs.codec import encode_worker
from dgnet.jobs.connection import connect
from dgnet.jobs.contract import ModelInfo, Scene, SwapJob, WorkerInfo
from dgnet.jobs.keys import Keys
from dgnet.jobs.settings import QueueSettings, WorkerSettings
from dgnet.worker.main import run_worker
from tests.redis_server import RedisServer
from tests.worker.harness import until

ROOT = Path(__file__).resolve().parents[1]
HEIGHT, WIDTH = 80, 42  # 10,080 bytes a picture
GOALS = {
    "drain_jobs_per_second": 3000.0,
    "round_trip_1_p50_ms": 2.0,
    "round_trip_32_p95_ms": 40.0,
    "takeover_leases": 1.2,
}


class IdlePredictor(NullPredictor):
    """Answers at once, or after so many seconds, with the structure pictures."""

    def __init__(self, seconds_per_batch: float) -> None:
        super().__init__(HEIGHT, WIDTH)
        self._seconds_per_batch = seconds_per_batch
        self._canary_passed = False

    def swap(
        self, appearance_images: Pixels, structure_images: Pixels, *, scene: list[Scene | None]
    ) -> Pixels:
        if self._canary_passed:
            time.sleep(self._seconds_per_batch)
        self._canary_passed = True
        return structure_images


class WorkerProcess:
    """This module again, as a worker."""

    def __init__(self, url: str, settings: QueueSettings, seconds_per_batch: float) -> None:
        variables = {**settings.model_dump(exclude_none=True), "redis_url": url}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.queue", "--worker", str(seconds_per_batch)],
            cwd=ROOT,
            env={**os.environ, **{f"DGNET_{k.upper()}": str(v) for k, v in variables.items()}},
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def job() -> SwapJob:
    """Noise, so that nothing on the way can be saved."""
    pictures = np.random.default_rng(0).integers(0, 256, (2, HEIGHT, WIDTH, 3), dtype=np.uint8)
    return SwapJob(appearance_image=pictures[0], structure_image=pictures[1])


@asynccontextmanager
async def client_with_workers(
    server: RedisServer, settings: QueueSettings, *, workers: int, seconds_per_batch: float = 0.0
) -> AsyncGenerator[tuple[JobClient, list[WorkerProcess]]]:
    processes = [WorkerProcess(server.url, settings, seconds_per_batch) for _ in range(workers)]
    try:
        async with JobClient.from_url(server.url, settings) as client:
            await until(lambda: _are_ready(client, workers))
            yield client, processes
    finally:
        for process in processes:
            process.kill()


async def measure_drain(server: RedisServer, jobs: int) -> float:
    """Jobs per second of one worker on a lane that was full when it started."""
    settings = QueueSettings(key_prefix="drain", small_lane_depth=jobs)
    keys = Keys(settings.key_prefix)
    redis = connect(server.url)
    # Somebody must seem alive for jobs to be accepted.
    model = ModelInfo(model_id="", model_version="", height=1, width=1, embedding_size=1)
    ghost = WorkerInfo(worker_id="ghost", device="cpu", ready=True, model=model)
    await redis.sadd(keys.workers, "ghost")
    await redis.set(keys.worker("ghost"), encode_worker(ghost))
    async with JobClient.from_url(server.url, settings) as client:
        work = job()
        for _ in range(jobs // 100):
            await asyncio.gather(*(client.submit(work) for _ in range(100)))
        process = WorkerProcess(server.url, settings, 0.0)
        try:
            await until(lambda: _is_shorter(client, jobs))
            first, started = await client.depth("small"), time.perf_counter()
            await until(lambda: _is_shorter(client, 1))
            seconds = time.perf_counter() - started
        finally:
            process.kill()
    await redis.aclose()
    return first / seconds


async def measure_round_trip(
    server: RedisServer, *, at_once: int, jobs: int
) -> tuple[list[float], float]:
    """(milliseconds of each job, jobs per second) with so many in flight all the time."""
    settings = QueueSettings(key_prefix=f"round-trip-{at_once}")
    milliseconds: list[float] = []
    work = job()
    async with client_with_workers(server, settings, workers=1) as (client, _):

        async def caller(count: int) -> None:
            for _ in range(count):
                started = time.perf_counter()
                await client.wait(await client.submit(work), timeout_seconds=60)
                milliseconds.append((time.perf_counter() - started) * 1000)

        await asyncio.gather(*(caller(20) for _ in range(at_once)))  # warm up
        milliseconds.clear()
        started = time.perf_counter()
        await asyncio.gather(*(caller(jobs // at_once) for _ in range(at_once)))
        seconds = time.perf_counter() - started
    return milliseconds, len(milliseconds) / seconds


async def measure_takeover(server: RedisServer, *, lease_seconds: float) -> float:
    """Seconds until 16 jobs that a killed worker held are answered by another."""
    settings = QueueSettings(key_prefix="takeover", lease_seconds=lease_seconds)
    async with client_with_workers(server, settings, workers=1, seconds_per_batch=600) as (
        client,
        (victim,),
    ):
        jobs = [await client.submit(job()) for _ in range(16)]
        await until(lambda: _are_running(client, jobs))
        rescuer = WorkerProcess(server.url, settings, 0.0)
        try:
            await until(lambda: _are_ready(client, 2))
            victim.kill()
            started = time.perf_counter()
            await asyncio.gather(*(client.wait(held, timeout_seconds=120) for held in jobs))
            return time.perf_counter() - started
        finally:
            rescuer.kill()


async def measure_chaos(server: RedisServer, *, jobs: int) -> dict[str, float]:
    """Two workers, batches of 0.4 s, one of them killed every second."""
    settings = QueueSettings(key_prefix="chaos", lease_seconds=2.0)
    chance = random.Random(1)
    redis = connect(server.url)
    started = time.perf_counter()
    kills = 0
    async with client_with_workers(server, settings, workers=2, seconds_per_batch=0.4) as (
        client,
        processes,
    ):
        work = job()
        ids = [await client.submit(work) for _ in range(jobs)]
        answers = asyncio.gather(
            *(client.wait(job_id, timeout_seconds=300) for job_id in ids), return_exceptions=True
        )
        while not answers.done():
            victim = chance.randrange(2)
            processes[victim].kill()
            processes[victim] = WorkerProcess(server.url, settings, 0.4)
            kills += 1
            await asyncio.wait([answers], timeout=1.0)
        results = await answers
        seconds = time.perf_counter() - started
    finished = int(await redis.get(Keys("chaos").finished("small")) or 0)
    await redis.aclose()
    answered = sum(not isinstance(result, BaseException) for result in results)
    return {
        "jobs": jobs,
        "answered": answered,
        "left_the_queue": finished,
        "kills": kills,
        "seconds": seconds,
    }


async def _are_ready(client: JobClient, count: int) -> bool:
    return sum(worker.ready for worker in await client.workers()) >= count


async def _are_running(client: JobClient, job_ids: list[str]) -> bool:
    states = [(await client.status(job_id)).state for job_id in job_ids]
    return all(state == "running" for state in states)


async def _is_shorter(client: JobClient, depth: int) -> bool:
    return await client.depth("small") < depth


async def measure(arguments: argparse.Namespace) -> dict[str, object]:
    lease_seconds = 5.0
    results: dict[str, object] = {}
    with RedisServer(append_only=True) as server:
        results["drain_jobs_per_second"] = await measure_drain(server, arguments.jobs)
        for at_once in (1, 32, 64):
            jobs = arguments.jobs // 4 if at_once == 1 else arguments.jobs
            times, rate = await measure_round_trip(server, at_once=at_once, jobs=jobs)
            results[f"round_trip_{at_once}_p50_ms"] = statistics.median(times)
            results[f"round_trip_{at_once}_p95_ms"] = statistics.quantiles(times, n=20)[18]
            results[f"throughput_{at_once}_jobs_per_second"] = rate
        seconds = await measure_takeover(server, lease_seconds=lease_seconds)
        results["takeover_leases"] = seconds / lease_seconds
        if arguments.chaos_jobs:
            results["chaos"] = await measure_chaos(server, jobs=arguments.chaos_jobs)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=4000, help="jobs for each measurement")
    parser.add_argument("--chaos-jobs", type=int, default=400, help="0 leaves chaos out")
    parser.add_argument("-o", "--output", type=Path, help="where the JSON goes")
    parser.add_argument("--worker", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker is not None:
        predictor = IdlePredictor(arguments.worker)
        uvloop.run(run_worker(predictor, QueueSettings(), WorkerSettings()))
        return
    results = uvloop.run(measure(arguments))
    table = Table("measurement", "value", "goal")
    for name, value in results.items():
        goal = GOALS.get(name)
        shown = f"{value:.2f}" if isinstance(value, float) else str(value)
        table.add_row(name, shown, "" if goal is None else f"{goal:g}")
    Console().print(table)
    if arguments.output is not None:
        machine = {"cores": os.cpu_count(), "python": platform.python_version()}
        document = {"machine": machine, "command": sys.argv, "results": results}
        arguments.output.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
