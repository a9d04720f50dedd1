"""Whose folder it is: a job takes an empty one, and only the same job carries it on.

`job.json` holds everything that decides the bytes, and the sizes of the source's pictures.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from dgnet.files import PART, sync, write_file
from dgnet.generation.output.publication import remove_unpublished
from dgnet.generation.output.shards import SHARDS_FOLDER
from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.manifest import JOB_FILE

SIZES = "sizes_sha256"
MADE_BY = "made_by"
"""Kind of card or processor and versions of libraries: others round differently."""

LATER_FIELDS = (SIZES, MADE_BY)
"""That jobs of older releases lack: they are carried on without them."""


def job_file(identity: dict[str, Any]) -> bytes:
    """What `JOB_FILE` holds."""
    return (json.dumps(identity, indent=2) + "\n").encode()


def take_folder(directory: Path, identity: dict[str, Any], *, resume: bool) -> None:
    """Start a job in an empty folder, or check that the folder's job is this one."""
    path = directory / JOB_FILE
    if not path.exists():
        remove_unpublished(directory, f"*{PART}")
        if others := sorted(entry.name for entry in directory.iterdir()):
            raise GenerationError(
                f"{directory} is not empty (it has {others[0]}) and holds no generation job; "
                "expected an empty or a new folder"
            )
        write_file(path, job_file(identity), durable=True)
        sync(directory)
        return
    if not resume:
        raise GenerationError(
            f"{directory} holds a generation job already: carry it on with --resume, or choose "
            "another folder"
        )
    try:
        before = cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise GenerationError(f"{path} is damaged: {error}") from error
    if differing := differences(before, identity):
        raise GenerationError(
            f"the job in {directory} differs from this one in {'; '.join(differing)}. Resume it as "
            "it was begun, or choose another folder"
        )


def remove_leftovers(directory: Path) -> None:
    """Remove what killed processes left half done; only for who has the folder to himself."""
    remove_unpublished(directory, f"*{PART}")
    remove_unpublished(directory / SHARDS_FOLDER, "*")


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs between the job that was begun and this one, in words."""
    lacking = [name for name in LATER_FIELDS if name not in before]
    now = {name: value for name, value in now.items() if name not in lacking}
    lines = _differences(before, now)
    if before.get("listing_sha256") != now.get("listing_sha256"):
        lines.append("the source: pictures came or went")
    elif before.get(SIZES) != now.get(SIZES):
        lines.append("the source: pictures were replaced by others of the same names")
    return lines


def _differences(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    """Level by level."""
    lines: list[str] = []
    for name in sorted(before.keys() | now.keys()):
        old, new = cast("tuple[object, object]", (before.get(name), now.get(name)))
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            below = cast("tuple[dict[str, Any], dict[str, Any]]", (old, new))
            lines += _differences(*below, f"{prefix}{name}.")
        else:
            then, current = _short(cast(object, old)), _short(new)
            lines.append(f"{prefix}{name} ({then} then, {current} now)")
    return lines


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:20]}..."
