"""Codes of one shard's pictures, computed in blocks and kept within a bound.

A picture is always encoded among as many rows as a block has, the last block filled up with black:
rows are independent of each other, but how many there are decides how they round. So a code has the
same bits whatever was computed or forgotten before, in a job that runs through and in one that was
resumed. What the job has kept of earlier shards (`kept_codes`) is not encoded again; pictures of a
block are neighbors among the others, so that they are needed together anyway. Files are read ahead
on threads, and blocks are encoded ahead where the device's work is done.

Codes that the job does not keep lie in one piece of memory with room for so many blocks: pieces
that came and went one by one would leave holes between the networks' maps, other ones in each
shard.

Legend: B pictures asked for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor, Future

import numpy as np
import torch
from torch import Tensor

from dgnet.arrays import Bools, Integers, Pixels
from dgnet.generation.making.kept_codes import Codes, KeptCodes, Reading, row_bytes
from dgnet.generation.making.stages import ENCODING, Role, StageClock

Read = Callable[[int], Reading]
Encode = Callable[[Pixels], Codes]


class CodeBlocks:
    """What `encode` makes of pictures; a picture that cannot be read is encoded as black."""

    def __init__(
        self,
        order: Integers,
        *,
        role: Role,
        block_size: int,
        capacity_bytes: int,
        picture_shape: tuple[int, int, int],
        read: Read,
        encode: Encode,
        kept: KeptCodes,
        readers: Executor,
        device: Executor,
        clock: StageClock,
    ) -> None:
        """`order` holds all pictures that will be asked for, near each other if needed together;
        `read` runs on `readers`, `encode` on `device`.
        """
        self.failures: dict[int, str] = {}
        """Why a picture that was needed cannot be read, by its number."""
        self.sources: dict[int, set[str]] = {}
        """What was noted of each picture's file."""
        self._order = order
        self._places = _places(order)
        self._role: Role = role
        self._block_size = block_size
        self._capacity_bytes = capacity_bytes
        self._black: Pixels = np.zeros(picture_shape, np.uint8)
        self._read = read
        self._encode = encode
        self._kept = kept
        self._readers = readers
        self._device = device
        self._clock = clock
        held = kept.held(order)
        for picture in order[held].tolist():
            self._note(picture, kept.reading(picture))
        clock.count_codes(role, from_earlier_shards=int(held.sum()))
        self._missing = order[~held]
        """Those that this shard encodes, in the same order; their blocks follow each other."""
        self._missing_places = _places(self._missing)
        self._slots: Codes = ()
        """Each (slots, block size, ...); made with the first block that the job does not keep."""
        self._blocks: OrderedDict[int, int] = OrderedDict()
        """In which slot a block is, the one not needed for longest first."""
        self._reading: dict[int, list[Future[Reading]]] = {}
        self._encoding: dict[int, Future[tuple[Codes, list[Reading]]]] = {}

    def capacity(self, size: int) -> int:
        """How many pictures' codes of so many bytes a shard keeps at once by itself."""
        return self._affordable_blocks(size, len(self._order)) * self._block_size

    def code_bytes(self) -> int:
        """What the codes of one picture take; waits for those of the first."""
        return row_bytes(self.codes(self._order[:1])[0])

    def places(self, pictures: Integers) -> Integers:
        """Positions in the order: work sorted by them needs each block once."""
        return self._places[pictures]

    def read_ahead(self, pictures: Integers) -> None:
        """Start to read what `codes` of these pictures will need."""
        for block in self._blocks_of(pictures):
            if block not in self._blocks and block not in self._encoding:
                self._readings(block)

    def encode_ahead(self, pictures: Integers) -> None:
        """Start to encode what `codes` of these pictures will need."""
        for block in self._blocks_of(pictures):
            if block not in self._blocks:
                self._encode_block(block)

    def codes(self, pictures: Integers) -> tuple[Codes, Bools]:
        """Codes of the pictures, each (B, ...), and which of the pictures could be read (B)."""
        self.encode_ahead(pictures)
        gathered: list[Tensor] = []

        def gather(mine: Integers, found: Codes) -> None:
            if not gathered:
                gathered.extend(code.new_empty(len(pictures), *code.shape[1:]) for code in found)
            for whole, code in zip(gathered, found, strict=True):
                whole[torch.as_tensor(mine, device=code.device)] = code

        held = self._kept.held(pictures)
        if held.any():
            gather(np.flatnonzero(held), self._kept.codes(pictures[held]))
        others = np.flatnonzero(~held)
        blocks, rows = np.divmod(self._missing_places[pictures[others]], self._block_size)
        for number in np.unique(blocks).tolist():
            mine = np.flatnonzero(blocks == number)
            codes = self._block(number)
            taken = torch.as_tensor(rows[mine], device=codes[0].device)
            gather(others[mine], tuple(code[taken] for code in codes))
        readable = np.array([picture not in self.failures for picture in pictures.tolist()])
        return tuple(gathered), readable

    def close(self) -> None:
        """Begin nothing more that was ordered ahead."""
        for encoding in self._encoding.values():
            encoding.cancel()
        for readings in self._reading.values():
            for reading in readings:
                reading.cancel()

    def _blocks_of(self, pictures: Integers) -> list[int]:
        """Those that hold codes of these pictures; the job has kept the others."""
        others = pictures[~self._kept.held(pictures)]
        return np.unique(self._missing_places[others] // self._block_size).tolist()

    def _pictures(self, block: int) -> list[int]:
        return self._missing[block * self._block_size : (block + 1) * self._block_size].tolist()

    def _readings(self, block: int) -> list[Future[Reading]]:
        """Of all pictures of a block, begun if they were not yet."""
        if block not in self._reading:
            self._reading[block] = [
                self._readers.submit(self._timed_read, picture) for picture in self._pictures(block)
            ]
        return self._reading[block]

    def _timed_read(self, picture: int) -> Reading:
        with self._clock.stage("read"):
            return self._read(picture)

    def _encoded(self, coming: list[Future[Reading]]) -> tuple[Codes, list[Reading]]:
        """A block's codes, each (block size, ...), and what came of reading its pictures."""
        with self._clock.stage("wait for pictures"):
            readings = [reading.result() for reading in coming]
        pixels = [self._black if each.pixels is None else each.pixels for each in readings]
        pixels += [self._black] * (self._block_size - len(pixels))
        with self._clock.stage(ENCODING[self._role]):
            return self._encode(np.stack(pixels)), readings

    def _block(self, number: int) -> Codes:
        """A block's codes, each (block size, ...), from its slot or fresh from the device."""
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return tuple(kept[self._blocks[number]] for kept in self._slots)
        self._encode_block(number)
        with self._clock.stage("wait for codes"):
            codes, readings = self._encoding.pop(number).result()
        pictures = self._pictures(number)
        self._clock.count_codes(self._role, encoded=len(pictures))
        for picture, reading in zip(pictures, readings, strict=True):
            self._note(picture, reading)
        if not self._kept.keep(pictures, codes, readings):
            slot = self._blocks[number] = self._free_slot(codes)
            for kept, code in zip(self._slots, codes, strict=True):
                kept[slot] = code
        return codes

    def _encode_block(self, number: int) -> None:
        if number not in self._encoding:
            readings = self._readings(number)
            self._encoding[number] = self._device.submit(self._encoded, readings)
            del self._reading[number]

    def _free_slot(self, codes: Codes) -> int:
        """For another block; the one that was not needed for longest makes room."""
        if not self._slots:
            slots = self._affordable_blocks(row_bytes(codes), len(self._missing))
            self._slots = tuple(code.new_empty(slots, *code.shape) for code in codes)
        if len(self._blocks) < len(self._slots[0]):
            return len(self._blocks)
        return self._blocks.popitem(last=False)[1]

    def _affordable_blocks(self, size: int, pictures: int) -> int:
        affordable = max(1, self._capacity_bytes // (self._block_size * size))
        return min(affordable, -(-pictures // self._block_size))

    def _note(self, picture: int, reading: Reading) -> None:
        if reading.failure is not None:
            self.failures[picture] = reading.failure
        self.sources.setdefault(picture, set()).update(reading.notes)


def _places(order: Integers) -> Integers:
    """Of each picture in the order, by its number."""
    places = np.zeros(int(order.max(initial=-1)) + 1, order.dtype)
    places[order] = np.arange(len(order))
    return places
