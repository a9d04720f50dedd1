"""Renders a whole set: in parallel, and resumable after any interruption to equal bytes.

Every unit writes its pictures, then its rows to `.rendering/NAME.json`; a unit with that file is
done. When all are, the tables and the card are written and `.rendering` goes. Files appear whole,
and what a unit writes depends on nothing but the plan, so that neither a kill nor the number of
processes changes a byte.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import cast

from dgnet.files import PART, write_file
from dgnet.paths import local_path
from dgnet.people.dataset import TRUTHS_A_GROUP
from dgnet.people.writing.attributes import Row, encode_rows
from dgnet.people.writing.card import data_card
from dgnet.people.writing.plan import RenderPlan, world_of_truth
from dgnet.people.writing.units import write_person, write_truths

PLAN_FILE, CARD_FILE = "set.json", "README.md"
ATTRIBUTES_FILE, TRUTHS_FILE = "attributes.parquet", "truths.parquet"
JOURNAL = ".rendering"

ReportProgress = Callable[[int, int], None]
"""Called with files written and files in all."""


class RenderError(Exception):
    """The folder cannot take this set; the message says what to do."""


class ProcessLostError(Exception):
    """A rendering process was killed, e.g. for memory; what is done is kept."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One piece of work: a person, or the triples of a group from a first number on."""

    kind: str  # "person" or "truths"
    first: int
    pictures: int

    @property
    def journal(self) -> str:
        """Name of the file that says it is done."""
        return f"{self.kind}-{self.first:06d}.json"


def units_of(plan: RenderPlan) -> list[Unit]:
    """All units of a plan, those of a world together: a process keeps the figures of few worlds."""
    people = [
        Unit(kind="person", first=person, pictures=plan.pictures)
        for person in sorted(range(1, plan.people + 1), key=plan.world_of)
    ]
    truths = [
        Unit(kind="truths", first=first, pictures=3 * min(TRUTHS_A_GROUP, plan.truths - first))
        for first in sorted(
            range(0, plan.truths, TRUTHS_A_GROUP), key=lambda first: world_of_truth(plan, first)
        )
    ]
    return people + truths


def render_set(
    plan: RenderPlan,
    folder: str | Path,
    *,
    processes: int = 1,
    resume: bool = False,
    progress: ReportProgress = lambda done, total: None,
) -> None:
    """Render a set into a new or empty folder, or carry on with one.

    Raises:
        RenderError: The folder holds something else, or another plan.
        ProcessLostError: A process was killed.
    """
    folder = local_path(folder)
    _take_folder(plan, folder, resume)
    if (folder / CARD_FILE).exists():  # written last
        return
    units = units_of(plan)
    total = sum(unit.pictures for unit in units)
    missing = [unit for unit in units if not (folder / JOURNAL / unit.journal).exists()]
    done = total - sum(unit.pictures for unit in missing)
    progress(done, total)
    for unit in _worked_off(plan, folder, missing, processes):
        done += unit.pictures
        progress(done, total)
    _finish(plan, folder, units)


def _take_folder(plan: RenderPlan, folder: Path, resume: bool) -> None:
    """Make sure that the folder is new, or that it holds the beginning of this very set."""
    text = json.dumps(plan.to_json(), indent=2) + "\n"
    file = folder / PLAN_FILE
    if folder.exists() and not folder.is_dir():
        raise RenderError(f"{folder} is a file; give a folder that is new or empty")
    if file.exists():
        if not resume:
            raise RenderError(f"{folder} holds a rendered set; add --resume, or give a new folder")
        if file.read_text() != text:
            before = _recipe_of(file)
            if before is not None and before != plan.recipe:
                raise RenderError(
                    f"{folder} was begun by recipe {before}, the options ask for recipe "
                    f"{plan.recipe}; carry on with --recipe {before}, or give a new folder"
                )
            raise RenderError(
                f"{folder} holds another set than the options describe, see {file}; give its "
                "options, or a new folder"
            )
    elif folder.exists() and any(folder.iterdir()):
        raise RenderError(f"{folder} is not empty and holds no rendered set; give a new folder")
    _remove_parts(folder)
    write_file(file, text.encode(), make_parents=True)


def _remove_parts(folder: Path) -> None:
    """Remove what a killed process left half-written."""
    for part in folder.rglob(f".*{PART}"):
        part.unlink(missing_ok=True)


def _recipe_of(file: Path) -> object:
    """The recipe that a set's options name; None where they cannot be read."""
    try:
        options = json.loads(file.read_text())
    except ValueError:
        return None
    return cast("dict[str, object]", options).get("recipe") if isinstance(options, dict) else None


def _worked_off(
    plan: RenderPlan, folder: Path, units: list[Unit], processes: int
) -> Iterator[Unit]:
    """The units, each when it is done."""
    if processes == 1 or len(units) < 2:
        for unit in units:
            work(plan, folder, unit)
            yield unit
        return
    try:
        yield from _in_parallel(plan, folder, units, processes)
    except BrokenProcessPool as error:
        raise ProcessLostError(
            f"one of {processes} rendering processes was killed, perhaps for memory (each takes "
            "about half a GB); take fewer and carry on with --resume"
        ) from error


def _in_parallel(
    plan: RenderPlan, folder: Path, units: list[Unit], processes: int
) -> Iterator[Unit]:
    # Fresh processes: forked ones would inherit locks and threads of whoever calls.
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(processes, mp_context=context, initializer=_settle) as pool,
        _cancelled_at_exit(pool),
    ):
        waiting: dict[Future[None], Unit] = {
            pool.submit(work, plan, folder, unit): unit for unit in units
        }
        while waiting:
            finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
                yield waiting.pop(future)


@contextmanager
def _cancelled_at_exit(pool: ProcessPoolExecutor) -> Generator[None]:
    """Begin no more units when the caller stops early; those at work are finished."""
    try:
        yield
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _settle() -> None:
    """Leave Ctrl-C to the parent, and end when the parent is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def follow() -> None:
            connection.wait([parent.sentinel])
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()


def work(plan: RenderPlan, folder: Path, unit: Unit) -> None:
    """Do one unit and note that it is done."""
    write = write_person if unit.kind == "person" else write_truths
    rows = write(plan, folder, unit.first)
    write_file(folder / JOURNAL / unit.journal, json.dumps(rows).encode(), make_parents=True)


def _finish(plan: RenderPlan, folder: Path, units: list[Unit]) -> None:
    journal = folder / JOURNAL
    for kind, name in (("person", ATTRIBUTES_FILE), ("truths", TRUTHS_FILE)):
        rows: list[Row] = []
        for unit in sorted(units, key=lambda unit: unit.first):
            if unit.kind == kind:
                rows += json.loads((journal / unit.journal).read_bytes())
        if rows:
            write_file(folder / name, encode_rows(rows), make_parents=True)
    _remove_parts(folder)
    write_file(folder / CARD_FILE, data_card(plan).encode(), make_parents=True)
    shutil.rmtree(journal)
