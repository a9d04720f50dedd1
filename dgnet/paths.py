"""Where a path is taken, a `str` is as good as a `Path`; what is no local path is refused."""

from __future__ import annotations

import os
import re
from pathlib import Path

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def local_path(given: str | os.PathLike[str]) -> Path:
    """The path, as it was given: `~` and variables are the shell's to expand.

    Raises ValueError for an empty text, which `Path` takes for the current folder, and for a URL,
    which it takes for a folder called "s3:".
    """
    text = os.fspath(given)
    if not text:
        raise ValueError("an empty path was given; expected the path of a file or folder")
    if _URL.match(text):
        raise ValueError(f"{text} is a URL; expected the path of a local file or folder")
    return Path(text)
