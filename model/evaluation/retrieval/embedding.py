"""Embeds pictures of a data set for retrieval, a batch at a time.

B pictures a batch, D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np

from dgnet.arrays import AnyFloats, Embeddings, Pixels
from dgnet.model.data.picture import Picture
from dgnet.model.data.transforms import decode_picture
from dgnet.model.evaluation.retrieval.retrieval_set import RetrievalSet
from dgnet.model.predictor import rows_named

BATCH_SIZE = 32

ShowProgress = Callable[[Sequence[int], str], Iterable[int]]
"""Passes the first rows of the batches on, under a title, and may draw a bar while at it."""


class Embedder(Protocol):
    """What retrieval asks of a model. Pictures are uint8 (B, height, width, 3), RGB."""

    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...

    def embed(self, images: Pixels) -> Embeddings:
        """(B, D), L2-normalized."""
        ...


def embed_pictures(
    embedder: Embedder,
    pictures: Sequence[Picture],
    *,
    batch_size: int = BATCH_SIZE,
    title: str = "Embedding",
    progress: ShowProgress = lambda starts, title: starts,
) -> Embeddings:
    """Embeddings (N, D) in the order of the pictures."""
    batches: list[Embeddings] = []
    for start in progress(range(0, len(pictures), batch_size), title):
        batch = [picture.path for picture in pictures[start : start + batch_size]]
        pixels = [decode_picture(path, embedder.height, embedder.width) for path in batch]
        with rows_named(lambda batch=batch: batch):
            batches.append(embedder.embed(np.stack(pixels)))
    return np.concatenate(batches)


def labeled(pictures: Sequence[Picture], embeddings: AnyFloats) -> RetrievalSet:
    """Embeddings with the persons and cameras of their pictures."""
    return RetrievalSet(
        embeddings=embeddings,
        person_ids=np.array([picture.person_id for picture in pictures], dtype=np.int64),
        camera_ids=np.array([picture.camera_id for picture in pictures], dtype=np.int64),
    )
