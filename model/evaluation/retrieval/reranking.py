"""k-reciprocal re-ranking: Zhong et al., "Re-ranking Person Re-identification with k-reciprocal
Encoding", CVPR 2017. Equations are that paper's.

Two pictures resemble each other when they have the same pictures among their mutual nearest
neighbors. Written from the paper, with no N x N matrix at any time: neighbor lists come from
blocks of similarities, everything else is sparse with some hundred values a picture. Where the
paper leaves a choice: a picture is its own first neighbor (k1 counts the others, k2 counts it
too); d is the squared distance of unit embeddings divided by the picture's largest; the weights of
a picture sum to 1.

N = Q + G pictures, queries first; B of them at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from dgnet.arrays import AnyFloats, Doubles, Integers
from dgnet.model.evaluation.retrieval.retrieval_set import unit_rows
from dgnet.model.evaluation.retrieval.similarity import CosineSimilarity

# scipy has no types; a CSR matrix, (N, N) unless said otherwise.
Sparse = Any

# Similarities at once while neighbors are looked for: 64 MiB of float32.
_BLOCK_VALUES = 2**24
# Pairs whose distance is computed at once: 64 MiB for each side with 1,024 float32 values.
_BLOCK_PAIRS = 2**14


@dataclass(frozen=True, kw_only=True)
class Reranking:
    """The paper's settings for Market-1501."""

    k1: int = 20
    """Neighbors that are compared."""
    k2: int = 6
    """Neighbors over which the encoding is averaged, the picture itself included."""
    original_weight: float = 0.3
    """Weight (the paper's lambda) of the original distance in the final one."""

    def __post_init__(self) -> None:
        if self.k1 < 1 or self.k2 < 1 or not 0 <= self.original_weight <= 1:
            raise ValueError(
                f"{self}: expected k1 and k2 from 1 up and original_weight within 0..1"
            )


class RerankedSimilarity:
    """Minus the final distance (equation 12) of every query to every gallery picture."""

    def __init__(
        self,
        query: AnyFloats,
        gallery: AnyFloats,
        settings: Reranking | None = None,
        device: torch.device | None = None,
    ) -> None:
        settings = settings or Reranking()
        self._settings = settings
        self._cosines = CosineSimilarity(query, gallery, device)
        self.shape = self._cosines.shape
        pictures = unit_rows(np.concatenate([query, gallery]))
        neighbors, self._largest = _neighbors(
            CosineSimilarity(pictures, pictures, device), max(settings.k1 + 1, settings.k2)
        )
        encoding = _encoding(pictures, neighbors, self._largest, settings)
        self._query_encoding = encoding[: len(query)]
        self._gallery_encoding = encoding[len(query) :].tocsc()  # (G, N), by neighbor
        self._query_weight = _row_sums(self._query_encoding)
        self._gallery_weight = _row_sums(self._gallery_encoding)

    def rows(self, start: int, stop: int) -> Tensor:
        """Similarities (stop - start, G), none above 0."""
        cosines = self._cosines.rows(start, stop)
        weight = self._settings.original_weight
        jaccard = np.empty(cosines.shape)
        for line, row in enumerate(range(start, stop)):
            jaccard[line] = self._jaccard_distances(row)
        distances = torch.as_tensor(jaccard).to(cosines.device).mul_(1 - weight)
        original = cosines.double().mul_(-2).add_(2).clamp_(min=0)
        original *= weight / torch.as_tensor(self._largest[start:stop, None]).to(cosines.device)
        return distances.add_(original).neg_()

    def _jaccard_distances(self, row: int) -> Doubles:
        """Equation 10 for one query (G,): only pictures that share a neighbor with it differ
        from 1."""
        own, shared = self._query_encoding, self._gallery_encoding
        mine = slice(own.indptr[row], own.indptr[row + 1])
        columns = own.indices[mine]
        begin = shared.indptr[columns]
        lengths = shared.indptr[columns + 1] - begin
        # Positions of all values in those columns, one column after the other.
        jumps = np.repeat(begin - (lengths.cumsum() - lengths), lengths)
        positions = np.arange(len(jumps)) + jumps
        smaller: Doubles = np.minimum(shared.data[positions], np.repeat(own.data[mine], lengths))
        rows: NDArray[np.int32] = shared.indices[positions]
        minimum = np.bincount(rows, weights=smaller, minlength=self.shape[1])
        # max(x, y) = x + y - min(x, y)
        return 1 - minimum / (self._query_weight[row] + self._gallery_weight - minimum)


