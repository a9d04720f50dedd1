"""Judges a TIFF by its first directory, so that no small file costs minutes or gigabytes.

A directory only points: thousands of strips may point at the same bytes, each to be unpacked
again. So the strips together may not be more than the file, nor more than a picture has rows, and
only the usual ways of packing are let through; Pillow reads the rest.
"""

from __future__ import annotations

import math
import struct
from typing import Final

from dgnet.pictures.refusal import PictureRefused, damaged

MAX_STRIPS: Final = 2**17
MAX_TILE_PIXELS: Final = 2**24
MAX_JPEG_SCANS_EACH: Final = 10

_WIDTH, _HEIGHT, _COMPRESSION = 256, 257, 259
_OFFSETS: Final = (273, 324)  # of strips, of tiles
_BYTE_COUNTS: Final = (279, 325)
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_SHORT, _LONG = 3, 4
_PACKINGS: Final = {
    1: "not packed", 2: "CCITT", 3: "Group 3", 4: "Group 4", 5: "LZW", 7: "JPEG", 8: "deflate",
    32773: "PackBits", 32946: "deflate",
}  # fmt: skip
_NOT_PACKED, _JPEG = 1, 7


def tiff_size(data: bytes) -> tuple[tuple[int, int], int]:
    """Width and height, and the number of pages: 1, or 2 for several."""
    order = "<" if data.startswith(b"II") else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    entries: dict[int, tuple[int, int, int]] = {}
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, number = struct.unpack_from(order + "HHI", data, at)
        entries.setdefault(tag, (kind, number, at + 8))  # twice: decoders take the first
    (following,) = struct.unpack_from(order + "I", data, start + 2 + 12 * count)

    def values(tag: int) -> tuple[int, ...]:
        if tag not in entries:
            return ()
        kind, number, at = entries[tag]
        if kind not in (_SHORT, _LONG):
            raise damaged("TIFF", f"tag {tag} has no whole numbers")
        letter, size = ("H", 2) if kind == _SHORT else ("I", 4)
        if number > MAX_STRIPS:
            raise damaged("TIFF", f"tag {tag} has {number} values, at most {MAX_STRIPS} are read")
        if number * size > 4:
            (at,) = struct.unpack_from(order + "I", data, at)
        return struct.unpack_from(f"{order}{number}{letter}", data, at)

    width, height = values(_WIDTH), values(_HEIGHT)
    if len(width) != 1 or len(height) != 1:
        raise damaged("TIFF", "its first directory announces no size")
    strips = max(len(values(tag)) for tag in _OFFSETS)
    lengths = [length for tag in _BYTE_COUNTS for length in values(tag)]
    packing = (*values(_COMPRESSION), 1)[0]
    if sum(lengths) > len(data) or (packing != _NOT_PACKED and len(lengths) < strips):
        raise damaged("TIFF", "its strips together are longer than the file")
    if math.prod((*values(_TILE_WIDTH), *values(_TILE_HEIGHT))) > MAX_TILE_PIXELS:
        raise damaged("TIFF", f"its tiles have more than {MAX_TILE_PIXELS} pixels")
    if packing not in _PACKINGS:
        raise PictureRefused(
            "not-a-picture",
            f"is a TIFF packed by method {packing}; expected one that is not packed, or by "
            f"{', '.join(dict.fromkeys(list(_PACKINGS.values())[1:]))}. Save it so.",
        )
    if packing == _JPEG and data.count(b"\xff\xda") > MAX_JPEG_SCANS_EACH * max(strips, 1):
        raise damaged("TIFF", "its strips are JPEGs of more scans than any encoder writes")
    return (width[0], height[0]), 2 if following else 1
