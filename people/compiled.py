"""Inner loops are compiled by numba, always with the same arithmetic.

No fast-math and no parallel reductions: both may order sums differently from one machine to the
next, and equal seeds must give equal pictures. Compiled code is kept on disk beside the sources, or
in the user's cache where those cannot be written.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba  # pyright: ignore[reportMissingTypeStubs]

F = TypeVar("F", bound=Callable[..., Any])
PACKAGE = Path(__file__).parent


def compiled(function: F) -> F:
    """Compile on first call; division by zero gives infinity as in numpy."""
    config = cast("Any", numba).config
    before = config.CACHE_DIR
    config.CACHE_DIR = _cache_directory()  # read while the decorator runs
    try:
        compile_it = cast("Callable[[F], F]", numba.njit(cache=True, error_model="numpy"))  # pyright: ignore[reportUnknownMemberType]
        return compile_it(function)
    finally:
        config.CACHE_DIR = before


@cache
def _cache_directory() -> str:
    """A folder for this state of the sources.

    numba compiles called functions into their callers, but looks at the caller's file alone to see
    whether its compiled code is still right: an edit of `noise.py` would go unnoticed.
    """
    digest = hashlib.sha256()
    for source in sorted(PACKAGE.rglob("*.py")):
        digest.update(source.read_bytes())
    if os.access(PACKAGE, os.W_OK):
        folder = PACKAGE / "__pycache__"
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dgnet"
    return str(folder / f"compiled-{digest.hexdigest()[:16]}")
