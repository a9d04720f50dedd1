"""`dgnet data`: what is in a data set, and what is wrong with it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from dgnet.commands.failures import CommandError, InputError
from dgnet.commands.options import DistractorsOption, JunkOption, LayoutOption, PatternOption
from dgnet.commands.outputs import write_bytes
from dgnet.commands.progress import progress_bar

app = typer.Typer(no_args_is_help=True, help="Look at data sets.")

STDOUT = Path("-")


# With a callback even a lone command keeps its name: `dgnet data check`.
@app.callback()
def data() -> None:
    """Look at data sets."""


@app.command("check")
def check_data(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Data set in any layout of docs/data.md.")
    ],
    layout: LayoutOption = None,
    pattern: PatternOption = None,
    junk: JunkOption = None,
    distractors: DistractorsOption = None,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json", metavar="FILE", help="Write the report as JSON; - prints it and no table."
        ),
    ] = None,
) -> None:
    """Print people, cameras, pictures, junk, and everything suspicious; exit 1 if there are errors.

    Every picture is decoded to its end. Nothing is changed.
    """
    from dgnet.model.data.check import check_dataset
    from dgnet.model.data.layouts import read_dataset
    from dgnet.model.data.picture import DatasetError

    try:
        dataset = read_dataset(directory, layout, pattern, junk=junk, distractors=distractors)
    except DatasetError as error:
        raise InputError(str(error)) from error
    with progress_bar() as bar:
        task = bar.add_task("pictures", total=None)
        report = check_dataset(
            dataset, lambda done, total: bar.update(task, completed=done, total=total)
        )
    text = json.dumps(report.to_json(), indent=2) + "\n"
    if json_file == STDOUT:
        sys.stdout.write(text)
    else:
        typer.echo(report.to_table())
    if json_file is not None and json_file != STDOUT:
        write_bytes(json_file, text.encode())
    if report.errors:
        raise CommandError(
            f"{directory}: the check found errors ({report.errors}), see its report; docs/data.md "
            "explains each rule"
        )
