"""The command line `dgnet`: collects the commands and turns errors into exit codes.

One noun a file. Command modules import nothing heavy at their top, so that `dgnet --help` is quick
and the install without torch has every command that does not need it.
"""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer
from rich.console import Console

from dgnet.commands import (
    checkpoint,
    data,
    datasets,
    evaluate,
    everywhere,
    jobs,
    people,
    train,
)
from dgnet.commands.demo import demo
from dgnet.commands.embed import embed
from dgnet.commands.failures import CommandError
from dgnet.commands.filter import filter_set
from dgnet.commands.generate import generate
from dgnet.commands.serve import serve
from dgnet.commands.sets import pull, push
from dgnet.commands.swap import swap
from dgnet.commands.worker import worker
from dgnet.release import RELEASE

app = typer.Typer(
    name="dgnet",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Synthetic data for person re-identification: the clothes of one picture on the pose and "
    "scene of another. Exit codes: 0 done, 1 failure, 2 wrong usage or input.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dgnet {RELEASE}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    show_traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where in the program an error came from.")
    ] = False,
) -> None:
    """Options of all commands."""


app.command()(serve)
app.command()(worker)
app.command()(swap)
app.command()(embed)
app.command()(generate)
app.command("filter")(filter_set)
app.command()(push)
app.command()(pull)
app.add_typer(jobs.app, name="jobs")
app.add_typer(datasets.app, name="datasets")
app.add_typer(data.app, name="data")
app.add_typer(people.app, name="people")
app.add_typer(train.app, name="train")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(checkpoint.app, name="checkpoint")
app.command()(demo)
everywhere.complete(app)


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 failure, 2 wrong usage or input."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        app(arguments)
    except Exception as error:
        if "--traceback" in arguments:
            traceback.print_exc()
        console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
        if isinstance(error, CommandError):
            console.print(f"dgnet: {error}")
            sys.exit(error.exit_code)
        if _is_wrong_weights(error):
            console.print(f"dgnet: {error}")
            sys.exit(2)
        console.print(f"dgnet: {type(error).__name__}: {error} (dgnet --traceback ... shows where)")
        sys.exit(1)


def _is_wrong_weights(error: Exception) -> bool:
    """Whether the networks gave what is no number: the checkpoint that was named cannot be used."""
    # Whoever raised it has imported the module; asking must not import torch.
    predictor = sys.modules.get("dgnet.model.predictor")
    return predictor is not None and isinstance(error, predictor.NonFiniteError)
