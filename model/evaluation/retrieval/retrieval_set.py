"""What retrieval works on: embeddings with the person and the camera of each.

N pictures, D dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dgnet.arrays import AnyFloats


@dataclass(frozen=True, kw_only=True)
class RetrievalSet:
    """Embeddings (N, D) of any length with the person and camera of each, both (N,)."""

    embeddings: AnyFloats
    person_ids: NDArray[np.integer]
    camera_ids: NDArray[np.integer]

    def __post_init__(self) -> None:
        count = len(self.embeddings)
        shapes = (self.embeddings.ndim, self.person_ids.shape, self.camera_ids.shape)
        if count == 0 or shapes != (2, (count,), (count,)):
            raise ValueError(
                f"embeddings {self.embeddings.shape}, person ids {self.person_ids.shape} and "
                f"camera ids {self.camera_ids.shape} do not belong together; expected (N, D), (N,) "
                "and (N,) with N at least 1"
            )

    def __len__(self) -> int:
        return len(self.embeddings)

    def with_embeddings(self, embeddings: AnyFloats) -> RetrievalSet:
        """The same pictures, embedded in another way."""
        return replace(self, embeddings=embeddings)


def row_lengths(embeddings: AnyFloats) -> AnyFloats:
    """(N,), without the copy of all embeddings that numpy's norm makes."""
    return np.sqrt(np.einsum("nd,nd->n", embeddings, embeddings))


def unit_rows(embeddings: AnyFloats) -> AnyFloats:
    """Rows of length 1; a row of zeros stays what it is."""
    lengths = np.maximum(row_lengths(embeddings), np.finfo(embeddings.dtype).tiny)
    return embeddings / lengths[:, None]
