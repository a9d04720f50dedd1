"""Composites per second to the disk: `python -m benchmarks.generation`.

The path of `dgnet generate` against the naive pipeline, which for each pair of the same plan reads
two pictures, encodes both, decodes, and writes a JPEG. Both take turns on the same machine in the
same run, and the fastest turn of each counts. `--soak N` makes one set of N composites instead and
watches the process's memory, which must not grow after the first shard.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from PIL import Image

from benchmarks.composites import machine
from benchmarks.naive import Naive
from dgnet.arrays import Pixels
from dgnet.generation.job import Job
from dgnet.generation.local_run import Progress, run_job
from dgnet.generation.making.stages import CodeCounts, Role
from dgnet.generation.output.assembly import read_manifest
from dgnet.jobs.generation.spec import GenerationSpec, OutputSpec, SourceSpec
from dgnet.model.checkpoints import DEFAULT_CHECKPOINT, Checkpoint, load_checkpoint
from dgnet.model.data.transforms import decode_picture
from dgnet.model.predictor import Predictor
from dgnet.pictures import open_file
from dgnet.samples import SAMPLE_PEOPLE

MOST_GROWTH = 0.05
"""Of memory after the first shard, as a share."""

SAMPLE_SECONDS = 0.1
POINTS = 200
"""Of the memory curve that are reported."""


def job_of(
    options: argparse.Namespace, checkpoint: Checkpoint, predictor: Predictor, count: int
) -> Job:
    """Reading the listing and laying out the plan are a part of what is measured."""
    spec = GenerationSpec(
        source=SourceSpec(folder=options.data),
        count=count,
        scores=(),  # the naive pipeline computes none either
        output=OutputSpec(shard_size=options.shard_size),
    )
    return Job.of(spec, checkpoint, predictor)


def naively(job: Job, naive: Naive, folder: Path, count: int) -> list[Path]:
    """The first composites of the plan, pair by pair, with what Pillow does by default."""
    appearances, structures = job.plan.window(0, job.count).pairs(0, count)
    predictor, listing = job.predictor, job.listing
    written: list[Path] = []

    def read(picture: int) -> Pixels:
        path = listing.root / listing.paths[picture]
        return decode_picture(path, predictor.height, predictor.width)[None]

    for number in range(count):
        appearance, structure = read(int(appearances[number])), read(int(structures[number]))
        composite = naive.swap(appearance, structure)[0]
        path = folder / f"{number:06d}.jpg"
        Image.fromarray(composite).save(path, quality=job.spec.output.quality, subsampling=0)
        written.append(path)
    return written


def difference(bulk: Path, naive: list[Path]) -> float:
    """Mean absolute difference in levels of 255 between the same composites' files."""
    levels: list[float] = []
    for row, path in zip(read_manifest(bulk), naive, strict=False):
        assert row.written is not None  # nothing is filtered
        files = (bulk / row.written.file, path)
        one, other = (np.asarray(open_file(file).rgb()) for file in files)
        levels.append(float(np.abs(one.astype(int) - other).mean()))
    return float(np.mean(levels))


def ignore(progress: Progress) -> None:
    """Nobody watches."""


def compare(
    options: argparse.Namespace, checkpoint: Checkpoint, predictor: Predictor
) -> dict[str, Any]:
    """Turns of both; the first is for warming up."""
    naive = Naive(checkpoint.networks, predictor.device)
    best: dict[str, float] = {}
    stages: dict[str, float] = {}
    counts: dict[Role, CodeCounts] = {}
    levels = 0.0
    for turn in range(options.rounds + 1):
        with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
            naive_folder, bulk_folder = Path(scratch) / "naive", Path(scratch) / "bulk"
            naive_folder.mkdir()
            start, start_cpu = time.perf_counter(), time.process_time()
            job = job_of(options, checkpoint, predictor, options.count)
            files = naively(job, naive, naive_folder, min(options.naive_count, job.count))
            between, between_cpu = time.perf_counter(), time.process_time()
            job = job_of(options, checkpoint, predictor, options.count)
            done = run_job(
                job, bulk_folder, threads=options.threads, codes_mib=options.codes_mib,
                report=ignore,
            )  # fmt: skip
            seconds = {
                "naive": between - start,
                "bulk": time.perf_counter() - between,
                "naive processor": between_cpu - start_cpu,
                "bulk processor": time.process_time() - between_cpu,
            }
            levels, counts = difference(bulk_folder, files), done.codes
        if turn == 0:
            continue
        if seconds["bulk"] <= best.get("bulk", seconds["bulk"]):
            stages = {str(stage): spent for stage, spent in done.stages.items()}
        for name, spent in seconds.items():
            best[name] = min(spent, best.get(name, spent))
    naive_rate = min(options.naive_count, options.count) / best["naive"]
    bulk_rate = options.count / best["bulk"]
    print("| How | Composites | Per second | Times naive |\n|---|---|---|---|")
    print(f"| naive: read, read, encode, encode, decode, write | {options.naive_count} ", end="")
    print(f"| {naive_rate:.1f} | 1.0 |")
    print(f"| dgnet generate | {options.count} | {bulk_rate:.1f} | {bulk_rate / naive_rate:.1f} |")
    naive_ms = 1000 * best["naive processor"] / min(options.naive_count, options.count)
    bulk_ms = 1000 * best["bulk processor"] / options.count
    print(
        f"\nProcessor time, all threads: naive {naive_ms:.1f} ms a composite, bulk {bulk_ms:.1f}, "
        f"{naive_ms / bulk_ms:.1f} times less."
    )
    for role, codes in counts.items():
        print(f"{role} codes: {codes.encoded} made, {codes.from_earlier_shards} kept")
    print(f"\nThe same composites differ by {levels:.4f} of 255 levels on average.\n")
    print("| Stage (threads add up) | Seconds | ms a composite |\n|---|---|---|")
    for stage, spent in stages.items():
        print(f"| {stage} | {spent:.2f} | {1000 * spent / options.count:.3f} |")
    return {
        "rounds": options.rounds,
        "naive_per_second": naive_rate,
        "bulk_per_second": bulk_rate,
        "times_naive": bulk_rate / naive_rate,
        "naive_processor_ms": naive_ms,
        "bulk_processor_ms": bulk_ms,
        "codes": {role: vars(codes) for role, codes in counts.items()},
        "mean_levels": levels,
        "stages_seconds": stages,
    }


