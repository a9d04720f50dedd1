"""Progress bars on stderr, so that stdout stays clean for what a command answers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")


def progress_bar() -> Progress:
    """A bar that vanishes when done; silent when stderr is not a terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def track(items: Sequence[T], description: str) -> Iterable[T]:
    """The items one by one, with a bar that counts them."""
    with progress_bar() as progress:
        yield from progress.track(items, description=description)


@contextmanager
def counted(description: str) -> Generator[Callable[[int, int], None]]:
    """A bar that is told how much is done, and how much there is."""
    with progress_bar() as progress:
        task = progress.add_task(description, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