def _neighbors(cosines: CosineSimilarity, count: int) -> tuple[Integers, Doubles]:
    """The nearest pictures of each (N, K), itself first, and its largest squared distance (N,)."""
    pictures = cosines.shape[0]
    at_once = max(1, _BLOCK_VALUES // pictures)
    nearest: list[Tensor] = []
    farthest: list[Tensor] = []
    for start in range(0, pictures, at_once):
        block = cosines.rows(start, min(start + at_once, pictures))
        farthest.append(block.amin(dim=1).cpu())
        # Duplicates are as near as the picture itself, which has to come first.
        block.diagonal(offset=start).fill_(torch.inf)
        nearest.append(block.topk(min(count, pictures), dim=1).indices.cpu())
    largest = (2 - 2 * torch.cat(farthest).double()).clamp(min=np.finfo(np.float64).tiny)
    return torch.cat(nearest).numpy(), largest.numpy()


def _encoding(
    pictures: AnyFloats, neighbors: Integers, largest: Doubles, settings: Reranking
) -> Sparse:
    """V after local query expansion (equations 7 and 11)."""
    rows, columns = _expanded_reciprocal(neighbors, settings.k1).nonzero()
    weights = np.exp(-_squared_distances(pictures, rows, columns) / largest[rows])
    count = len(pictures)
    weights /= np.bincount(rows, weights=weights, minlength=count)[rows]
    encoding = sparse.csr_matrix((weights, (rows, columns)), shape=(count, count))
    averaged = _among_nearest(neighbors, settings.k2).astype(np.float64)
    return (averaged @ encoding) / min(settings.k2, neighbors.shape[1])


def _expanded_reciprocal(neighbors: Integers, k1: int) -> Sparse:
    """R* (equation 4): mutual neighbors, and those of neighbors that agree by two thirds."""
    # numpy rounds halves to even, which the paper's k1 = 20 never meets.
    reciprocal = _reciprocal(neighbors, k1 + 1)
    half = _reciprocal(neighbors, int(np.around(k1 / 2)) + 1)
    # |R(p, k1) and R(q, k1 / 2)| wherever q is in R(p, k1); at least 1, as both hold q.
    common = reciprocal.multiply(reciprocal @ half.T).tocsr()
    sizes = _row_sums(half)
    common.data = (3 * common.data >= 2 * sizes[common.indices]).astype(np.int32)
    common.eliminate_zeros()
    return (reciprocal + common @ half).tocsr()


def _reciprocal(neighbors: Integers, count: int) -> Sparse:
    """R (equation 3) as ones: p is among the nearest of g and g among those of p."""
    nearest = _among_nearest(neighbors, count)
    return nearest.multiply(nearest.T).tocsr()


def _among_nearest(neighbors: Integers, count: int) -> Sparse:
    """1 in row p and column g where g is one of the `count` nearest of p."""
    chosen = neighbors[:, :count]
    pictures, width = chosen.shape
    begin = np.arange(pictures + 1, dtype=np.int64) * int(width)
    ones = np.ones(chosen.size, dtype=np.int32)
    return sparse.csr_matrix((ones, chosen.ravel(), begin), shape=(pictures, pictures))


def _squared_distances(
    units: AnyFloats, rows: NDArray[np.integer], columns: NDArray[np.integer]
) -> Doubles:
    """Of pairs of pictures (P,)."""
    cosines = [
        np.einsum(
            "pd,pd->p",
            units[rows[start : start + _BLOCK_PAIRS]],
            units[columns[start : start + _BLOCK_PAIRS]],
        )
        for start in range(0, len(rows), _BLOCK_PAIRS)
    ]
    return np.maximum(2 - 2 * np.concatenate(cosines).astype(np.float64), 0)


def _row_sums(matrix: Sparse) -> Doubles:
    return cast("Doubles", np.asarray(matrix.sum(axis=1), dtype=np.float64).reshape(-1))
