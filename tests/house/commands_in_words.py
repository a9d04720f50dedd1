"""`dgnet …` as pages write it, held against the real command line without running it."""

from __future__ import annotations

import re
import shlex
from typing import Any

import typer

from dgnet.commands.cli import app

ROOT_COMMAND: Any = typer.main.get_command(app)
_OPTION = re.compile(r"(?<![\w./=-])(--[a-z][\w-]*|-[a-zA-Z](?![\w-]))")


def commands_in(script: str) -> list[list[str]]:
    """The words after each `dgnet` of a shell script, as the shell would split them."""
    joined = script.replace("\\\n", " ")
    found: list[list[str]] = []
    for line in joined.splitlines():
        words = shlex.split(line, comments=True)
        starts = [at for at, word in enumerate(words) if re.fullmatch(r"(\w+=)?\$?\(?dgnet", word)]
        for at in starts:
            found.append([word.rstrip(")") for word in words[at + 1 :]])
    return found


def parse(words: list[str]) -> None:
    """Parses the words as the command line does, types included, and does nothing else.

    Raises what the command line would print.
    """
    command, rest = command_of(words)
    assert not hasattr(command, "commands"), f"dgnet {' '.join(words)}: names no command of a group"
    command.make_context(command.name, list(rest))


def unknown_options(text: str) -> list[str]:
    """Options that a mention such as `dgnet serve [--host --port]` has and the command lacks."""
    command, rest = command_of(text.split()[1:])
    known = {name for parameter in command.params for name in option_names(parameter)}
    if hasattr(command, "commands"):  # a group: whatever one of its commands takes
        known |= {
            name
            for child in command.commands.values()
            for parameter in child.params
            for name in option_names(parameter)
        }
    return [name for name in _OPTION.findall(" ".join(rest)) if name not in known | {"--help"}]


def option_names(parameter: Any) -> list[str]:
    is_option = parameter.param_type_name == "option"
    return [*parameter.opts, *parameter.secondary_opts] if is_option else []


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the first words name, and the words after them."""
    command, at = ROOT_COMMAND, 0
    while at < len(words) and words[at] in getattr(command, "commands", {}):
        command, at = command.commands[words[at]], at + 1
    if command is ROOT_COMMAND and words and not words[0].startswith(("-", "…", "[")):
        raise ValueError(f"dgnet {words[0]} is no command")
    return command, words[at:]
