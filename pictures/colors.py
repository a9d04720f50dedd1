"""From whatever a file stores to upright 8-bit RGB on white.

Plain RGB stays as it is, to the last bit. Samples of 16 bits keep their high byte, in gray as in
color: clipping them, as Pillow's own conversion does, makes an infrared picture white. What is
transparent shows white, whatever color hides there. Color profiles are ignored.

Legend: H x W pixels.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from PIL import Image

from dgnet.pictures.refusal import PictureRefused

EXIF_ORIENTATION: Final = 0x0112
# Asking Pillow costs as much as a tenth of the decoding of a small picture.
_WHERE_ORIENTATION_IS: Final = frozenset(
    {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}
)
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TRANSPARENT_MODES: Final = frozenset({"RGBA", "LA", "PA", "RGBa", "La"})
# Where a picture is put on white, so many rows at a time: copies of all of it would be five.
_ROWS_AT_A_TIME: Final = 256

_BITS_PER_SAMPLE: Final = 258
_PHOTOMETRIC: Final = 262
_WHITE_IS_ZERO: Final = 0


def turn_upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; unreadable EXIF counts as none, as in browsers.

    Not for TIFFs, which Pillow turns by itself.
    """
    if _WHERE_ORIENTATION_IS.isdisjoint(image.info):
        return image
    try:
        orientation = image.getexif().get(EXIF_ORIENTATION)
    except MemoryError:
        raise
    except Exception:  # a broken tag must not cost the picture
        return image
    method = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if method is None else image.transpose(method)


def to_rgb(image: Image.Image, *, png_bits: int | None = None) -> Image.Image:
    """RGB on white. `png_bits` is the depth that a PNG's header states."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16"):
        return _deep_gray(image)
    if image.mode in ("I", "F", "LAB"):
        raise PictureRefused(
            "not-a-picture",
            f"has samples of which nobody can tell which value is white (Pillow's mode "
            f"{image.mode}); expected 8 or 16 bits of gray or RGB. Save it so.",
        )
    if image.mode in _TRANSPARENT_MODES or "transparency" in image.info:
        _scale_transparent_sample(image, png_bits)
        return _on_white(image)
    return image.convert("RGB")


def _deep_gray(image: Image.Image) -> Image.Image:
    """Gray of more than 8 bits; Pillow's own conversion would clip at 255."""
    samples = np.asarray(image).astype(np.uint16)
    tags: Any = getattr(image, "tag_v2", {})
    bits: int = tags.get(_BITS_PER_SAMPLE, (16,))[0]
    gray = (samples >> (bits - 8)).astype(np.uint8)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        gray = 255 - gray
    transparent: Any = image.info.get("transparency")
    if isinstance(transparent, int):
        gray[samples == transparent] = 255
    return Image.fromarray(gray).convert("RGB")


def _scale_transparent_sample(image: Image.Image, png_bits: int | None) -> None:
    """A PNG names its transparent sample at its own depth; Pillow's pixels have 8 bits."""
    transparent: Any = image.info.get("transparency")
    if png_bits in (2, 4) and image.mode == "L":
        image.info["transparency"] = transparent * 255 // (2**png_bits - 1)
    elif png_bits == 16 and image.mode == "RGB":
        image.info["transparency"] = tuple(sample >> 8 for sample in transparent)


def _on_white(image: Image.Image) -> Image.Image:
    whole = Image.new("RGB", image.size)
    for top in range(0, image.height, _ROWS_AT_A_TIME):
        box = (0, top, image.width, min(top + _ROWS_AT_A_TIME, image.height))
        rows = image.crop(box)
        if rows.mode in ("RGBa", "La"):
            rows = rows.convert(rows.mode.upper())
        rows = rows.convert("RGBA")
        white = Image.new("RGBA", rows.size, "white")
        whole.paste(Image.alpha_composite(white, rows).convert("RGB"), box)
    return whole
