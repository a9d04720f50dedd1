"""Composites as files; the same pixels always give the same bytes.

Legend: H x W pixels.
"""

from __future__ import annotations

import io
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dgnet.jobs.generation.spec import OutputSpec


def encode_composite(pixels: NDArray[np.uint8], output: OutputSpec) -> bytes:
    """RGB pixels (H, W, 3) in the size and format of the spec."""
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    if output.size is not None:
        height, width = output.size
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    match output.picture_format:
        case "jpg":
            # 4:4:4: at these sizes halved color planes blur the very clothes that were swapped.
            image.save(file, "JPEG", quality=output.quality, subsampling=0)
        case "png":
            image.save(file, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
        case "webp":
            image.save(file, "WEBP", quality=output.quality)
    return file.getvalue()
