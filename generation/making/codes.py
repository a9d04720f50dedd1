"""Codes of pictures, computed in fixed blocks and kept within a bound.

A picture is always encoded together with the same others, whatever was computed or forgotten
before: its code has the same bits in a job that runs through and in one that was resumed. Pictures
of a block are neighbors among those of their shard, so that they are needed together anyway. Files
are read ahead on threads.

Kept codes lie in one piece of memory with room for so many blocks: pieces that came and went one by
one would leave holes between the networks' maps, other ones in each shard.

Legend: N pictures of the listing, B pictures asked for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dgnet.arrays import Bools, Integers, Pixels
from dgnet.generation.making.stages import Stage, StageClock
from dgnet.generation.pairing.source_pictures import Unreadable

Codes = tuple[Tensor, ...]
Read = Callable[[int], Pixels]
Encode = Callable[[Pixels], Codes]


@dataclass(frozen=True)
class _Block:
    slot: int
    """Where its codes are."""
    readable: Bools


class CodeBlocks:
    """What `encode` makes of pictures; a picture that cannot be read is encoded as black."""

    def __init__(
        self,
        order: Integers,
        *,
        block_size: int,
        capacity_bytes: int,
        picture_shape: tuple[int, int, int],
        read: Read,
        encode: Encode,
        stage: Stage,
        threads: Executor,
        clock: StageClock,
    ) -> None:
        """`order` holds all pictures that will be asked for, near each other if needed together;
        `read` runs on threads and raises Unreadable for a broken picture.
        """
        self.failures: dict[int, str] = {}
        """Why a picture that was needed cannot be read, by its number."""
        self._order = order
        self._places = np.zeros(int(order.max()) + 1, order.dtype)
        self._places[order] = np.arange(len(order))
        self._block_size = block_size
        self._capacity_bytes = capacity_bytes
        self._black: Pixels = np.zeros(picture_shape, np.uint8)
        self._read = read
        self._encode = encode
        self._stage: Stage = stage
        self._threads = threads
        self._clock = clock
        self._kept: Codes = ()
        """Each (slots, block size, ...); made with the first block, which tells their sizes."""
        self._blocks: OrderedDict[int, _Block] = OrderedDict()
        self._coming: dict[int, list[Future[Pixels]]] = {}

    @property
    def capacity(self) -> int:
        """How many pictures' codes are kept at once. The first block, encoded if none was yet,
        tells how large they are.
        """
        if not self._kept:
            self._block(0)
        return len(self._kept[0]) * self._block_size

    def places(self, pictures: Integers) -> Integers:
        """Positions in the order: work sorted by them needs each block once."""
        return self._places[pictures]

    def read_ahead(self, pictures: Integers) -> None:
        """Start to read what `codes` of these pictures will need."""
        for block in np.unique(self._places[pictures] // self._block_size).tolist():
            if block not in self._blocks and block not in self._coming:
                self._coming[block] = [
                    self._threads.submit(self._timed_read, picture)
                    for picture in self._pictures(block)
                ]

    def codes(self, pictures: Integers) -> tuple[Codes, Bools]:
        """Codes of the pictures, each (B, ...), and which of the pictures could be read (B)."""
        self.read_ahead(pictures)
        blocks, rows = np.divmod(self._places[pictures], self._block_size)
        readable = np.ones(len(pictures), np.bool_)
        gathered: list[Tensor] = []
        for number in np.unique(blocks).tolist():
            block = self._block(number)
            mine = np.flatnonzero(blocks == number)
            readable[mine] = block.readable[rows[mine]]
            if not gathered:
                gathered = [kept.new_empty(len(pictures), *kept.shape[2:]) for kept in self._kept]
            for whole, kept in zip(gathered, self._kept, strict=True):
                taken = torch.as_tensor(rows[mine], device=kept.device)
                whole[torch.as_tensor(mine, device=kept.device)] = kept[block.slot, taken]
        return tuple(gathered), readable

    def _pictures(self, block: int) -> Iterable[int]:
        return self._order[block * self._block_size : (block + 1) * self._block_size].tolist()

    def _timed_read(self, picture: int) -> Pixels:
        with self._clock.stage("read"):
            return self._read(picture)

    def _block(self, number: int) -> _Block:
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        self.read_ahead(self._order[number * self._block_size : number * self._block_size + 1])
        pixels, readable = self._decoded(number)
        with self._clock.stage(self._stage):
            codes = self._encode(pixels)
        block = self._blocks[number] = _Block(self._free_slot(codes), readable)
        for kept, code in zip(self._kept, codes, strict=True):
            kept[block.slot, : len(code)] = code
        return block

    def _free_slot(self, codes: Codes) -> int:
        """For another block; the one that was not needed for longest makes room."""
        if not self._kept:
            row_bytes = sum(code[0].numel() * code.element_size() for code in codes)
            affordable = max(1, self._capacity_bytes // (self._block_size * row_bytes))
            slots = min(affordable, -(-len(self._order) // self._block_size))
            self._kept = tuple(
                code.new_empty(slots, self._block_size, *code.shape[1:]) for code in codes
            )
        if len(self._blocks) < len(self._kept[0]):
            return len(self._blocks)
        return self._blocks.popitem(last=False)[1].slot

    def _decoded(self, number: int) -> tuple[Pixels, Bools]:
        pictures: list[Pixels | None] = []
        with self._clock.stage("wait for pictures"):
            coming = self._coming.pop(number)
            for picture, future in zip(self._pictures(number), coming, strict=True):
                try:
                    pictures.append(future.result())
                except Unreadable as error:
                    self.failures[picture] = str(error)
                    pictures.append(None)
        whole = np.stack([self._black if picture is None else picture for picture in pictures])
        return whole, np.array([picture is not None for picture in pictures])
