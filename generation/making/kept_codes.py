"""Codes of pictures that a job keeps from one of its shards to the next, within a bound of memory.

What is kept stays until the job ends, and what finds no room is encoded by each shard that needs
it. Nothing makes room: a job comes by its structures in the same order again and again, so that
whatever was used longest ago is what is needed next. Beside its code, a picture keeps what a shard
has to say of it, so that a shard's index is the same whoever encoded its pictures.

Legend: N pictures of the listing, B pictures asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dgnet.arrays import Bools, Integers, Pixels
from dgnet.memory import free_memory_bytes

Codes = tuple[Tensor, ...]

FREE_SHARE = 0.25
"""Of the memory that is free where the networks are: batches, and whoever else is there, have the
rest."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading one picture."""

    pixels: Pixels | None
    """(H, W, 3); None where it cannot be read."""
    failure: str | None = None
    """Why it cannot be read."""
    notes: tuple[str, ...] = ()
    """For `dgnet.generation.output.sources`."""


class CodeMemory:
    """Bytes that the kept codes of one process may take, all its jobs together."""

    def __init__(self, limit_bytes: int) -> None:
        self._lock = threading.Lock()
        self._left = limit_bytes

    @classmethod
    def on(cls, device: torch.device, limit_mib: int | None = None) -> CodeMemory:
        """So many MiB, or by default a share of what is free on the device now."""
        if limit_mib is not None:
            return cls(limit_mib * 2**20)
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
        else:
            free = free_memory_bytes()
        return cls(int(FREE_SHARE * free))

    def take(self, most_rows: int, row_bytes: int) -> int:
        """How many rows may be kept; give them back."""
        with self._lock:
            rows = min(most_rows, self._left // row_bytes)
            self._left -= rows * row_bytes
        return rows

    def give_back(self, size_bytes: int) -> None:
        with self._lock:
            self._left += size_bytes


class KeptCodes:
    """Of one job's pictures in one role. Not for several threads at once."""

    def __init__(self, pictures: int, most: int, memory: CodeMemory) -> None:
        """`pictures` is N; no more than `most` of them will be needed."""
        self._memory = memory
        self._most = min(pictures, most)
        self._rows = np.full(pictures, -1, np.int32)
        """Of each picture in the codes, -1 where it is not kept."""
        self._codes: Codes | None = None
        """Each (rows, ...); made with the first code, which tells their sizes."""
        self._used = 0
        self._readings: dict[int, Reading] = {}

    def held(self, pictures: Integers) -> Bools:
        """Which of the pictures are kept (B)."""
        return self._rows[pictures] >= 0

    def reading(self, picture: int) -> Reading:
        """What came of reading a kept picture, without its pixels."""
        return self._readings[picture]

    def codes(self, pictures: Integers) -> Codes:
        """Codes of kept pictures, each (B, ...)."""
        assert self._codes is not None
        rows = torch.as_tensor(self._rows[pictures], device=self._codes[0].device)
        return tuple(part[rows] for part in self._codes)

    def reserve(self, codes: Codes) -> None:
        """Take memory for codes of such sizes, as many as there is room for."""
        if self._codes is None:
            rows = self._memory.take(self._most, row_bytes(codes))
            self._codes = tuple(code.new_empty(rows, *code.shape[1:]) for code in codes)

    def keep(self, pictures: Sequence[int], codes: Codes, readings: Sequence[Reading]) -> bool:
        """Keep the codes (B, ...) of these pictures; whether all of them found room."""
        self.reserve(codes)
        assert self._codes is not None
        fitting = min(len(pictures), len(self._codes[0]) - self._used)
        rows = slice(self._used, self._used + fitting)
        for kept, code in zip(self._codes, codes, strict=True):
            kept[rows] = code[:fitting]
        self._rows[list(pictures[:fitting])] = np.arange(rows.start, rows.stop)
        for picture, reading in zip(pictures[:fitting], readings, strict=False):
            self._readings[picture] = Reading(None, reading.failure, reading.notes)
        self._used += fitting
        return fitting == len(pictures)

    def close(self) -> None:
        """Forget all of them and give the memory back."""
        if self._codes is not None:
            self._memory.give_back(sum(part.numel() * part.element_size() for part in self._codes))
        self._codes = None
        self._used, self._most = 0, 0
        self._rows.fill(-1)
        self._readings.clear()


def row_bytes(codes: Codes) -> int:
    """What the codes of one picture take."""
    return sum(code[0].numel() * code.element_size() for code in codes)
