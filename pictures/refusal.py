"""Why something is no picture that can be used."""

from __future__ import annotations

import re
from typing import Literal

Reason = Literal["too-large", "not-a-picture", "dimensions", "animated", "damaged"]

_ADDRESS = re.compile(r" <[\w.]+ object at 0x[0-9a-f]+>")


class PictureRefused(ValueError):
    """`what` is a sentence that goes on from the name of the picture: "is a GIF; expected ..."."""

    def __init__(self, reason: Reason, what: str) -> None:
        super().__init__(reason, what)
        self.reason: Reason = reason
        self.what = what

    def __str__(self) -> str:
        return f"it {self.what}".removesuffix(".")


def damaged(kind: str, why: object) -> PictureRefused:
    """The content begins like a picture and does not go on as one.

    Where in memory a library had it is left out: the same picture is always refused in the same
    words, which data cards repeat.
    """
    text = _ADDRESS.sub("", str(why))[:200] or type(why).__name__
    return PictureRefused(
        "damaged",
        f"begins like a {kind} but cannot be decoded: it is truncated or damaged ({text}). "
        "Fetch the whole file again.",
    )
