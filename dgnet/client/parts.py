"""What one request for many composites asks: a grid, a list of pairs, or a walk, and how it is cut.

Pictures carry the place where the caller gave them, for messages.
"""

from __future__ import annotations

import json
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self, TypeVar

from dgnet.client.sent_files import PICTURES_PER_REQUEST
from dgnet.pictures import AnyPicture

T = TypeVar("T")

# Half of what a server makes by default.
COMPOSITES_PER_REQUEST: Final = 128


@dataclass(frozen=True, kw_only=True)
class Sent:
    role: str
    picture: AnyPicture
    place: int
    """Where the caller gave it."""


class Part(ABC):
    """What one request asks for."""

    path: str

    @property
    @abstractmethod
    def count(self) -> int:
        """Of composites."""

    @abstractmethod
    def sent(self) -> list[Sent]:
        """Pictures in the order of the form."""

    @abstractmethod
    def halves(self) -> Sequence[Part]:
        """Two parts that are this one together; none of what is not to be cut."""

    @property
    def halves_axis(self) -> int:
        """Of the composites, along which halves lie."""
        return 0

    def params(self) -> dict[str, Any]:
        return {}

    def fields(self) -> dict[str, str]:
        return {}


@dataclass(frozen=True, kw_only=True)
class Grid(Part):
    appearances: Sequence[tuple[int, AnyPicture]]
    structures: Sequence[tuple[int, AnyPicture]]
    path = "/v1/swaps/grid"

    @property
    def count(self) -> int:
        return len(self.appearances) * len(self.structures)

    @property
    def halves_axis(self) -> int:
        return 0 if len(self.appearances) >= len(self.structures) else 1

    def tiles(self) -> list[list[Self]]:
        """Nearly square ones: most composites for the pictures that are sent."""
        rows = min(len(self.appearances), math.isqrt(COMPOSITES_PER_REQUEST))
        across = len(self.structures), COMPOSITES_PER_REQUEST // rows, PICTURES_PER_REQUEST - rows
        columns = min(across)
        down = len(self.appearances), COMPOSITES_PER_REQUEST // columns
        rows = min(*down, PICTURES_PER_REQUEST - columns)
        return [
            [
                replace(self, appearances=some, structures=others)
                for others in cut(self.structures, columns)
            ]
            for some in cut(self.appearances, rows)
        ]

    def sent(self) -> list[Sent]:
        roles = {"appearance": self.appearances, "structure": self.structures}
        return [
            Sent(role=role, picture=picture, place=place)
            for role, pictures in roles.items()
            for place, picture in pictures
        ]

    def halves(self) -> Sequence[Part]:
        if self.count == 1:
            return ()
        if self.halves_axis == 0:
            return [replace(self, appearances=some) for some in _halved(self.appearances)]
        return [replace(self, structures=some) for some in _halved(self.structures)]


@dataclass(frozen=True, kw_only=True)
class Pairs(Part):
    pairs: Sequence[tuple[int, tuple[AnyPicture, AnyPicture]]]
    path = "/v1/swaps/batch"

    @property
    def count(self) -> int:
        return len(self.pairs)

    def parts(self) -> list[Self]:
        """In order, each as long as pictures and composites allow."""
        parts: list[Self] = []
        start, pictures = 0, set[object]()
        for end, (_, pair) in enumerate(self.pairs):
            more = pictures | {_key(picture) for picture in pair}
            full = end - start == COMPOSITES_PER_REQUEST or len(more) > PICTURES_PER_REQUEST
            if full:
                parts.append(replace(self, pairs=self.pairs[start:end]))
                start, more = end, {_key(picture) for picture in pair}
            pictures = more
        return [*parts, replace(self, pairs=self.pairs[start:])]

    def sent(self) -> list[Sent]:
        sent: dict[object, Sent] = {}
        for place, pair in self.pairs:
            for picture in pair:
                one = Sent(role="pictures", picture=picture, place=place)
                sent.setdefault(_key(picture), one)
        return list(sent.values())

    def fields(self) -> dict[str, str]:
        places = {_key(one.picture): place for place, one in enumerate(self.sent())}
        return {
            "pairs": json.dumps([[places[_key(one)] for one in pair] for _, pair in self.pairs])
        }

    def halves(self) -> Sequence[Part]:
        if self.count == 1:
            return ()
        return [replace(self, pairs=some) for some in _halved(self.pairs)]


@dataclass(frozen=True, kw_only=True)
class Walk(Part):
    ends: tuple[AnyPicture, AnyPicture]
    structure: tuple[int, AnyPicture]
    weights: Sequence[float]
    path = "/v1/swaps/interpolation"

    @property
    def count(self) -> int:
        return len(self.weights)

    def sent(self) -> list[Sent]:
        ends = [
            Sent(role="appearance", picture=picture, place=place)
            for place, picture in enumerate(self.ends)
        ]
        place, picture = self.structure
        return [*ends, Sent(role="structure", picture=picture, place=place)]

    def params(self) -> dict[str, Any]:
        return {"weight": [str(weight) for weight in self.weights]}

    def halves(self) -> Sequence[Part]:
        if self.count == 1:
            return ()
        return [replace(self, weights=some) for some in _halved(self.weights)]


def _key(picture: AnyPicture) -> object:
    """The same for the same file or object."""
    return os.fspath(picture) if isinstance(picture, str | os.PathLike) else id(picture)


def cut(items: Sequence[T], most: int) -> list[list[T]]:
    """In order, at most so many each."""
    return [list(items[start : start + most]) for start in range(0, len(items), most)]


def _halved(items: Sequence[T]) -> list[list[T]]:
    return cut(items, (len(items) + 1) // 2)
