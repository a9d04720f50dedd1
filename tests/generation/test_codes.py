"""Codes are those of their pictures whatever was kept or forgotten, and few are kept."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from dgnet.arrays import Integers, Pixels
from dgnet.generation.making.codes import CodeBlocks
from dgnet.generation.making.kept_codes import CodeMemory, Codes, KeptCodes, Reading
from dgnet.generation.making.stages import StageClock

BLOCK = 3
BROKEN = 4
ORDER = np.array([6, 2, 9, 0, 7, 4, 1, 3, 8, 5])  # blocks 629, 074, 138 and 500
CODE_BYTES = 4 * 2 + 4 * 1


class Encoder:
    """The code of a picture is its number, twice and once; black pictures have 0."""

    def __init__(self) -> None:
        self.blocks: list[list[int]] = []

    def __call__(self, pixels: Pixels) -> Codes:
        numbers = torch.as_tensor(pixels[:, 0, 0, 0].astype(np.float32))
        self.blocks.append([int(number) for number in numbers])
        return torch.stack([numbers, numbers], 1), numbers


def read(picture: int) -> Reading:
    if picture == BROKEN:
        return Reading(None, "it is cut off", ("hash 4",))
    return Reading(np.full((2, 2, 3), picture, np.uint8), notes=(f"hash {picture}",))


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def code_blocks(
    threads: ThreadPoolExecutor,
    encoder: Encoder,
    capacity_bytes: int,
    kept: KeptCodes | None = None,
    order: Integers = ORDER,
    clock: StageClock | None = None,
) -> CodeBlocks:
    return CodeBlocks(
        order, role="structure", block_size=BLOCK, capacity_bytes=capacity_bytes,
        picture_shape=(2, 2, 3), read=read, encode=encoder, kept=kept or room_for(0),
        readers=threads, device=threads, clock=clock or StageClock(),
    )  # fmt: skip


def room_for(pictures: int) -> KeptCodes:
    return KeptCodes(10, 10, CodeMemory(pictures * CODE_BYTES))


@pytest.mark.parametrize("kept_blocks", [0, 1, 2, 4, 100])
def test_codes_are_those_of_their_pictures_however_few_are_kept(
    threads: ThreadPoolExecutor, kept_blocks: int
) -> None:
    encoder = Encoder()
    blocks = code_blocks(threads, encoder, kept_blocks * BLOCK * CODE_BYTES)
    draws = np.random.default_rng(0)
    for _ in range(50):
        wanted = draws.integers(0, len(ORDER), size=5)
        (twice, once), readable = blocks.codes(wanted)
        assert readable.tolist() == [picture != BROKEN for picture in wanted]
        expected = [0 if picture == BROKEN else picture for picture in wanted]
        assert [int(number) for number in once] == expected
        assert torch.equal(twice, torch.stack([once, once], 1))
    assert blocks.failures == {BROKEN: "it is cut off"}
    assert blocks.sources == {picture: {f"hash {picture}"} for picture in range(10)}
    # Always as many rows, for how many they are decides how they round.
    together = {tuple(block) for block in encoder.blocks}
    assert together == {(6, 2, 9), (0, 7, 0), (1, 3, 8), (5, 0, 0)}
    assert (len(encoder.blocks) == 4) == (kept_blocks >= 4)


def test_the_block_that_was_not_needed_for_longest_makes_room(threads: ThreadPoolExecutor) -> None:
    encoder = Encoder()
    blocks = code_blocks(threads, encoder, 2 * BLOCK * CODE_BYTES)
    for picture in (6, 0, 2, 1, 9, 7):
        blocks.codes(np.array([picture]))
    assert encoder.blocks == [[6, 2, 9], [0, 7, 0], [1, 3, 8], [0, 7, 0]]


@pytest.mark.parametrize("room", [0, 2, 3, 7, 100])
def test_what_the_job_keeps_is_not_encoded_again(threads: ThreadPoolExecutor, room: int) -> None:
    encoder, kept, clock = Encoder(), room_for(room), StageClock()
    for number in range(3):
        order = ORDER if number < 2 else ORDER[::2]  # 6 9 7 1 8
        blocks = code_blocks(threads, encoder, 100 * CODE_BYTES, kept, order, clock)
        for picture in order.tolist():
            (_, once), readable = blocks.codes(np.array([picture, order[0]]))
            expected = [0 if picture == BROKEN else picture, 6]
            assert [int(number) for number in once] == expected
            assert readable.tolist() == [picture != BROKEN, True]
        assert blocks.failures == ({BROKEN: "it is cut off"} if number < 2 else {})
        assert blocks.sources == {picture: {f"hash {picture}"} for picture in order.tolist()}
    first = [place for place in range(10) if place < room]
    hits = len(first) + len([place for place in first if place % 2 == 0])
    counts = clock.codes["structure"]
    assert counts.from_earlier_shards == hits
    assert counts.encoded == 10 + 10 + 5 - hits


def test_jobs_share_what_memory_there_is_and_give_it_back() -> None:
    memory = CodeMemory(6 * CODE_BYTES)
    codes: Codes = (torch.zeros(4, 2), torch.zeros(4))
    readings = [Reading(None)] * 4
    one, other = KeptCodes(10, 4, memory), KeptCodes(10, 4, memory)
    assert one.keep([0, 1, 2, 3], codes, readings)
    assert not other.keep([0, 1, 2, 3], codes, readings)
    assert other.held(np.arange(4)).tolist() == [True, True, False, False]
    one.close()
    assert not one.held(np.arange(4)).any()
    assert KeptCodes(10, 4, memory).keep([0, 1, 2, 3], codes, readings)
