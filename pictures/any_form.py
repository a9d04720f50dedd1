"""Pictures as Python has them: a path, the bytes of a file, a PIL image or an array of any size.

Each becomes what the file with the same pixels would: upright RGB on white at the size that is
asked for, or a file that a server takes. One picture gives one result, many give a list: which of
the two was given is told here, so that every door tells it alike.

Legend: B pictures, H x W pixels.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeAlias, cast

import numpy as np
from PIL import Image

from dgnet.arrays import Pixels
from dgnet.paths import local_path
from dgnet.pictures.colors import to_rgb, turn_upright
from dgnet.pictures.door import open_picture, read_file, resized
from dgnet.pictures.encoding import encode_picture
from dgnet.pictures.formats import WEB_FORMATS, sniff
from dgnet.pictures.limits import FILE_LIMITS
from dgnet.pictures.refusal import PictureRefused

AnyPicture: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | Pixels
"""A path, the bytes of a picture's file, a PIL image, or uint8 (H, W) gray, (H, W, 3) RGB or
(H, W, 4) RGBA."""
AnyPictures: TypeAlias = AnyPicture | Sequence[AnyPicture]
"""One, or several: a list or tuple, or an array (B, H, W, 3)."""


def is_single(pictures: AnyPictures) -> bool:
    """Whether it is one picture rather than several."""
    if isinstance(pictures, np.ndarray):
        return pictures.ndim < 4
    return isinstance(pictures, str | bytes | os.PathLike | Image.Image)


def as_list(pictures: AnyPictures) -> list[AnyPicture]:
    """The pictures one by one; a single one as a list of one."""
    if is_single(pictures):
        return [cast("AnyPicture", pictures)]
    return list(cast("Sequence[AnyPicture]", pictures))


def pixels_of(picture: AnyPicture, *, height: int, width: int) -> Pixels:
    """(H, W, 3) RGB of the size that is asked for; PictureRefused for what is no picture, OSError
    for a file that cannot be read.
    """
    if isinstance(picture, Image.Image | np.ndarray):
        return np.asarray(resized(_rgb(picture), width=width, height=height))
    return open_picture(_bytes_of(picture)).prepare(height=height, width=width).pixels


def web_file(picture: AnyPicture) -> bytes:
    """A file for a server, which judges it: bytes as they are unless their format is one that only
    we read (BMP, TIFF); those and pixels become a PNG. Raises as `pixels_of`.
    """
    if isinstance(picture, Image.Image | np.ndarray):
        return encode_picture(_rgb(picture), "PNG")
    data = _bytes_of(picture)
    kind = sniff(data)
    if kind is None or kind in WEB_FORMATS:
        return data
    return encode_picture(open_picture(data).rgb(), "PNG")


def name_of(picture: AnyPicture, index: int) -> str:
    """How messages call it: by its path, else by its place."""
    return str(picture) if isinstance(picture, str | os.PathLike) else f"picture {index}"


def _bytes_of(given: object) -> bytes:
    """Of a file; types are not all that arrives."""
    if isinstance(given, bytes):
        return given
    if not isinstance(given, str | os.PathLike):
        raise PictureRefused(
            "not-a-picture",
            f"is a {type(given).__name__}; expected a path, the bytes of a file, a PIL image or an "
            "array.",
        )
    return read_file(local_path(cast("str | os.PathLike[str]", given)))


def _rgb(picture: Image.Image | Pixels) -> Image.Image:
    if isinstance(picture, Image.Image):
        width, height = picture.size
    else:
        height, width = _shape(picture)
    if width * height > FILE_LIMITS.pixels or max(width, height) > FILE_LIMITS.side:
        raise PictureRefused(
            "dimensions",
            f"has {width} x {height} pixels; at most {FILE_LIMITS.pixels} pixels and "
            f"{FILE_LIMITS.side} a side are accepted. Scale it down.",
        )
    if isinstance(picture, Image.Image):
        return to_rgb(picture if picture.format == "TIFF" else turn_upright(picture))
    return to_rgb(Image.fromarray(np.ascontiguousarray(picture)))


def _shape(picture: Pixels) -> tuple[int, int]:
    """Height and width of an array that can be a picture."""
    shape = picture.shape
    colors = shape[2:] in ((), (3,), (4,))
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or not colors or 0 in shape:
        raise PictureRefused(
            "not-a-picture",
            f"is an array {picture.dtype} {shape}; expected uint8, (H, W), (H, W, 3) or (H, W, 4).",
        )
    return shape[0], shape[1]
