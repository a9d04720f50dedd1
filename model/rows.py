"""Rows: frozen dataclasses of tensors that hold one picture (or one swap) a row.

Codes come in several parts that are cut, joined and repeated together. A part that a network does
not have is a tensor of as many rows and no values, so that nobody asks which parts there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Self

import torch
from torch import Tensor


class Rows:
    """Base of such dataclasses."""

    def tensors(self) -> tuple[Tensor, ...]:
        """The parts, in the order of the fields."""
        return tuple(getattr(self, field.name) for field in fields(self))  # pyright: ignore[reportArgumentType]

    def each(self, change: Callable[[Tensor], Tensor]) -> Self:
        """Every part changed in the same way."""
        return type(self)(*(change(part) for part in self.tensors()))

    def __len__(self) -> int:
        return len(self.tensors()[0])

    def __getitem__(self, rows: slice | list[int] | Tensor) -> Self:
        return self.each(lambda part: part[rows])

    def chunk(self, parts: int) -> list[Self]:
        """Equal pieces, in their order."""
        pieces = [part.tensor_split(parts) for part in self.tensors()]
        return [type(self)(*piece) for piece in zip(*pieces, strict=True)]

    @classmethod
    def cat(cls, pieces: Sequence[Self]) -> Self:
        """All rows, one piece after the other."""
        parts = zip(*(piece.tensors() for piece in pieces), strict=True)
        return cls(*(torch.cat(part) for part in parts))


def nothing(like: Tensor) -> Tensor:
    """The part that a network does not have: (B, 0)."""
    return like.new_empty(like.shape[0], 0)
