"""Turns untrusted bytes into RGB pictures of the model's size, or refuses them with a Problem.

What a picture is, and what it shows, `pictures` decides, as for everything else that reads
pictures; here are the limits of requests, the formats that docs/http-api.md promises, and the kinds
of problems. Threads are left to the picture pool.

Legend: H x W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dgnet.pictures import (
    FILE_BUDGET,
    WEB_FORMATS,
    Limits,
    OpenedPicture,
    PictureRefused,
    PixelBudget,
    PreparedPicture,
    Reason,
)
from dgnet.pictures import open_picture as judge_picture
from dgnet.service.problems import (
    ANIMATED_PICTURE,
    DAMAGED_PICTURE,
    NOT_A_PICTURE,
    PICTURE_DIMENSIONS,
    PICTURE_TOO_LARGE,
    Problem,
    ProblemKind,
)
from dgnet.service.settings import ServiceSettings

__all__ = ["ArrivedPicture", "PreparedPicture", "open_picture"]

_KINDS: Final[dict[Reason, ProblemKind]] = {
    "too-large": PICTURE_TOO_LARGE,
    "not-a-picture": NOT_A_PICTURE,
    "dimensions": PICTURE_DIMENSIONS,
    "animated": ANIMATED_PICTURE,
    "damaged": DAMAGED_PICTURE,
}


@dataclass(frozen=True)
class ArrivedPicture:
    """A picture whose header passed every limit; its pixels are not decoded yet."""

    picture: OpenedPicture
    label: str

    @property
    def pixel_count(self) -> int:
        return self.picture.pixel_count

    def prepare(
        self, *, width: int, height: int, budget: PixelBudget = FILE_BUDGET
    ) -> PreparedPicture:
        """Decode to upright RGB on white and resize (bicubic) to (height, width)."""
        try:
            return self.picture.prepare(width=width, height=height, budget=budget)
        except PictureRefused as refused:
            raise _problem(refused, self.label) from refused


def open_picture(data: bytes, settings: ServiceSettings, *, label: str) -> ArrivedPicture:
    """Sniff the format and judge the header; raise a `Problem` that names `label`."""
    limits = Limits(
        size_bytes=settings.max_picture_bytes,
        pixels=settings.max_picture_pixels,
        side=settings.max_picture_side,
    )
    try:
        return ArrivedPicture(judge_picture(data, limits, WEB_FORMATS), label)
    except PictureRefused as refused:
        raise _problem(refused, label) from refused


def _problem(refused: PictureRefused, label: str) -> Problem:
    return Problem(_KINDS[refused.reason], f"{label} {refused.what}")
