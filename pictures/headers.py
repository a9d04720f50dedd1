"""Judges a picture by its header: how large it is, and whether reading it would cost too much.

Reads a few bytes and allocates nothing, since some decoders take the memory of the whole picture,
or minutes, before they say how large it is. Sizes are as stored: EXIF may turn the picture.
"""

from __future__ import annotations

import struct
from typing import Final

from dgnet.pictures.formats import FormatName
from dgnet.pictures.refusal import PictureRefused, damaged
from dgnet.pictures.tiff import tiff_size

Size = tuple[int, int]
"""Width and height in pixels."""

# A progressive JPEG may repeat tiny scans over the whole picture: kilobytes that cost hours.
# Encoders write about ten.
MAX_JPEG_SCANS: Final = 100

_ENDS_EARLY: Final = "the file ends within its header"
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_WITHOUT_LENGTH: Final = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})


def header_size(data: bytes, kind: FormatName) -> Size:
    """The size that the header announces; PictureRefused where it is broken or a trap."""
    try:
        return _READERS[kind](data)
    except (IndexError, struct.error) as error:
        raise damaged(kind, _ENDS_EARLY) from error


def _png_size(data: bytes) -> Size:
    if data[12:16] != b"IHDR":
        raise damaged("PNG", "it does not begin with IHDR")
    return struct.unpack_from(">II", data, 16)


def _bmp_size(data: bytes) -> Size:
    if struct.unpack_from("<I", data, 14)[0] == 12:  # of OS/2
        return struct.unpack_from("<HH", data, 18)
    width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)  # a negative height: rows from the top


def _jpeg_size(data: bytes) -> Size:
    if data.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise PictureRefused(
            "damaged",
            f"is a JPEG of more than {MAX_JPEG_SCANS} scans, which no camera or encoder writes. "
            "Save it again as an ordinary JPEG.",
        )
    at = 2
    while (at := data.find(b"\xff", at)) >= 0:
        marker = data[at + 1]
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        if marker in (0xD9, 0xDA):
            break
        if marker == 0xFF:  # padding
            at += 1
        elif marker in _JPEG_WITHOUT_LENGTH:
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    raise damaged("JPEG", "it announces no size before its pixels")


def _webp_size(data: bytes) -> Size:
    """Canvas and animation flag are in the first chunk (RFC 9649, section 2)."""
    chunk, body = data[12:16], data[20:30]
    if len(body) < 10:
        raise damaged("WebP", _ENDS_EARLY)
    if chunk == b"VP8X":
        if body[0] & 0b10:
            raise animated("an animated WebP")
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    if chunk == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    raise damaged("WebP", f"unknown first chunk {chunk!r}")


def _tiff_size(data: bytes) -> Size:
    size, pages = tiff_size(data)
    if pages > 1:
        raise animated("a TIFF of several pages")
    return size


def animated(what: str) -> PictureRefused:
    """More than one frame."""
    return PictureRefused(
        "animated", f"is animated ({what}); expected one frame. Take a still picture."
    )


_READERS: Final = {
    "JPEG": _jpeg_size,
    "PNG": _png_size,
    "WEBP": _webp_size,
    "BMP": _bmp_size,
    "TIFF": _tiff_size,
}
