"""What the long-running commands have in common: settings, logs and a quiet end."""

from __future__ import annotations

import logging
import signal
import sys
from types import FrameType
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from dgnet.commands.failures import InputError
from dgnet.jobs.addresses import without_secrets

S = TypeVar("S", bound=BaseSettings)


def read_settings(kind: type[S]) -> S:
    """Settings from the environment; raises InputError that names a wrong variable."""
    try:
        return kind()
    except ValidationError as error:
        first = error.errors()[0]
        names = [f"DGNET_{str(part).upper()}" for part in first["loc"][:1]]
        raise InputError(": ".join([*names, first["msg"]])) from error


def unusable_queue(redis_url: str) -> InputError:
    """The error for an address that redis-py does not take; what that says may quote a password."""
    return InputError(
        f"cannot use the queue {without_secrets(redis_url)}; expected "
        "redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], with special characters of user and "
        "password percent-encoded, or rediss:// or unix://"
    )


def start_logging() -> None:
    """Logs to stderr, one line an event."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


def exit_cleanly_while_starting() -> None:
    """SIGTERM before there is anything to finish ends the process with 0."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, leave)
