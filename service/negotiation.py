"""Reads the two headers with which a client steers its answer: `Accept` and `Prefer`.

RFC 9110 section 12.5.1 (quality values, the most specific range decides) and RFC 7240
(`respond-async`, `wait=N`). Preferences that make no sense are ignored, as that RFC asks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dgnet.service.problems import NOT_ACCEPTABLE, Problem

_WAIT = re.compile(r'wait\s*=\s*"?(\d{1,9})"?$')


@dataclass(frozen=True)
class _MediaRange:
    type: str
    subtype: str
    quality: float

    def specificity(self, media_type: str) -> int:
        """2 exact, 1 for `type/*`, 0 for `*/*`, -1 no match."""
        type_, _, subtype = media_type.partition("/")
        if (self.type, self.subtype) == (type_, subtype):
            return 2
        if (self.type, self.subtype) == (type_, "*"):
            return 1
        return 0 if (self.type, self.subtype) == ("*", "*") else -1


def _parse_accept(accept: str) -> list[_MediaRange]:
    ranges: list[_MediaRange] = []
    for item in accept.lower().split(","):
        media, *parameters = (part.strip() for part in item.split(";"))
        type_, slash, subtype = media.partition("/")
        if not slash:
            continue
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                try:
                    quality = min(1.0, max(0.0, float(value)))
                except ValueError:
                    quality = 0.0
        ranges.append(_MediaRange(type_, subtype, quality))
    return ranges


def negotiate(accept: str | None, offered: Sequence[str]) -> str:
    """The offered media type that the client likes best; the first offered wins ties.

    Raises a 406 `Problem` when the client accepts none of them.
    """
    if not accept or accept == "*/*":
        return offered[0]
    if accept in offered:
        return accept
    ranges = _parse_accept(accept)
    best, best_quality = "", 0.0
    for media_type in offered:
        quality, specificity = 0.0, -1
        for media_range in ranges:
            specific = media_range.specificity(media_type)
            if specific > specificity:
                quality, specificity = media_range.quality, specific
        if quality > best_quality:
            best, best_quality = media_type, quality
    if not best:
        raise Problem(
            NOT_ACCEPTABLE,
            f"Accept is {accept[:200]!r}; this route offers {', '.join(offered)}.",
            extensions={"offered": list(offered)},
        )
    return best


@dataclass(frozen=True)
class Preference:
    """What `Prefer` asks for: how long to wait before the answer is 202."""

    respond_async: bool = False
    wait_seconds: int | None = None

    @property
    def allows_202(self) -> bool:
        return self.respond_async or self.wait_seconds is not None


def parse_prefer(values: Sequence[str]) -> Preference:
    """Read all `Prefer` headers of a request; the first mention of a preference counts."""
    respond_async = False
    wait_seconds: int | None = None
    for item in ",".join(values).split(","):
        preference = item.partition(";")[0].strip().lower()
        if preference == "respond-async":
            respond_async = True
        elif wait_seconds is None and (match := _WAIT.match(preference)):
            wait_seconds = int(match[1])
    return Preference(respond_async, wait_seconds)
