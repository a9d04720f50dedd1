"""How large a picture may be; judged before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one picture may have: encoded bytes, pixels (width x height), longest side in pixels."""

    size_bytes: int
    pixels: int
    side: int


FILE_LIMITS: Final = Limits(size_bytes=2**26, pixels=2**26, side=2**15)
"""Of files in data sets and on the command line: far beyond any crop of a person."""
