"""What a command says of what it did, apart from what it answers: left out with `--quiet`.

Answers (a table, JSON) and warnings are printed by `typer.echo` as ever; progress asks `is_quiet`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import typer

_quiet = False


def set_quiet(quiet: bool) -> None:
    """For this run of the command line."""
    global _quiet
    _quiet = quiet


def is_quiet() -> bool:
    """Whether neither progress nor talk is wanted."""
    return _quiet


def say(text: str, *, err: bool = False) -> None:
    """A line that nobody needs who asked for quiet."""
    if not _quiet:
        typer.echo(text, err=err)


def first_named(names: Sequence[object], most: int) -> str:
    """The first of them, and how many more there are: a, b and 3 more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more


def answer(values: Any) -> None:
    """JSON on stdout, for programs."""
    typer.echo(json.dumps(values, indent=2, default=str))
