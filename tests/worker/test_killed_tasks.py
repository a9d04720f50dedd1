"""Every background task of worker and service is killed by a test, and none is forgotten.

A task that somebody ends is begun anew, or its owner says why and ends. The list of tasks is read
from the code: a new one fails here until it has a test that kills it.
"""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from dgnet.jobs.contract import DatasetCheckJob, DatasetCheckResult
from dgnet.jobs.embedded import embedded_redis
from dgnet.jobs.generation.job_store import JobStore
from dgnet.jobs.generation.jobs import GenerationTask
from dgnet.jobs.settings import WorkerSettings
from dgnet.jobs.storage import StorageSettings
from dgnet.worker.main import Worker
from tests.worker.bulk import spec_of
from tests.worker.fakes import FakePredictor
from tests.worker.harness import ROOT, queue_settings, running, until

ROOMS = ("jobs", "service", "worker", "dgnet/commands")
BEGUN_ANEW = "tests/worker/test_surprises.py::test_a_background_task_that_is_killed_is_begun_anew"
OF_THE_CLIENT = (
    "tests/worker/test_outages.py::test_a_task_of_the_client_that_is_killed_is_begun_anew"
)
HERE = "tests/worker/test_killed_tasks.py::test_a_task_of_bulk_work_that_is_killed_is_begun_anew"

KILLED = {
    "heartbeat": BEGUN_ANEW,
    "leases": BEGUN_ANEW,
    "batcher": BEGUN_ANEW,
    "attempt ": BEGUN_ANEW,
    "claims of the small lane": BEGUN_ANEW,
    "claims of the bulk lane": HERE,
    "bulk upkeep": HERE,
    "queue-replies": OF_THE_CLIENT,
    "queue-results": OF_THE_CLIENT,
    "queue-pulse": OF_THE_CLIENT,
    "watch": "tests/worker/test_tasks.py"
    "::test_a_watch_that_is_killed_still_hears_that_the_job_was_cancelled",
    "combined trips": "tests/worker/test_outages.py::test_a_trip_that_is_killed_is_made_again",
    "job-events": "tests/worker/test_feed.py"
    "::test_a_reader_that_is_killed_tells_its_followers_who_come_back",
    "sweep": "tests/service/test_app.py::test_a_sweep_that_is_killed_is_begun_anew",
    "worker": "tests/commands/test_hosting.py::test_a_worker_that_is_killed_ends_the_service",
}
"""Tasks by name, or how it begins, and the test that kills each."""

IN_THE_BACKGROUND = {
    "jobs/tasks.py:Background.start": "all that are named where they are started",
    "worker/main.py:Worker._claim_until_stopped": "claims of the small lane, of the bulk lane",
}
AWAITED = {
    "dgnet/commands/worker_processes.py:_first_of",
    "dgnet/commands/worker_processes.py:supervise",
    "jobs/client.py:JobClient._ask",
    "jobs/outages.py:answered_within",
    "service/event_stream.py:_pieces",
    "service/middleware/heads.py:HeadMiddleware.__call__",
    "service/uploads.py:to_the_end",
}
"""Whoever began these awaits them, and is told how they end."""

_BEGIN = {"create_task", "ensure_future", "run_coroutine_threadsafe"}


class FakeBulk:
    """Bulk work that only says what it was asked for."""

    recipe = "fake"

    def __init__(self) -> None:
        self.tasks: list[GenerationTask] = []
        self.upkeeps = 0

    async def run(self, task: GenerationTask) -> None:
        self.tasks.append(task)

    async def give_up(self, task: GenerationTask, reason: Exception) -> None: ...

    async def check_dataset(self, job: DatasetCheckJob) -> DatasetCheckResult:
        raise NotImplementedError

    async def maintain(self) -> None:
        self.upkeeps += 1
        await asyncio.Event().wait()

    def stop(self) -> None: ...

    def close(self) -> None: ...


def named(name: str) -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == name]


@pytest.mark.parametrize("name", ["claims of the bulk lane", "bulk upkeep"])
async def test_a_task_of_bulk_work_that_is_killed_is_begun_anew(name: str, tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    redis, bulk = embedded_redis(), FakeBulk()
    job_store = JobStore(redis, queue_settings(), StorageSettings(data_root=tmp_path))
    settings = queue_settings()
    new = Worker(redis, FakePredictor(), settings, WorkerSettings(), bulk=bulk)
    async with running(new) as worker:
        await until(lambda: bool(named(name)) and bulk.upkeeps == 1)
        [task] = named(name)
        while not task.done():  # Python 3.11 may swallow one, see `cancel_and_wait`
            task.cancel()
            await asyncio.sleep(0.01)
        await until(lambda: bool(named(name)))
        assert bulk.upkeeps == (2 if name == "bulk upkeep" else 1)
        job, _ = await job_store.submit(spec_of())
        await until(lambda: [task.job_id for task in bulk.tasks] == [job.job_id])
    assert worker is not None
    await redis.aclose()


def test_every_task_has_a_test_that_kills_it() -> None:
    found = list(_tasks_of_the_code())
    assert len(found) > 12
    for place, name in found:
        if name is not None:
            assert name in KILLED, f"{place} begins the task {name!r}: which test kills it?"
        else:
            assert place in AWAITED | IN_THE_BACKGROUND.keys(), f"{place} begins a task: which?"
    names = {name for _, name in found} | {
        "claims of the small lane", "claims of the bulk lane"
    }  # fmt: skip
    assert names - {None} == KILLED.keys()
    assert {place for place, name in found if name is None} == AWAITED | IN_THE_BACKGROUND.keys()


@pytest.mark.parametrize("name", KILLED)
def test_the_test_that_kills_a_task_names_it(name: str) -> None:
    path, _, test = KILLED[name].partition("::")
    text = (ROOT / path).read_text()
    function = next(
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == test
    )
    first = min([node.lineno for node in function.decorator_list], default=function.lineno)
    source = "\n".join(text.splitlines()[first - 1 : function.end_lineno])
    assert f'"{name}"' in source
    assert ".cancel()" in source


def _tasks_of_the_code() -> Iterator[tuple[str, str | None]]:
    """Where a task is begun, and its name if that is told there."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            for function, call in _calls(ast.parse(path.read_text()), ""):
                place = f"{path.relative_to(ROOT)}:{function}"
                assert isinstance(call.func, ast.Attribute)
                if call.func.attr in _BEGIN:
                    given = [word.value for word in call.keywords if word.arg == "name"]
                    yield place, _constant(given[0]) if given else None
                elif _starts_in_the_background(call):
                    yield place, _constant(call.args[0])


def _starts_in_the_background(call: ast.Call) -> bool:
    """Whether it is `Background.start(name, run)`; a `TaskStore` starts jobs."""
    assert isinstance(call.func, ast.Attribute)
    whose = ast.unparse(call.func.value)
    return call.func.attr == "start" and len(call.args) == 2 and not whose.endswith("task_store")


def _calls(node: ast.AST, within: str) -> Iterator[tuple[str, ast.Call]]:
    for child in ast.iter_child_nodes(node):
        inside = within
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = f"{within}.{child.name}" if within else child.name
        elif isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute):
            yield within, child
        yield from _calls(child, inside)


def _constant(node: ast.expr) -> str | None:
    """A text, or how one begins."""
    if isinstance(node, ast.JoinedStr):
        node = node.values[0]
    return cast("str", node.value) if isinstance(node, ast.Constant) else None
