"""Batches of triples whose true composite is known, for training on rendered people.

A renderer can draw the clothes of one person in the pose, body and scene of another, which no
camera can: a swap of the first two pictures of a triple should equal the third. Structure picture
and truth are flipped and cropped alike, the appearance picture on its own.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from dgnet.model.data.batches import Augmentation, Stream, decode_pictures, draws, shuffled_rows
from dgnet.model.data.fingerprint import file_hashes, listing_digest
from dgnet.model.data.persons import PersonIndex
from dgnet.model.data.picture import DatasetError
from dgnet.model.data.shares import WHOLE, Share
from dgnet.model.data.transforms import crop_padding
from dgnet.model.data.triples import Triple, read_triples
from dgnet.paths import local_path


@dataclass(frozen=True, kw_only=True)
class TruthBatch:
    """Normalized, augmented images float32 (B, 3, H, W), row by row one triple."""

    appearances: Tensor
    structures: Tensor
    truths: Tensor
    changed: Tensor
    """(B, 1, H, W) float32, 1 where the renderer changed the structure picture."""
    appearance_labels: Tensor  # (B,), whose clothes the truth shows; -1: a stranger's
    structure_labels: Tensor  # (B,), whose body


VISIBLE_LEVELS = 24
"""Of 255, by which a changed pixel differs where no mask says what the renderer changed."""


class TruthTriples:
    """The triples of a folder (see `triples`), decoded once into memory: 74 kB each at 128x64.

    Raises DatasetError for a triple with somebody who is none of `persons`, the training persons,
    with the file and what to do; with None they show strangers, and no identity can be learned
    from them. `device` is where decoded pictures live and batches are made.
    """

    def __init__(
        self,
        directory: str | Path,
        persons: PersonIndex | None,
        *,
        height: int,
        width: int,
        device: torch.device | str = "cpu",
    ) -> None:
        triples = read_triples(directory)
        if persons is not None:
            _require_known(triples, persons)
        self.name = local_path(directory).resolve().name
        self.of_strangers = persons is None
        self._paths = [
            path
            for triple in triples
            for path in (triple.appearance, triple.structure, triple.truth)
        ]
        self._appearance_labels, self._structure_labels = (
            torch.tensor([_label(persons, person_id) for person_id in person_ids])
            for person_ids in (
                [triple.appearance_person_id for triple in triples],
                [triple.structure_person_id for triple in triples],
            )
        )
        self._device = torch.device(device)
        self._padding = crop_padding(height)
        self._appearances, self._structures, self._truths = (
            decode_pictures(paths, height, width).to(self._device)
            for paths in (
                [triple.appearance for triple in triples],
                [triple.structure for triple in triples],
                [triple.truth for triple in triples],
            )
        )

        self._changed = self._read_changed(triples, height, width).to(self._device)

    def _read_changed(self, triples: list[Triple], height: int, width: int) -> Tensor:
        """uint8 (N, H, W, 1) of 0 and 1: as the renderer says, or where the pictures differ."""
        told = [triple.changed for triple in triples]
        paths = [path for path in told if path is not None]
        if len(paths) == len(triples):
            return (decode_pictures(paths, height, width)[..., :1] > 0).to(torch.uint8)
        difference = (self._structures.short() - self._truths.short()).abs()
        return (difference.amax(dim=3, keepdim=True) > VISIBLE_LEVELS).to(torch.uint8)

    def __len__(self) -> int:
        return len(self._truths)

    @cached_property
    def digest(self) -> str:
        """The digest of all pictures and their names."""
        hashes = file_hashes(self._paths)
        return listing_digest(
            f"{path.name}\t{found}" for path, found in zip(self._paths, hashes, strict=True)
        )

    def batch(self, position: int, batch_size: int, seed: int, share: Share = WHOLE) -> TruthBatch:
        """Batch number `position` (0, 1, ...) under `seed`, or a share of it."""
        rows = shuffled_rows(Stream.ORDER_TRUTH, position, batch_size, seed, len(self))
        random = draws(seed, Stream.TRUTH, position)
        taken = share.rows(batch_size)
        own, shared = (
            Augmentation.draw(batch_size, self._padding, random).of(taken) for _ in range(2)
        )
        rows = rows[taken]
        return TruthBatch(
            appearances=own.images(self._appearances[rows], self._device),
            structures=shared.images(self._structures[rows], self._device),
            truths=shared.images(self._truths[rows], self._device),
            changed=shared.masks(self._changed[rows], self._device),
            appearance_labels=self._appearance_labels[rows].to(self._device),
            structure_labels=self._structure_labels[rows].to(self._device),
        )


def _require_known(triples: list[Triple], persons: PersonIndex) -> None:
    for triple in triples:
        for path, person_id in (
            (triple.appearance, triple.appearance_person_id),
            (triple.structure, triple.structure_person_id),
        ):
            if person_id not in persons:
                raise DatasetError(
                    f"{path}: person {person_id} is none of the {len(persons)} persons trained "
                    "on; expected triples of training persons. `dgnet people render --truth` makes "
                    "triples of the persons it keeps for testing unless it is told --splits train"
                )


def _label(persons: PersonIndex | None, person_id: int) -> int:
    return -1 if persons is None else persons.label(person_id)
