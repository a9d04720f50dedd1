"""How well composites take clothes from one picture and everything else from another.

Pure functions over pictures and embeddings; who makes the composites is left to the caller, errors
against true pictures to `truth`.

B pictures of H x W pixels, uint8 (B, H, W, 3) RGB; embeddings float32 (B, D), L2-normalized.
"""

from typing import cast

import numpy as np
from skimage.metrics import (
    structural_similarity,  # pyright: ignore[reportUnknownVariableType]
)

from dgnet.arrays import Bools, Doubles, Embeddings, Floats, Pixels

# ITU-R 601 luma, what Pillow's mode "L" uses.
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def nearer_to_appearance(
    composite: Embeddings, appearance: Embeddings, structure: Embeddings
) -> Bools:
    """Per pair (B,): is the composite's embedding nearer to its appearance picture's?"""
    to_appearance = (composite * appearance).sum(axis=1)
    to_structure = (composite * structure).sum(axis=1)
    return cast(Bools, to_appearance > to_structure)


def gray_ssim(left: Pixels, right: Pixels) -> Doubles:
    """Structural similarity (B,) of the gray pictures.

    As Wang et al. (2004): Gaussian window of sigma 1.5 (11 x 11), population statistics, a dynamic
    range of 255; gray is ITU-R 601 luma.
    """
    require_same_shape(left, right)
    pairs = zip(left @ _LUMA, right @ _LUMA, strict=True)
    return np.array([_ssim(one, other) for one, other in pairs], dtype=np.float64)


def _ssim(left: Floats, right: Floats) -> float:
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


def require_same_shape(left: Pixels, right: Pixels) -> None:
    """Raises unless both are the same number of RGB pictures of the same size."""
    if left.shape != right.shape or left.ndim != 4 or left.shape[3] != 3:
        raise ValueError(
            f"pictures of shape {left.shape} and {right.shape}; expected the same (B, H, W, 3)"
        )
