"""Why something is no picture that can be used."""

from __future__ import annotations

from typing import Literal

Reason = Literal["too-large", "not-a-picture", "dimensions", "animated", "damaged"]


class PictureRefused(ValueError):
    """`what` is a sentence that goes on from the name of the picture: "is a GIF; expected ..."."""

    def __init__(self, reason: Reason, what: str) -> None:
        super().__init__(reason, what)
        self.reason: Reason = reason
        self.what = what

    def __str__(self) -> str:
        return f"it {self.what}".removesuffix(".")


def damaged(kind: str, why: object) -> PictureRefused:
    """The content begins like a picture and does not go on as one."""
    text = str(why)[:200] or type(why).__name__
    return PictureRefused(
        "damaged",
        f"begins like a {kind} but cannot be decoded: it is truncated or damaged ({text}). "
        "Fetch the whole file again.",
    )
