"""Similarities of queries to the whole gallery, some queries at a time.

What ranks (`ranking`) or draws (`dgnet.model.evaluation.sheets.ranked_results`) asks for rows and
does not know how they are made: the cosine is here, k-reciprocal re-ranking in `reranking`.

B queries at a time, G gallery pictures, D dimensions.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from dgnet.arrays import AnyFloats
from dgnet.model.evaluation.retrieval.retrieval_set import row_lengths

# Embeddings moved to the device and multiplied at once: 64 MiB for 1,024 float32 values.
GALLERY_BLOCK = 16_384


class Similarity(Protocol):
    """How much every gallery picture resembles a query: the larger, the more."""

    @property
    def shape(self) -> tuple[int, int]:
        """Queries and gallery pictures."""
        ...

    def rows(self, start: int, stop: int) -> Tensor:
        """Similarities (stop - start, G) of queries start..stop; the caller may overwrite them."""
        ...


class CosineSimilarity:
    """Cosines of embeddings of any length, computed on a device.

    The embeddings stay where they are; the device holds one block of each and the rows asked for,
    so any number of distractors fits.
    """

    def __init__(
        self, query: AnyFloats, gallery: AnyFloats, device: torch.device | None = None
    ) -> None:
        if query.ndim != 2 or gallery.ndim != 2 or query.shape[1] != gallery.shape[1]:
            raise ValueError(
                f"query embeddings are {query.shape}, gallery embeddings {gallery.shape}; expected "
                "(Q, D) and (G, D) with the same D, from the same checkpoint"
            )
        self.device = device or torch.device("cpu")
        dtype = np.result_type(query, gallery, np.float32)
        query, gallery = query.astype(dtype, copy=False), gallery.astype(dtype, copy=False)
        self._query, self._gallery = torch.as_tensor(query), torch.as_tensor(gallery)
        self._query_scale = _inverse_lengths(query)
        self._gallery_scale = _inverse_lengths(gallery)

    @property
    def shape(self) -> tuple[int, int]:
        """Queries and gallery pictures."""
        return len(self._query), len(self._gallery)

    def rows(self, start: int, stop: int) -> Tensor:
        """Cosines (stop - start, G)."""
        scale = self._query_scale[start:stop, None].to(self.device)
        query = self._query[start:stop].to(self.device) * scale  # (B, D)
        cosines = query.new_empty(len(query), len(self._gallery))
        for left in range(0, len(self._gallery), GALLERY_BLOCK):
            block = slice(left, left + GALLERY_BLOCK)
            gallery = self._gallery[block].to(self.device)
            cosines[:, block] = query @ gallery.T
            cosines[:, block] *= self._gallery_scale[block].to(self.device)
        return cosines


def _inverse_lengths(embeddings: AnyFloats) -> Tensor:
    """(N,): 1 / length; a row of zeros stays zero."""
    return torch.as_tensor(1 / np.maximum(row_lengths(embeddings), np.finfo(embeddings.dtype).tiny))
