"""What every kind of training batch is made with: seeded draws, endless shuffled order, decoding,
augmentation.

Batch k of anything is computed from k alone: permutations and augmentation draws come from
generators seeded with (seed, stream, k), so a resumed run asks for its next position and gets what
an uninterrupted run would have got; no loader state exists.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dgnet.arrays import Bools, Integers
from dgnet.model.data.picture import DatasetError
from dgnet.model.data.transforms import decode_picture, flip_pad_crop, normalize

# Decoding releases the interpreter lock; more threads than this gain nothing on small pictures.
_DECODING_THREADS = 4


class Stream(IntEnum):
    """Keeps random draws of different purpose apart: each has its own seeds."""

    ORDER_A = 0
    ORDER_B = 1
    PAIR = 2
    ORDER_SINGLE = 3
    SINGLE = 4
    ORDER_TRUTH = 5
    TRUTH = 6


def draws(seed: int, stream: Stream, position: int) -> np.random.Generator:
    """The generator of everything that one batch of a stream draws."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, stream, position])))


def shuffled_rows(
    stream: Stream, position: int, batch_size: int, seed: int, count: int
) -> Integers:
    """Rows position*B .. (position+1)*B of endless shuffled epochs of `count` laid end to end."""
    places = np.arange(position * batch_size, (position + 1) * batch_size)
    epochs, offsets = np.divmod(places, count)
    order = [
        _permutation(seed, stream, int(epoch), count)[offset]
        for epoch, offset in zip(epochs, offsets, strict=True)
    ]
    return np.array(order, dtype=np.int64)


# A batch touches one or two epochs of each order; a handful of cached ones covers a run.
@lru_cache(maxsize=8)
def _permutation(seed: int, stream: Stream, epoch: int, count: int) -> Integers:
    return draws(seed, stream, epoch).permutation(count)


def decode_pictures(paths: Sequence[Path], height: int, width: int) -> Tensor:
    """uint8 (len(paths), H, W, 3) on the CPU; a DatasetError counts all that cannot be read."""
    pixels = np.empty((len(paths), height, width, 3), dtype=np.uint8)

    def decode(target: int) -> DatasetError | None:
        try:
            pixels[target] = decode_picture(paths[target], height, width)
        except DatasetError as error:
            return error
        return None

    with ThreadPoolExecutor(_DECODING_THREADS) as pool:
        wrong = [error for error in pool.map(decode, range(len(paths))) if error is not None]
    if len(wrong) > 1:
        raise DatasetError(
            f"{wrong[0]}; {len(wrong) - 1} of the others cannot be read either, `dgnet data check` "
            "names them all"
        ) from wrong[0]
    if wrong:
        raise wrong[0]
    return torch.as_tensor(pixels)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Flip, pad and crop of a batch, drawn once so that pictures which belong together share it."""

    flips: Bools  # (B,)
    corners: Integers  # (2, B): top and left of the crop in the padded picture
    padding: int

    @classmethod
    def draw(cls, batch_size: int, padding: int, random: np.random.Generator) -> "Augmentation":
        """The training transform's draws for `batch_size` pictures."""
        flips = random.random(batch_size) < 0.5
        corners = random.integers(0, 2 * padding + 1, size=(2, batch_size))
        return cls(flips=flips, corners=corners, padding=padding)

    def of(self, rows: Integers) -> "Augmentation":
        """What was drawn for some of the pictures."""
        return Augmentation(
            flips=self.flips[rows], corners=self.corners[:, rows], padding=self.padding
        )

    def images(self, pixels: Tensor, device: torch.device) -> Tensor:
        """uint8 (B, H, W, 3) to augmented, normalized images (B, 3, H, W) on the device."""
        return normalize(self._moved(pixels, device))

    def masks(self, masks: Tensor, device: torch.device) -> Tensor:
        """uint8 masks (B, H, W, 1) of 0 and 1 to float32 (B, 1, H, W), moved as pictures are."""
        return self._moved(masks, device).permute(0, 3, 1, 2).float()

    def _moved(self, pixels: Tensor, device: torch.device) -> Tensor:
        return flip_pad_crop(
            pixels.to(device),
            flips=torch.as_tensor(self.flips).to(device),
            tops=torch.as_tensor(self.corners[0]).to(device),
            lefts=torch.as_tensor(self.corners[1]).to(device),
            padding=self.padding,
        )
