"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

PART = ".part"


def write_whole(path: Path, data: bytes) -> None:
    """Create or replace a file in one step; makes the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    part.write_bytes(data)
    part.replace(path)


def remove_parts(folder: Path) -> None:
    """Remove what a killed process left half-written."""
    for part in folder.rglob(f".*{PART}"):
        part.unlink(missing_ok=True)
