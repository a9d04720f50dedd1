"""Ranking of a whole test set: `python -m benchmarks.retrieval`.

Random unit embeddings in the numbers of Market-1501. Ranks counted in blocks against sorting every
row of similarities with numpy, which is what evaluation here did before and other toolboxes do;
both give the same mAP or the benchmark fails. Every turn is a process of its own, so that its peak
memory is its own; what the embeddings themselves take is told apart. The fastest turn counts.
`--rerank` adds k-reciprocal re-ranking, `--distractors 500000` the large gallery.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dgnet.arrays import Doubles, Integers
from dgnet.model.data.picture import JUNK_PERSON_ID
from dgnet.model.devices import choose_device
from dgnet.model.evaluation.retrieval.reranking import RerankedSimilarity
from dgnet.model.evaluation.retrieval.retrieval_set import RetrievalSet, unit_rows
from dgnet.model.evaluation.retrieval.scores import evaluate_retrieval
from dgnet.model.evaluation.retrieval.similarity import CosineSimilarity

PERSONS, CAMERAS = 750, 6
SORTED_ROWS = 64
"""Queries that the old way ranked at once."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is ranked, and where."""

    queries: int
    gallery: int
    distractors: int
    dimensions: int
    device: str
    threads: int


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One run: `peak_mib` is what ranking adds to the embeddings in main memory."""

    seconds: float
    peak_mib: float
    device_mib: float
    mAP: float


def random_people(size: Size) -> tuple[RetrievalSet, RetrievalSet]:
    """Embeddings that are a little nearer to their person than to others."""
    random = np.random.default_rng(0)
    centers = random.standard_normal((PERSONS + 1, size.dimensions), dtype=np.float32)
    centers[0] = 0

    def drawn(persons: Integers) -> RetrievalSet:
        noise = random.standard_normal((len(persons), size.dimensions), dtype=np.float32)
        noise *= 4
        noise += centers[persons]
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        return RetrievalSet(
            embeddings=noise,
            person_ids=persons,
            camera_ids=random.integers(1, CAMERAS + 1, len(persons)),
        )

    query = drawn(random.integers(1, PERSONS + 1, size.queries))
    persons = random.integers(1, PERSONS + 1, size.gallery + size.distractors)
    persons[size.gallery :] = 0
    return query, drawn(persons)


def by_counting(query: RetrievalSet, gallery: RetrievalSet, device: torch.device) -> float:
    """Ranks counted in blocks."""
    similarity = CosineSimilarity(query.embeddings, gallery.embeddings, device)
    return evaluate_retrieval(query, gallery, similarity).dgnet_convention.mAP


def by_reranking(query: RetrievalSet, gallery: RetrievalSet, device: torch.device) -> float:
    """The same after k-reciprocal re-ranking."""
    similarity = RerankedSimilarity(query.embeddings, gallery.embeddings, device=device)
    return evaluate_retrieval(query, gallery, similarity).dgnet_convention.mAP


def by_sorting(query: RetrievalSet, gallery: RetrievalSet, device: torch.device) -> float:
    """Every row of similarities sorted, precision computed at every rank (all on the CPU)."""
    del device
    query_units, gallery_units = unit_rows(query.embeddings), unit_rows(gallery.embeddings)
    nobody = gallery.person_ids == JUNK_PERSON_ID
    precisions: list[Doubles] = []
    for start in range(0, len(query), SORTED_ROWS):
        rows = slice(start, start + SORTED_ROWS)
        similarities = query_units[rows] @ gallery_units.T
        same_person = query.person_ids[rows, None] == gallery.person_ids
        junk = nobody | (same_person & (query.camera_ids[rows, None] == gallery.camera_ids))
        order = np.argsort(np.where(junk, np.inf, -similarities), axis=1, kind="stable")
        hits = np.take_along_axis(same_person & ~junk, order, axis=1)
        found = np.cumsum(hits, axis=1)
        ranks = np.arange(1, len(gallery) + 1)
        precision = found / ranks
        before = np.ones_like(precision)
        before[:, 1:] = (found[:, 1:] - hits[:, 1:]) / ranks[:-1]
        matches = np.maximum(hits.sum(axis=1), 1)
        precisions.append((hits * (precision + before) / 2).sum(axis=1) / matches)
    return float(np.concatenate(precisions).mean())


WAYS: dict[str, Callable[[RetrievalSet, RetrievalSet, torch.device], float]] = {
    "full sort, numpy": by_sorting,
    "ranks counted in blocks": by_counting,
    "k-reciprocal re-ranking": by_reranking,
}


def one_turn(name: str, size: Size) -> Turn:
    """In the process that this is called in."""
    torch.set_num_threads(size.threads)
    device = choose_device(size.device)
    query, gallery = random_people(size)
    if device.type == "cuda":
        torch.zeros(1, device=device)  # the context is no part of ranking
    before = _peak_mib()
    start = time.perf_counter()
    mAP = WAYS[name](query, gallery, device)
    seconds = time.perf_counter() - start
    on_device = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    return Turn(
        seconds=seconds, peak_mib=_peak_mib() - before, device_mib=on_device / 2**20, mAP=mAP
    )


def measured(name: str, size: Size, rounds: int) -> Turn:
    """The fastest turn, each in a fresh process."""
    context = multiprocessing.get_context("spawn")
    turns: list[Turn] = []
    for _ in range(rounds):
        with context.Pool(1) as pool:
            turns.append(pool.apply(one_turn, (name, size)))
    return min(turns, key=lambda turn: turn.seconds)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--queries", type=int, default=3_368)
    parser.add_argument("--gallery", type=int, default=19_732)
    parser.add_argument("--distractors", type=int, default=0, help="added to the gallery")
    parser.add_argument("--dimensions", type=int, default=1_024)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3, help="turns of every way")
    parser.add_argument("--rerank", action="store_true", help="measure re-ranking too")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    size = Size(
        queries=options.queries,
        gallery=options.gallery,
        distractors=options.distractors,
        dimensions=options.dimensions,
        device=options.device,
        threads=options.threads,
    )
    # Read by numpy's library when a child process loads it.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(size.threads)
    device = choose_device(size.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    load = round(os.getloadavg()[0], 1)
    print(f"{size.queries} x {size.gallery + size.distractors} x {size.dimensions} on {name}, ")
    print(f"{size.threads} threads, load average {load}, torch {torch.__version__}\n")
    print(
        "| Way | Seconds | MiB added | MiB on the device | Times full sort |\n|---|---|---|---|---|"
    )
    rows: list[dict[str, Any]] = []
    sorting: Turn | None = None
    for way in WAYS:
        if way == "k-reciprocal re-ranking" and not options.rerank:
            continue
        turn = measured(way, size, options.rounds)
        sorting = sorting or turn
        ratio = sorting.seconds / turn.seconds
        print(
            f"| {way} | {turn.seconds:.2f} | {turn.peak_mib:.0f} | {turn.device_mib:.0f} "
            f"| {ratio:.1f} |"
        )
        if way == "ranks counted in blocks" and abs(turn.mAP - sorting.mAP) > 1e-5:
            sys.exit(f"mAP is {turn.mAP} when counted, {sorting.mAP} when sorted")
        rows.append({"way": way, "times_full_sort": ratio, **asdict(turn)})
    if options.json:
        report = {
            "command": " ".join(sys.argv),
            "machine": platform.platform(),
            "device": name,
            "load_average": load,
            "torch": torch.__version__,
            "rounds": options.rounds,
            "size": asdict(size),
            "rows": rows,
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
