"""Picture files written by hand, for what no encoder writes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from PIL import Image


def encoded(image: Image.Image, picture_format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, picture_format, **options)
    return file.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def raw_png(
    width: int, height: int, *, depth: int, color_type: int, rows: bytes, extra: bytes = b""
) -> bytes:
    """A PNG written by hand; `rows` holds a filter byte before every row."""
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + extra
        + png_chunk(b"IDAT", zlib.compress(rows))
        + png_chunk(b"IEND", b"")
    )


def one_color_png(side: int) -> bytes:
    """Few bytes, side x side pixels of one color."""
    packer = zlib.compressobj()
    row = b"\x00" + b"\x80\x40\x20" * side
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", packed)
        + png_chunk(b"IEND", b"")
    )


def raw_tiff(entries: dict[int, Sequence[int]], pixels: bytes = b"", *, pages: int = 1) -> bytes:
    """A little-endian TIFF of whole numbers (LONG); `pixels` begin at byte 8."""
    values = b""
    values_at = 8 + len(pixels)
    directory = b""
    for tag, numbers in sorted(entries.items()):
        if len(numbers) == 1:
            place = numbers[0]
        else:
            place = values_at + len(values)
            values += struct.pack(f"<{len(numbers)}I", *numbers)
        directory += struct.pack("<HHII", tag, 4, len(numbers), place)
    directory = struct.pack("<H", len(entries)) + directory
    start = values_at + len(values)
    following = start if pages > 1 else 0
    return b"II*\x00" + struct.pack("<I", start) + pixels + values + directory + struct.pack(
        "<I", following
    )  # fmt: skip


EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 8 16
%%EndComments
showpage
%%EOF
"""
