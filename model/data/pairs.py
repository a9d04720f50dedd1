"""Batches for the teacher and for joint training: pure functions of (pictures, seed, position).

Joint training draws two batches a and b of different people and, for each picture, a positive
(another picture of the same person; itself if there is none). Random erasing is left to the
training step, which needs both kinds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dgnet.arrays import Integers
from dgnet.model.data.batches import Augmentation, Stream, decode_pictures, draws, shuffled_rows
from dgnet.model.data.fingerprint import Fingerprint
from dgnet.model.data.layouts import LayoutName, read_dataset
from dgnet.model.data.persons import PersonIndex
from dgnet.model.data.picture import DatasetError, Picture
from dgnet.model.data.shares import WHOLE, Share
from dgnet.model.data.transforms import crop_padding

# The 12,936 training pictures of Market-1501 at 256x128 take 1.3 GB.
DEFAULT_MEMORY_LIMIT_BYTES = 4 * 2**30

CARD_SHARE = 0.25
"""Of a card's free memory that pictures may take: the rest is the training step's."""


def room_for_pictures(device: torch.device) -> int:
    """Bytes that decoded pictures may take on the device."""
    if device.type != "cuda":
        return DEFAULT_MEMORY_LIMIT_BYTES
    free, _ = torch.cuda.mem_get_info(device)
    return min(DEFAULT_MEMORY_LIMIT_BYTES, int(CARD_SHARE * free))


@dataclass(frozen=True, kw_only=True)
class PairBatch:
    """One step of joint training. Row i of a and row i of b show different persons.

    Images float32 (B, 3, H, W), normalized and augmented; labels int64 (B,). A positive shares the
    label of its row.
    """

    images_a: Tensor
    images_b: Tensor
    positives_a: Tensor
    positives_b: Tensor
    labels_a: Tensor
    labels_b: Tensor


@dataclass(frozen=True, kw_only=True)
class PictureBatch:
    """One step of the teacher: augmented images float32 (B, 3, H, W), labels int64 (B,)."""

    images: Tensor
    labels: Tensor


class TrainingPictures:
    """Labeled training pictures, decoded once into memory where they fit.

    Junk and distractors are left out. `device` is where decoded pictures live and batches are made;
    on a GPU augmentation costs the CPU nothing.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        *,
        height: int,
        width: int,
        device: torch.device | str = "cpu",
        memory_limit_bytes: int | None = None,
        names: Mapping[int, str] | None = None,
    ) -> None:
        """`names` is what the data set calls its persons, where that is not the id; without a limit
        pictures are kept where they leave the step its room.
        """
        self.height = height
        self.width = width
        self.persons = PersonIndex.of(pictures)
        if len(self.persons) < 2:
            raise DatasetError(
                f"training needs pictures of at least 2 persons, got {len(self.persons)} "
                f"in {len(pictures)} pictures (junk and distractors do not count)"
            )
        # Sorted by label, so that one person's pictures are the range starts[l] : starts[l + 1].
        self.pictures = sorted(
            (picture for picture in pictures if picture.person_id in self.persons),
            key=lambda picture: (picture.person_id, picture.path.name),
        )
        labels = [self.persons.label(picture.person_id) for picture in self.pictures]
        self._labels = np.array(labels, dtype=np.int64)
        self._counts = np.bincount(self._labels, minlength=len(self.persons))
        self._starts = np.cumsum(self._counts) - self._counts
        self._names = dict(names or {})
        self._device = torch.device(device)
        self._padding = crop_padding(height)
        if memory_limit_bytes is None:
            memory_limit_bytes = room_for_pictures(self._device)
        fits = len(self.pictures) * height * width * 3 <= memory_limit_bytes
        everything = np.arange(len(self.pictures))
        self._decoded = self._decode(everything).to(self._device) if fits else None

    @classmethod
    def load(
        cls,
        directory: str | Path,
        height: int,
        width: int,
        *,
        layout: LayoutName | None = None,
        pattern: str | None = None,
        device: torch.device | str = "cpu",
        memory_limit_bytes: int | None = None,
    ) -> "TrainingPictures":
        """Reads the training split of a data set, or a folder of training pictures alone."""
        dataset = read_dataset(directory, layout, pattern)
        return cls(
            dataset.split("train"),
            height=height,
            width=width,
            device=device,
            memory_limit_bytes=memory_limit_bytes,
            names=dataset.person_names,
        )

    def __len__(self) -> int:
        return len(self.pictures)

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """Whose pictures these are."""
        return Fingerprint.of(self.pictures, self._names)

    def pair_batch(
        self, position: int, batch_size: int, seed: int, share: Share = WHOLE
    ) -> PairBatch:
        """Batch number `position` (0, 1, ...) of joint training under `seed`, or a share of it."""
        random = draws(seed, Stream.PAIR, position)
        rows_a = self._rows(Stream.ORDER_A, position, batch_size, seed)
        rows_b = self._other_persons(
            self._rows(Stream.ORDER_B, position, batch_size, seed), rows_a, random
        )
        groups = (rows_a, rows_b, self._positives(rows_a, random), self._positives(rows_b, random))
        images_a, images_b, positives_a, positives_b = self._augmented(
            np.concatenate(groups), random, share.rows(batch_size, groups=4)
        ).chunk(4)
        own = share.rows(batch_size)
        return PairBatch(
            images_a=images_a,
            images_b=images_b,
            positives_a=positives_a,
            positives_b=positives_b,
            labels_a=self._labels_of(rows_a[own]),
            labels_b=self._labels_of(rows_b[own]),
        )

    def picture_batch(
        self, position: int, batch_size: int, seed: int, share: Share = WHOLE
    ) -> PictureBatch:
        """Batch number `position` (0, 1, ...) of single pictures under `seed`, or a share of it."""
        rows = self._rows(Stream.ORDER_SINGLE, position, batch_size, seed)
        own = share.rows(batch_size)
        images = self._augmented(rows, draws(seed, Stream.SINGLE, position), own)
        return PictureBatch(images=images, labels=self._labels_of(rows[own]))

    def _rows(self, stream: Stream, position: int, batch_size: int, seed: int) -> Integers:
        return shuffled_rows(stream, position, batch_size, seed, len(self))

    def _other_persons(
        self, rows: Integers, avoid: Integers, random: np.random.Generator
    ) -> Integers:
        """`rows`, those that show the person of `avoid` replaced by a picture of anybody else."""
        labels = self._labels[avoid]
        counts = self._counts[labels]
        others = random.integers(0, len(self) - counts)
        others += np.where(others >= self._starts[labels], counts, 0)
        return np.where(self._labels[rows] == labels, others, rows)

    def _positives(self, rows: Integers, random: np.random.Generator) -> Integers:
        """For each row another picture of its person; itself where there is none."""
        labels = self._labels[rows]
        counts = self._counts[labels]
        others = self._starts[labels] + random.integers(0, np.maximum(counts - 1, 1))
        return np.where(counts > 1, others + (others >= rows), rows)

    def _augmented(self, rows: Integers, random: np.random.Generator, own: Integers) -> Tensor:
        """The pictures `rows[own]`; augmentation is drawn for all rows."""
        augmentation = Augmentation.draw(len(rows), self._padding, random).of(own)
        rows = rows[own]
        pixels = self._decode(rows) if self._decoded is None else self._decoded[rows]
        return augmentation.images(pixels, self._device)

    def _decode(self, rows: Integers) -> Tensor:
        """uint8 (len(rows), H, W, 3) on the CPU."""
        return decode_pictures(
            [self.pictures[int(row)].path for row in rows], self.height, self.width
        )

    def _labels_of(self, rows: Integers) -> Tensor:
        return torch.as_tensor(self._labels[rows]).to(self._device)
