"""What every command has without saying so itself: `--quiet`, and examples in its help."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer

from dgnet.commands.examples import epilog
from dgnet.commands.talk import set_quiet

QuietOption = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="Say nothing of what is done, show no progress; answers, warnings and errors stay.",
    ),
]


def complete(app: typer.Typer, path: tuple[str, ...] = ()) -> None:
    """Give every command of `app` and of the groups within what all have."""
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__.replace("_", "-")
        command.callback = _quiet(command.callback)
        command.epilog = epilog(" ".join((*path, name)))
    for group in app.registered_groups:
        if group.typer_instance is not None:
            complete(group.typer_instance, (*path, str(group.name)))


def _quiet(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same command with one option more, which it need not know of."""

    @wraps(command)
    def call(*arguments: Any, quiet: bool, **options: Any) -> Any:
        set_quiet(quiet)
        return command(*arguments, **options)

    # Annotations of a command are texts, which only its own file can read; those of one that was
    # put together from parts stand in its signature alone.
    hints = get_type_hints(command, include_extras=True)
    parameters = [
        parameter.replace(annotation=hints.get(parameter.name, parameter.annotation))
        for parameter in inspect.signature(command).parameters.values()
    ]
    own = inspect.Parameter(
        "quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=QuietOption
    )
    call.__signature__ = inspect.Signature([*parameters, own])  # pyright: ignore[reportAttributeAccessIssue]
    call.__annotations__ = {one.name: one.annotation for one in (*parameters, own)}
    return call
