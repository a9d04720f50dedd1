"""Progress on stderr, so that stdout stays clean for what a command answers.

A bar that vanishes where there is a terminal; elsewhere (a log, a job's output) a line now and then
and none for what is done soon. Neither with `--quiet`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from dgnet.commands.talk import is_quiet

T = TypeVar("T")

LINE_SECONDS: Final = 15.0
"""Between two lines."""


class _Lines(Progress):
    """Whole lines in place of a bar."""

    def __init__(self, console: Console) -> None:
        super().__init__(console=console, disable=True)
        self._next = time.monotonic() + LINE_SECONDS
        self._told: set[TaskID] = set()

    def update(self, task_id: TaskID, **changes: Any) -> None:
        super().update(task_id, **changes)
        self._tell(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        super().advance(task_id, advance)
        self._tell(task_id)

    def _tell(self, task_id: TaskID) -> None:
        task = self._tasks[task_id]
        due = time.monotonic() >= self._next
        # Whoever read that it began reads that it ended, once.
        ended = task.finished and task_id in self._told
        if not due and not ended:
            return
        self._next = time.monotonic() + LINE_SECONDS
        (self._told.discard if task.finished else self._told.add)(task_id)
        self.console.print(_line(task), markup=False, highlight=False, soft_wrap=True)


def _line(task: Task) -> str:
    total = "" if task.total is None else f" of {task.total:,.0f}"
    left = task.time_remaining
    remaining = f", {left / 60:.0f} min left" if left is not None and left >= 60 else ""
    return f"{task.description}: {task.completed:,.0f}{total}{remaining}"


def progress_bar() -> Progress:
    """A bar or lines, for a `with`."""
    console = Console(stderr=True)
    if is_quiet():
        return Progress(console=console, disable=True)
    if not console.is_terminal:
        return _Lines(console)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def track(items: Sequence[T], description: str) -> Iterable[T]:
    """The items one by one, counted."""
    with progress_bar() as progress:
        task = progress.add_task(description, total=len(items))
        for item in items:
            yield item
            progress.advance(task)


@contextmanager
def counted(description: str) -> Generator[Callable[[int, int], None]]:
    """Is told how much is done, and how much there is."""
    with progress_bar() as progress:
        task = progress.add_task(description, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
