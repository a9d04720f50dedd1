"""How well composites take clothes from one picture and everything else from another.

Pure functions over pictures and embeddings; who makes the composites is left to the caller.

B pictures of H x W pixels, uint8 (B, H, W, 3) RGB; embeddings float32 (B, D), L2-normalized. Errors
of pixels are in levels of 0..255.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import (
    structural_similarity,  # pyright: ignore[reportUnknownVariableType]
)

Pixels = NDArray[np.uint8]
Embeddings = NDArray[np.float32]

# A pixel belongs to the changed region when a channel of structure and truth differs by more.
CHANGED_THRESHOLD = 24

# ITU-R 601 luma, what Pillow's mode "L" uses.
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class TruthErrors:
    """Distance from the true pictures, pooled over the pixels and channels of all triples.

    `changed_ratio`: mean |composite - truth| over the changed region, divided by mean |structure
    picture - truth| there: 0 is perfect, 1 is no better than the structure picture itself.
    `changed_error` is the numerator and `outside_error` the same mean over all other pixels, both
    in levels. `changed_share`: part of all pixels that changed. `mean_triple_ratio`: the ratio of
    each triple, averaged; small regions weigh as much as large ones there.
    """

    changed_ratio: float
    changed_error: float
    outside_error: float
    changed_share: float
    mean_triple_ratio: float


def nearer_to_appearance(
    composite: Embeddings, appearance: Embeddings, structure: Embeddings
) -> NDArray[np.bool_]:
    """Per pair (B,): is the composite's embedding nearer to its appearance picture's?"""
    to_appearance = (composite * appearance).sum(axis=1)
    to_structure = (composite * structure).sum(axis=1)
    return cast(NDArray[np.bool_], to_appearance > to_structure)


def grey_ssim(left: Pixels, right: Pixels) -> NDArray[np.float64]:
    """Structural similarity (B,) of the grey pictures.

    As Wang et al. (2004): Gaussian window of sigma 1.5 (11 x 11), population statistics, a dynamic
    range of 255; grey is ITU-R 601 luma.
    """
    _require_same_shape(left, right)
    pairs = zip(left @ _LUMA, right @ _LUMA, strict=True)
    return np.array([_ssim(one, other) for one, other in pairs], dtype=np.float64)


def truth_errors(composite: Pixels, structure: Pixels, truth: Pixels) -> TruthErrors:
    """Compares composites with what a perfect renderer drew for the same triples."""
    _require_same_shape(composite, truth)
    _require_same_shape(structure, truth)
    structure_error = _absolute_difference(structure, truth)  # (B, H, W, 3)
    composite_error = _absolute_difference(composite, truth).mean(axis=3)  # (B, H, W)
    changed = structure_error.max(axis=3) > CHANGED_THRESHOLD  # (B, H, W)
    structure_error = structure_error.mean(axis=3)
    with_change = changed.reshape(len(changed), -1).max(axis=1)  # (B,)
    if not with_change.any() or changed.all():
        raise ValueError(
            "structure pictures and true pictures "
            + ("agree" if not with_change.any() else "differ")
            + f" everywhere (threshold {CHANGED_THRESHOLD} levels); expected pictures that differ "
            "in the clothes alone"
        )
    changed_error = float(composite_error[changed].mean())
    ratios = [
        composite_error[triple][changed[triple]].mean()
        / structure_error[triple][changed[triple]].mean()
        for triple in np.flatnonzero(with_change)
    ]
    return TruthErrors(
        changed_ratio=changed_error / float(structure_error[changed].mean()),
        changed_error=changed_error,
        outside_error=float(composite_error[~changed].mean()),
        changed_share=float(changed.mean()),
        mean_triple_ratio=float(np.mean(ratios)),
    )


def _ssim(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    return cast(
        float,
        structural_similarity(
            left,
            right,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        ),
    )


def _absolute_difference(left: Pixels, right: Pixels) -> NDArray[np.float32]:
    return np.abs(left.astype(np.float32) - right.astype(np.float32))


def _require_same_shape(left: Pixels, right: Pixels) -> None:
    if left.shape != right.shape or left.ndim != 4 or left.shape[3] != 3:
        raise ValueError(
            f"pictures of shape {left.shape} and {right.shape}; expected the same (B, H, W, 3)"
        )
