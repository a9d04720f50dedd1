"""Codes are those of their pictures whatever was kept or forgotten, and few are kept."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from dgnet.arrays import Pixels
from dgnet.generation.making.codes import CodeBlocks, Codes, Unreadable
from dgnet.generation.making.stages import StageClock

BLOCK = 3
BROKEN = 4
ORDER = np.array([6, 2, 9, 0, 7, 4, 1, 3, 8, 5])  # blocks 629, 074, 138 and 5
CODE_BYTES = 4 * 2 + 4 * 1


class Encoder:
    """The code of a picture is its number, twice and once; black pictures have 0."""

    def __init__(self) -> None:
        self.blocks: list[list[int]] = []

    def __call__(self, pixels: Pixels) -> Codes:
        numbers = torch.as_tensor(pixels[:, 0, 0, 0].astype(np.float32))
        self.blocks.append([int(number) for number in numbers])
        return torch.stack([numbers, numbers], 1), numbers


def read(picture: int) -> Pixels:
    if picture == BROKEN:
        raise Unreadable("it is cut off")
    return np.full((2, 2, 3), picture, np.uint8)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def code_blocks(threads: ThreadPoolExecutor, encoder: Encoder, capacity_bytes: int) -> CodeBlocks:
    return CodeBlocks(
        ORDER, block_size=BLOCK, capacity_bytes=capacity_bytes, picture_shape=(2, 2, 3), read=read,
        encode=encoder, stage="structure codes", threads=threads, clock=StageClock(),
    )  # fmt: skip


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
    # Always the same pictures together, for how many do decides how they round.
    together = {tuple(block) for block in encoder.blocks}
    assert together == {(6, 2, 9), (0, 7, 0), (1, 3, 8), (5,)}
    assert (len(encoder.blocks) == 4) == (kept_blocks >= 4)


def test_the_block_that_was_not_needed_for_longest_makes_room(threads: ThreadPoolExecutor) -> None:
    encoder = Encoder()
    blocks = code_blocks(threads, encoder, 2 * BLOCK * CODE_BYTES)
    for picture in (6, 0, 2, 1, 9, 7):
        blocks.codes(np.array([picture]))
    assert encoder.blocks == [[6, 2, 9], [0, 7, 0], [1, 3, 8], [0, 7, 0]]
