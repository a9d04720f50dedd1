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
from dgnet.pictures.jpeg import jpeg


def encode_composite(pixels: NDArray[np.uint8], output: OutputSpec) -> bytes:
    """RGB pixels (H, W, 3) in the size and format of the spec."""
    image = Image.fromarray(pixels)
    if output.size is not None:
        height, width = output.size
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    match output.picture_format:
        case "jpg":
            return jpeg(image, quality=output.quality)
        case "png":
            image.save(file, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
        case "webp":
            image.save(file, "WEBP", quality=output.quality)
    return file.getvalue()
