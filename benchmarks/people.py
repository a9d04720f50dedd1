"""Rendered pictures per second: `python -m benchmarks.people`.

Pictures as `dgnet people render` makes them, without writing: every process renders persons of its
own, 16 pictures each, before eight cameras, after a warm-up that compiles and makes the strangers
that walk by. Dressing each person counts. Order `random` takes another person for every picture,
the worst case; `truths` renders triples as `dgnet.people.dataset.RenderedTruths` gives them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import platform
import time
from dataclasses import asdict, dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

from dgnet.people.dataset import RenderedPictures, RenderedTruths
from dgnet.people.world import SizeName

PICTURES_A_PERSON = 16
SIZES: tuple[SizeName, ...] = ("128x64", "256x128")


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What all processes together did."""

    size: SizeName
    order: str
    recipe: int
    processes: int
    pictures: int
    seconds: float
    pictures_per_second: float
    pictures_per_second_undisturbed: float  # by processor time: had others not taken turns


def _render(
    size: SizeName, order: str, recipe: int, process: int, seconds: float, start: Barrier
) -> tuple[int, float, float]:
    """Render for so many seconds; returns pictures, seconds, and seconds of processor time."""
    first = 1 + 1000 * process
    pictures = RenderedPictures(
        seed=7, people=1000, first_person=first, pictures=PICTURES_A_PERSON, size=size,
        recipe=recipe,
    )  # fmt: skip
    truths = RenderedTruths(seed=7, people=1000, first_person=first, size=size, recipe=recipe)
    world = pictures.world
    for camera in range(len(world.cameras)):
        for index in range(6):
            world.picture(appearance=first, structure=first, camera=camera, index=index, size=size)
    start.wait()
    begin, used = time.perf_counter(), time.process_time()
    done = number = 0
    while time.perf_counter() - begin < seconds:
        if order == "truths":
            done += len(truths[number])
        else:
            step = PICTURES_A_PERSON if order == "random" else 1
            done += len([pictures[(number * step) % len(pictures)]])
        number += 1
    return done, time.perf_counter() - begin, time.process_time() - used


def _work(arguments: tuple[SizeName, str, int, int, float]) -> tuple[int, float, float]:
    assert _start is not None
    return _render(*arguments, _start)


_start: Barrier | None = None


def _settle(start: Barrier) -> None:
    global _start
    _start = start


def measure(size: SizeName, order: str, recipe: int, processes: int, seconds: float) -> Turn:
    """All processes at once, each on its own persons."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(processes)
    with context.Pool(processes, _settle, (start,)) as pool:
        work: list[tuple[SizeName, str, int, int, float]] = [
            (size, order, recipe, process, seconds) for process in range(processes)
        ]
        results = pool.map(_work, work, chunksize=1)
    return Turn(
        size=size,
        order=order,
        recipe=recipe,
        processes=processes,
        pictures=sum(done for done, _, _ in results),
        seconds=max(took for _, took, _ in results),
        pictures_per_second=round(sum(done / took for done, took, _ in results), 1),
        pictures_per_second_undisturbed=round(sum(done / used for done, _, used in results), 1),
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--orders", nargs="+", default=["person", "random", "truths"])
    parser.add_argument("--recipes", nargs="+", type=int, default=[2, 3])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    turns: list[Turn] = []
    asked: list[tuple[str, int]] = list(itertools.product(options.orders, options.recipes))
    for size, (order, recipe) in itertools.product(SIZES, asked):
        turn = measure(size, order, recipe, options.processes, options.seconds)
        turns.append(turn)
        rates = f"{turn.pictures_per_second:7.1f} {turn.pictures_per_second_undisturbed:7.1f}"
        print(
            f"{size:8} {order:8} recipe {recipe} {rates} pictures/s, by processor time", flush=True
        )
    if options.json is not None:
        machine = {"machine": platform.machine(), "cores": os.cpu_count()}
        card = {**machine, "turns": [asdict(turn) for turn in turns]}
        options.json.write_text(json.dumps(card, indent=2) + "\n")


if __name__ == "__main__":
    main()
