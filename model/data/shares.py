"""Equal shares of a batch: for the processes of a run, and for the micro-batches of a step.

A batch is the same whoever computes it: everything is drawn for all of it, and a share takes its
rows of what was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeVar, cast

import numpy as np
from torch import Tensor

from dgnet.arrays import Integers

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class Share:
    """Share number `index` (0, 1, ...) of `count` equal ones that lie end to end."""

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(f"share {self.index} of {self.count}; expected 0 to {self.count - 1}")

    def split(self, parts: int) -> list[Share]:
        """Equal shares of this share, in their order."""
        return [Share(self.index * parts + part, self.count * parts) for part in range(parts)]

    def rows(self, batch_size: int, *, groups: int = 1) -> Integers:
        """This share's rows of each of `groups` batches that lie end to end.

        `batch_size` is of one whole batch and must divide by `count`.
        """
        if batch_size % self.count:
            raise ValueError(f"a batch of {batch_size} has no {self.count} equal shares")
        size = batch_size // self.count
        own = np.arange(self.index * size, (self.index + 1) * size)
        return (np.arange(groups)[:, None] * batch_size + own).reshape(-1)


WHOLE = Share(0, 1)


def split_rows(batch: Batch, parts: int) -> list[Batch]:
    """A dataclass of tensors with the same rows, cut into equal parts in their order."""
    tensors = {field.name: getattr(batch, field.name) for field in fields(cast(Any, batch))}
    cut = {name: cast(Tensor, tensor).tensor_split(parts) for name, tensor in tensors.items()}
    return [
        type(batch)(**{name: pieces[part] for name, pieces in cut.items()}) for part in range(parts)
    ]
