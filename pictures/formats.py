"""The formats that are read, told by content; and the endings by which files are listed.

The only list of either: readers of data sets, archives, commands and routes all take theirs here.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

FormatName = Literal["JPEG", "PNG", "WEBP", "BMP", "TIFF"]

FORMATS: Final[tuple[FormatName, ...]] = get_args(FormatName)
"""Of files: data sets and pictures that the command line names."""

WEB_FORMATS: Final[tuple[FormatName, ...]] = ("JPEG", "PNG", "WEBP")
"""Of pictures that come over HTTP: what browsers and phones send, and docs/http-api.md promises."""

PICTURE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff"}
)
"""Lower-case endings by which folders and archives are searched; the content decides the rest."""

_NAMES: Final[dict[FormatName, str]] = {"WEBP": "WebP"}
_MAGIC: Final[tuple[tuple[bytes, FormatName], ...]] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"BM", "BMP"),
)
# Recognized only to name in the refusal what arrived.
_OTHERS: Final = (
    (b"GIF87a", "a GIF"),
    (b"GIF89a", "a GIF"),
    (b"II+\x00", "a BigTIFF"),
    (b"MM\x00+", "a BigTIFF"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"%PDF", "a PDF"),
    (b"<svg", "an SVG"),
    (b"<?xml", "an XML document"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000"),
    (b"8BPS", "a Photoshop document"),
    (b"PK\x03\x04", "a zip archive"),
)


def sniff(data: bytes) -> FormatName | None:
    """The format that the first bytes announce, or None."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    return None


def expected(formats: tuple[FormatName, ...]) -> str:
    """Such as "expected a JPEG, PNG or WebP picture"."""
    *first, last = (_NAMES.get(name, name) for name in formats)
    return f"expected a {', '.join(first)} or {last} picture" if first else f"expected a {last}"


def describe(data: bytes) -> str:
    """What refused bytes seem to be."""
    if not data:
        return "nothing (0 bytes)"
    known = sniff(data)
    if known is not None:
        return f"a {_NAMES.get(known, known)}"
    for magic, name in _OTHERS:
        if data.startswith(magic):
            return name
    if data[4:8] == b"ftyp":
        return f"an ISO media file ({data[8:12].decode('ascii', 'replace').strip()!r})"
    return f"of no known format ({len(data)} bytes that begin with {data[:8].hex(' ')})"
