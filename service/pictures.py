"""Turns untrusted bytes into RGB pictures of the model's size, or refuses them with a reason.

`open_picture` sniffs the format and judges dimensions and frames from the header alone;
`OpenedPicture.prepare` decodes, turns the picture upright, puts it on white and resizes it.
What a client calls the file plays no part. Threads and HTTP are left to the callers.

Legend: H x W pixels.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from PIL import Image

from dgnet.jobs.contract import UInt8Array
from dgnet.service.problems import (
    ANIMATED_PICTURE,
    DAMAGED_PICTURE,
    NOT_A_PICTURE,
    PICTURE_DIMENSIONS,
    PICTURE_TOO_LARGE,
    Problem,
)
from dgnet.service.settings import ServiceSettings

EXPECTED = "expected a JPEG, PNG or WebP picture"
EXIF_ORIENTATION: Final = 0x0112
# A progressive JPEG may repeat tiny scans over the whole picture: kilobytes that cost hours.
# Encoders write about ten.
MAX_JPEG_SCANS: Final = 100

_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Recognised only to name in the refusal what arrived.
_REFUSED_FORMATS: Final = (
    (b"GIF87a", "a GIF"),
    (b"GIF89a", "a GIF"),
    (b"BM", "a BMP"),
    (b"II*\x00", "a TIFF"),
    (b"MM\x00*", "a TIFF"),
    (b"%PDF", "a PDF"),
    (b"<svg", "an SVG"),
    (b"<?xml", "an XML document"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000"),
    (b"PK\x03\x04", "a zip archive"),
)


def sniff(data: bytes) -> str | None:
    """The accepted format that the first bytes announce: JPEG, PNG, WEBP, or None."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    return None


def _describe(data: bytes) -> str:
    """What refused bytes seem to be, for the error message."""
    if not data:
        return "nothing (0 bytes)"
    for magic, name in _REFUSED_FORMATS:
        if data.startswith(magic):
            return name
    if data[4:8] == b"ftyp":
        return f"an ISO media file ({data[8:12].decode('ascii', 'replace').strip()!r})"
    return f"{len(data)} bytes that begin with {data[:8].hex(' ')}"


@dataclass(frozen=True)
class PreparedPicture:
    """A picture as a job carries it, and the size it had when it stood upright."""

    pixels: UInt8Array  # (H, W, 3) RGB of the model's size
    original_width: int
    original_height: int


@dataclass(frozen=True)
class OpenedPicture:
    """A picture whose header passed every limit; its pixels are not decoded yet."""

    image: Image.Image
    label: str

    @property
    def pixel_count(self) -> int:
        return self.image.width * self.image.height

    def prepare(self, *, width: int, height: int) -> PreparedPicture:
        """Decode to upright RGB on white and resize (bicubic) to (height, width)."""
        try:
            self.image.load()
            upright = _turn_upright(self.image)
            rgb = _to_rgb(upright)
        except MemoryError:
            raise
        except Exception as error:  # decoders raise anything at hostile bytes
            raise _damaged(self.label, self.image.format, error) from error
        original = rgb.size
        if original != (width, height):
            rgb = rgb.resize((width, height), Image.Resampling.BICUBIC)
        return PreparedPicture(np.asarray(rgb), *original)


def open_picture(data: bytes, settings: ServiceSettings, *, label: str) -> OpenedPicture:
    """Sniff the format and judge the header; raise a `Problem` that names `label`."""
    if len(data) > settings.max_picture_bytes:
        raise Problem(
            PICTURE_TOO_LARGE,
            f"{label} has {len(data)} bytes; at most {settings.max_picture_bytes} are accepted. "
            "Send a smaller or more compressed picture.",
        )
    kind = sniff(data)
    if kind is None:
        raise Problem(NOT_A_PICTURE, f"{label} is {_describe(data)}; {EXPECTED}.")
    if kind == "WEBP":
        # The decoder allocates its canvas as it opens, so the canvas is judged before.
        _check_webp_header(data, settings, label)
    elif kind == "JPEG" and data.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise Problem(
            DAMAGED_PICTURE,
            f"{label} is a JPEG of more than {MAX_JPEG_SCANS} scans, which no camera or encoder "
            "writes. Save it again as an ordinary JPEG.",
        )
    try:
        image = Image.open(io.BytesIO(data), formats=[kind])
        frames = getattr(image, "n_frames", 1)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Problem(
            PICTURE_DIMENSIONS,
            f"{label} announces far more than {settings.max_picture_pixels} pixels. Scale it down.",
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # decoders raise anything at hostile bytes
        raise _damaged(label, kind, error) from error
    _check_dimensions(image.width, image.height, settings, label)
    # A JPEG may carry further pictures (phones add gain maps); the first one is the picture.
    if frames > 1 and kind != "JPEG":
        raise _animated(label, f"{frames} frames")
    return OpenedPicture(image, label)


def _check_dimensions(width: int, height: int, settings: ServiceSettings, label: str) -> None:
    if width * height > settings.max_picture_pixels or max(width, height) > (
        settings.max_picture_side
    ):
        raise Problem(
            PICTURE_DIMENSIONS,
            f"{label} announces {width} x {height} pixels; at most {settings.max_picture_pixels} "
            f"pixels and {settings.max_picture_side} a side are accepted. Scale it down.",
        )


def _check_webp_header(data: bytes, settings: ServiceSettings, label: str) -> None:
    """Judge canvas and animation flag of a WebP from its first chunk (RFC 9649, section 2)."""
    chunk, body = data[12:16], data[20:30]
    if len(body) < 10:
        raise _damaged(label, "WEBP", "the file ends within its header")
    if chunk == b"VP8X":
        width = 1 + int.from_bytes(body[4:7], "little")
        height = 1 + int.from_bytes(body[7:10], "little")
    elif chunk == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack("<HH", body[6:10]))
    elif chunk == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        raise _damaged(label, "WEBP", f"unknown first chunk {chunk!r}")
    _check_dimensions(width, height, settings, label)
    if chunk == b"VP8X" and body[0] & 0b10:
        raise _animated(label, "an animated WebP")


def _animated(label: str, what: str) -> Problem:
    return Problem(
        ANIMATED_PICTURE, f"{label} is animated ({what}); expected one frame. Send a still picture."
    )


def _damaged(label: str, kind: str | None, reason: Exception | str) -> Problem:
    return Problem(
        DAMAGED_PICTURE,
        f"{label} begins like a {kind} but cannot be decoded: it is truncated or damaged "
        f"({str(reason)[:200]}). Send the whole file.",
    )


def _turn_upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; unreadable EXIF counts as none, as in browsers."""
    try:
        orientation = image.getexif().get(EXIF_ORIENTATION)
    except Exception:  # a broken tag must not cost the picture
        return image
    method = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if method is None else image.transpose(method)


def _to_rgb(image: Image.Image) -> Image.Image:
    """RGB on white; 16-bit samples keep their high byte, for grey as for color."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        return _sixteen_bit_grey_to_rgb(image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _sixteen_bit_grey_to_rgb(image: Image.Image) -> Image.Image:
    """Scale 0..65535 to 0..255; Pillow's own conversion would clip at 255."""
    samples = np.asarray(image).astype(np.uint16)
    transparent: Any = image.info.get("transparency")
    grey = (samples >> 8).astype(np.uint8)
    if isinstance(transparent, int):
        grey[samples == transparent] = 255
    return Image.fromarray(grey).convert("RGB")
