"""What a bulk job costs small requests: `python -m benchmarks.fairness`.

One worker process with the weights that ship, a real redis-server, one client that asks for one
swap after the other: first with nothing else to do, then while a generation job runs. The promise
is that a swap takes at most twice as long beside a bulk job. Both halves are measured in one run,
in turns, so that a busy machine disturbs their ratio little. Prints a table, writes JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import uvloop
from rich.console import Console
from rich.table import Table

from dgnet.arrays import Pixels
from dgnet.jobs.client import JobClient
from dgnet.jobs.connection import connect
from dgnet.jobs.contract import ModelInfo, SwapJob
from dgnet.jobs.generation.job_store import JobStore
from dgnet.jobs.generation.spec import spec_from
from dgnet.jobs.settings import QueueSettings
from dgnet.jobs.storage import StorageSettings
from dgnet.pictures import open_file
from tests.redis_server import RedisServer
from tests.worker.harness import until

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "dgnet" / "samples" / "people"
GOAL_RATIO = 2.0
MADE_TO_START = 40
"""Composites made before measuring: the job is past its plan."""


def picture(path: Path, model: ModelInfo) -> Pixels:
    return open_file(path).prepare(width=model.width, height=model.height).pixels


async def latencies(client: JobClient, job: SwapJob, seconds: float) -> list[float]:
    """Milliseconds of one swap after the other."""
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        await client.wait(await client.submit(job), timeout_seconds=60)
        taken.append(1000 * (time.perf_counter() - start))
    return taken


async def measure(arguments: argparse.Namespace, folder: Path, redis_url: str) -> dict[str, object]:
    settings = QueueSettings(redis_url=redis_url)
    storage = StorageSettings(data_root=folder)
    redis = connect(redis_url)
    job_store = JobStore(redis, settings, storage)
    idle: list[float] = []
    busy: list[float] = []
    rates: list[float] = []
    spec = {
        "source": {"folder": "people"},
        "count": arguments.count,
        "pairing": "full_grid",
        "scores": "none",
    }
    async with JobClient(redis, settings) as client:
        await until(lambda: _ready(client))
        model = (await client.workers())[0].model
        people = sorted((folder / "people" / "bounding_box_train").iterdir())
        job = SwapJob(
            appearance_image=picture(people[0], model), structure_image=picture(people[-1], model)
        )
        await latencies(client, job, 2.0)  # to warm up
        for seed in range(arguments.rounds):
            idle += await latencies(client, job, arguments.seconds)
            bulk, _ = await job_store.submit(spec_from({**spec, "seed": seed}))
            await until(lambda job_id=bulk.job_id: _runs(job_store, job_id))
            before, start = (await job_store.get(bulk.job_id)).made, time.perf_counter()
            busy += await latencies(client, job, arguments.seconds)
            after = await job_store.get(bulk.job_id)
            if after.state != "running":
                raise SystemExit(f"the job is {after.state} too early: give a larger --count")
            rates.append((after.made - before) / (time.perf_counter() - start))
            await job_store.delete(bulk.job_id)
    await redis.aclose()
    figures = {
        f"{name}_p{percent}_ms": float(np.percentile(values, percent))
        for name, values in (("idle", idle), ("busy", busy))
        for percent in (50, 95)
    }
    return {
        **figures,
        "ratio_p50": figures["busy_p50_ms"] / figures["idle_p50_ms"],
        "ratio_p95": figures["busy_p95_ms"] / figures["idle_p95_ms"],
        "swaps": {"idle": len(idle), "busy": len(busy)},
        "bulk_composites_per_second_meanwhile": sum(rates) / len(rates),
    }


async def _ready(client: JobClient) -> bool:
    return any(worker.ready for worker in await client.workers())


async def _runs(job_store: JobStore, job_id: str) -> bool:
    job = await job_store.get(job_id)
    if job.error_message:
        raise SystemExit(job.error_message)
    return job.made >= MADE_TO_START


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each half of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=4000, help="composites of the bulk job")
    parser.add_argument("--people", type=Path, default=SAMPLES, help="data set of the bulk job")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, help="DGNET_GENERATION_BATCH of the worker")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fairness-") as name, RedisServer() as server:
        folder = Path(name)
        shutil.copytree(arguments.people, folder / "people")
        environment = {**os.environ, "DGNET_DATA_ROOT": name}
        if arguments.batch:
            environment["DGNET_GENERATION_BATCH"] = str(arguments.batch)
        command = ["worker", "--redis-url", server.url, "--device", arguments.device]
        worker = subprocess.Popen([sys.executable, "-m", "dgnet", *command], env=environment)
        try:
            figures = uvloop.run(measure(arguments, folder, server.url))
        finally:
            worker.terminate()
            worker.wait()
    report = {
        **figures,
        "goal_ratio": GOAL_RATIO,
        "device": arguments.device,
        "batch": arguments.batch,
        "processors": os.cpu_count(),
        "python": platform.python_version(),
    }
    table = Table("swap", "idle", "beside a bulk job", "ratio", title="Milliseconds")
    for percent in (50, 95):
        row = [figures[f"{name}_p{percent}_ms"] for name in ("idle", "busy")]
        ratio = figures[f"ratio_p{percent}"]
        table.add_row(f"p{percent}", *(f"{value:.1f}" for value in row), f"{ratio:.2f}")
    Console().print(table)
    rate = figures["bulk_composites_per_second_meanwhile"]
    Console().print(f"the bulk job made {rate:.1f} composites a second meanwhile")
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
