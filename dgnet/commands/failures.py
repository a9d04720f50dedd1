"""How commands fail: one clear line on stderr and an exit code, never a traceback.

0 done, 1 failure, 2 wrong usage or input. `dgnet.commands.cli.main` prints; commands only raise.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import ClassVar, Literal

from dgnet.model.data.picture import writable

Extra = Literal["worker", "embedded", "train", "generate", "people", "onnx"]


class CommandError(Exception):
    """The command was right and could not be done."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str) -> None:
        super().__init__(writable(message))  # names of files need not be UTF-8, terminals are


class InputError(CommandError):
    """What the user gave cannot be used: an option, a file, a missing installation extra."""

    exit_code = 2


@contextmanager
def needs_extra(extra: Extra) -> Generator[None]:
    """Turn the failed import of a package that the base install lacks into what to install.

    A missing module of our own is a defect and passes through.
    """
    try:
        yield
    except ImportError as error:
        missing = error if isinstance(error, ModuleNotFoundError) else error.__cause__
        package = (getattr(missing, "name", None) or "").partition(".")[0]
        if package in {"", "dgnet", "model", "people", "pictures", "worker", "service"}:
            raise
        raise InputError(
            f"this needs {package}, which is not installed here: pip install 'dgnet[{extra}]'"
        ) from error
