"""Composites as files, in the size and format that a spec asks for."""

from __future__ import annotations

from PIL import Image

from dgnet.arrays import Pixels
from dgnet.jobs.generation.spec import OutputSpec, PictureFormat
from dgnet.pictures.encoding import FileFormat, encode_picture

FORMATS: dict[PictureFormat, FileFormat] = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}
PNG_LEVEL = 1


def encode_composite(pixels: Pixels, output: OutputSpec) -> bytes:
    """RGB pixels (H, W, 3) as a file."""
    image = Image.fromarray(pixels)
    if output.size is not None:
        height, width = output.size
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    file_format = FORMATS[output.picture_format]
    return encode_picture(image, file_format, quality=output.quality, png_level=PNG_LEVEL)
