"""The scale of realism percentiles: what the discriminator says of the source's real pictures."""

from __future__ import annotations

import numpy as np

from dgnet.arrays import Floats, Pixels
from dgnet.generation.pairing.listing import Listing, require_source
from dgnet.generation.pairing.plan import keyed_order
from dgnet.jobs.generation.errors import GenerationError
from dgnet.model.data.picture import DatasetError
from dgnet.model.data.transforms import decode_picture
from dgnet.model.predictor import Predictor

REAL_PICTURES = 2048
"""At most so many set the scale; more would move a percentile by less than it is worth."""


def require_discriminator(predictor: Predictor) -> None:
    """Raises GenerationError if the checkpoint carries none."""
    if not predictor.has_discriminator:
        raise GenerationError(
            "minimum_realism_percentile needs a discriminator, and the checkpoint carries only "
            f"{', '.join(predictor.metadata.networks)}: use one that kept it"
        )


def realism_of_real_pictures(
    listing: Listing, predictor: Predictor, seed: int, batch: int
) -> Floats:
    """Sorted scores of readable real pictures, all of them or as many drawn by the seed."""
    drawn: list[int] = keyed_order(f"realism {seed}".encode(), listing.paths).tolist()
    scores: list[Floats] = []
    for start in range(0, min(len(drawn), REAL_PICTURES), batch):
        pictures = [
            picture
            for number in drawn[start : min(start + batch, REAL_PICTURES)]
            if (picture := _read(listing, number, predictor)) is not None
        ]
        if pictures:
            scores.append(predictor.realism(np.stack(pictures)))
    if not scores:
        raise GenerationError(f"{listing.root}: none of the pictures drawn can be read")
    return np.sort(np.concatenate(scores))


def _read(listing: Listing, number: int, predictor: Predictor) -> Pixels | None:
    """None for a broken picture: the engine reports it where it is needed."""
    try:
        path = listing.root / listing.paths[number]
        return decode_picture(path, predictor.height, predictor.width)
    except DatasetError as error:
        require_source(listing, listing.paths[number], error)
        return None
