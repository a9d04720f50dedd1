"""Looking through a large job over HTTP: `python -m benchmarks.browse`.

A manifest of 100,000 composites, a front end on a real socket, one client that asks for first
pages, sorts, filters, later pages and the summary in turns. The promise is 300 ms at the 95th
percentile for each kind, once the index is there; the first look, which makes it, is measured
apart. Prints a table, writes JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

from dgnet.jobs.generation.spec import spec_from
from dgnet.jobs.storage import StorageSettings, job_folder
from dgnet.service.app import create_app
from dgnet.service.settings import ServiceSettings
from tests.service.fake_job_store import FakeJobStore
from tests.service.fakes import FakeJobs
from tests.service.server import serving

GOAL_MILLISECONDS = 300.0
PERSONS, CAMERAS = 751, 6
"""As in Market-1501's training set."""
KINDS = {
    "first page": "",
    "sort by a score, descending": "sort=identity_consistency&order=desc",
    "sort by another, ascending": "sort=realism_percentile",
    "filter by person": "person={person}",
    "filter by camera and score": "camera=3&score=identity_consistency&minimum=0.5",
    "dropped for one reason, sorted": "dropped=near_duplicate&sort=realism_percentile",
    "a page in the middle": "sort=identity_consistency&after={position}",
    "summary with histograms": "/summary",
}


def write_manifest(path: Path, composites: int) -> None:
    """Rows as a job with two filters writes them; one in ten was dropped."""
    chance = random.Random(0)
    with path.open("w") as file:
        for position in range(composites):
            one, other = chance.randrange(PERSONS), chance.randrange(PERSONS)
            here, there = 1 + chance.randrange(CAMERAS), 1 + chance.randrange(CAMERAS)
            kept = chance.random() > 0.1
            name = f"bounding_box_train/{one:04d}_c{there}s9_{position:09d}_99.jpg"
            row = {
                "position": position,
                "file": name if kept else None,
                "sha256": f"{chance.getrandbits(256):064x}" if kept else None,
                "bytes": 3000 + chance.randrange(2000) if kept else None,
                "appearance_path": f"bounding_box_train/{one:04d}_c{here}s1_{one:06d}_01.jpg",
                "appearance_person": one,
                "appearance_camera": here,
                "structure_path": f"bounding_box_train/{other:04d}_c{there}s1_{other:06d}_01.jpg",
                "structure_person": other,
                "structure_camera": there,
                "scene": "keep",
                "kept_share": chance.random(),
                "labels": {"appearance": one, "structure": other},
                "scores": {
                    "identity_consistency": chance.uniform(-1, 1),
                    "realism_percentile": chance.uniform(0, 100),
                },
                "kept": kept,
                "dropped": None
                if kept
                else chance.choice(("near_duplicate", "low_identity_consistency")),
            }
            file.write(json.dumps(row) + "\n")


def measure(client: httpx.Client, address: str, rounds: int, composites: int) -> dict[str, float]:
    """Milliseconds of each kind at the 95th percentile, and of the first look."""

    def timed(query: str) -> float:
        url = address + (query if query.startswith("/") else f"?{query}")
        start = time.perf_counter()
        client.get(url).raise_for_status()
        return 1000 * (time.perf_counter() - start)

    chance = random.Random(1)
    found = {"first look, which makes the index": timed("")}
    taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(rounds):
        for kind, query in KINDS.items():
            filled = query.format(
                person=chance.randrange(PERSONS), position=chance.randrange(composites)
            )
            taken[kind].append(timed(filled))
    return found | {kind: float(np.percentile(times, 95)) for kind, times in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--composites", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        storage = StorageSettings(data_root=Path(folder))
        store = FakeJobStore(storage)
        spec = spec_from({"source": {"folder": "market"}, "count": options.composites})
        job = asyncio.run(store.submit(spec))[0].job_id
        place = job_folder(storage.data_root, job)
        place.mkdir(parents=True)
        write_manifest(place / "manifest.jsonl", options.composites)
        asyncio.run(store.change(job, state="done"))
        app = create_app(ServiceSettings(), FakeJobs(), store, storage)
        with serving(app) as url, httpx.Client(base_url=url, timeout=60) as client:
            address = f"/v1/jobs/{job}/composites"
            found = measure(client, address, options.rounds, options.composites)
            memory = app.state.dependencies.bulk.composites.kept_bytes
    table = Table(title=f"{options.composites:,} composites, {options.rounds} of each")
    table.add_column("What")
    table.add_column("p95, ms", justify="right")
    for kind, milliseconds in found.items():
        table.add_row(kind, f"{milliseconds:.0f}")
    Console().print(table)
    worst = max(found[kind] for kind in KINDS)
    print(f"index: {memory / 1e6:.1f} MB; slowest kind {worst:.0f} ms of {GOAL_MILLISECONDS:.0f}")
    if options.json:
        result = {
            "composites": options.composites,
            "rounds": options.rounds,
            "cores": len(os.sched_getaffinity(0)),
            "python": platform.python_version(),
            "index_bytes": memory,
            "p95_milliseconds": found,
            "goal_met": worst <= GOAL_MILLISECONDS,
        }
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