class MemoryCurve:
    """Samples the resident memory of this process on a thread, beside how many are made."""

    def __init__(self) -> None:
        self.made = 0
        self.samples: list[tuple[float, int, int]] = []
        """Seconds since the start, composites made, bytes."""
        self._start = time.perf_counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def note(self, progress: Progress) -> None:
        self.made = progress.made

    def peak(self, first: int, last: int | None = None) -> int:
        """Bytes while from `first` to before `last` composites were made."""
        return max(
            (size for _, made, size in self.samples if first <= made < (last or made + 1)),
            default=0,
        )

    def _watch(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while True:
            resident = int(Path("/proc/self/statm").read_text().split()[1]) * page
            self.samples.append((time.perf_counter() - self._start, self.made, resident))
            if self._stop.wait(SAMPLE_SECONDS):
                return


def soak(
    options: argparse.Namespace, checkpoint: Checkpoint, predictor: Predictor
) -> dict[str, Any]:
    """One long job; growth is the peak after the first shard over the peak until its end."""
    if options.soak <= options.shard_size:
        raise SystemExit(
            f"--soak {options.soak} is within the first shard; expected more than --shard-size "
            f"{options.shard_size}"
        )
    job = job_of(options, checkpoint, predictor, options.soak)
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch, MemoryCurve() as curve:
        start = time.perf_counter()
        done = run_job(
            job, Path(scratch) / "out", threads=options.threads, report=curve.note,
            codes_mib=options.codes_mib or 0,  # what is kept grows on purpose
        )  # fmt: skip
        seconds = time.perf_counter() - start
    first = curve.peak(0, options.shard_size + 1)
    later = curve.peak(options.shard_size + 1)
    growth = later / first - 1
    half = max(options.soak // 2, options.shard_size + 1)
    late_growth = curve.peak(half) / curve.peak(0, half) - 1
    step = -(-len(curve.samples) // POINTS)
    print(f"{done.made} composites in {seconds:.0f} s, {done.made / seconds:.1f} a second")
    print(
        f"memory: {first / 2**20:.0f} MiB at most in the first shard, {later / 2**20:.0f} MiB "
        f"afterwards: {growth:+.1%}, allowed {MOST_GROWTH:.0%}; second half over first half "
        f"{late_growth:+.1%}"
    )
    return {
        "composites": done.made,
        "per_second": done.made / seconds,
        "first_shard_peak_bytes": first,
        "later_peak_bytes": later,
        "growth": growth,
        "allowed_growth": MOST_GROWTH,
        "second_half_growth": late_growth,
        "curve": [
            {"seconds": round(at, 1), "made": made, "bytes": size}
            for at, made, size in curve.samples[::step]
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=SAMPLE_PEOPLE, help="any layout; samples")
    parser.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", default="auto", help="fp32, bf16 or auto")
    parser.add_argument("--count", type=int, default=2000, help="composites of a bulk turn")
    parser.add_argument("--naive-count", type=int, default=50, help="composites of a naive turn")
    parser.add_argument("--rounds", type=int, default=3, help="turns of both")
    parser.add_argument("--shard-size", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=4, help="as of dgnet generate")
    parser.add_argument("--codes-mib", type=int, metavar="MIB", help="as of dgnet generate")
    parser.add_argument("--soak", type=int, metavar="N", help="watch memory over N composites")
    parser.add_argument("--scratch", type=Path, help="where sets are made and removed again")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()

    checkpoint = load_checkpoint(options.checkpoint)
    predictor = Predictor(checkpoint, device=options.device, precision=options.precision)
    facts = machine(predictor)
    print(", ".join(f"{name} {value}" for name, value in facts.items()) + "\n")
    measure = compare if options.soak is None else soak
    figures = measure(options, checkpoint, predictor)
    if options.json:
        report = {
            "command": " ".join(sys.argv),
            "machine": facts,
            "network": checkpoint.metadata.config.to_json(),
            **figures,
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    if figures.get("growth", 0) > MOST_GROWTH:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
