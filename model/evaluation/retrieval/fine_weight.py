"""Gives the fine half of finished embeddings another weight (the paper's primary + beta fine).

`Predictor.embed` joins two unit halves, primary and fine, as [primary, sqrt(0.5) fine] and scales
the whole to unit length, so that a dot product is (primary cosine + 0.5 fine cosine) / 1.5. Another
weight beta makes that (primary cosine + beta fine cosine) / (1 + beta), without embedding again.
"""

from __future__ import annotations

import math

import numpy as np

from dgnet.arrays import AnyFloats
from dgnet.model.evaluation.retrieval.retrieval_set import unit_rows
from dgnet.model.inference.programs import FINE_WEIGHT


class FineWeightError(ValueError):
    """A weight that cannot be, or embeddings without halves."""


def with_fine_weight(embeddings: AnyFloats, weight: float) -> AnyFloats:
    """Embeddings (N, D) of `Predictor.embed` for another beta; 0 leaves the primary half alone."""
    if not 0 <= weight < math.inf:
        raise FineWeightError(f"fine weight is {weight}; expected a number from 0 up")
    dimensions = embeddings.shape[1]
    if dimensions % 2:
        raise FineWeightError(
            f"embeddings have {dimensions} values; expected an even number, a primary and a fine "
            "half: leave the fine weight out for this model"
        )
    scale = np.ones(dimensions, dtype=embeddings.dtype)
    scale[dimensions // 2 :] = math.sqrt(weight / FINE_WEIGHT)
    return unit_rows(embeddings * scale)
