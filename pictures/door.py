"""Opens a picture: format, header and limits first, pixels only when they are asked for.

Threads and HTTP are left to the callers, and so is what to do about a PictureRefused. The content
decides what a picture is; what it is called plays no part.

Legend: H x W pixels.
"""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Registers the decoders; Pillow would otherwise look for them among all that it has.
from PIL import (
    BmpImagePlugin,  # noqa: F401  # pyright: ignore[reportUnusedImport]
    Image,
    JpegImagePlugin,  # noqa: F401  # pyright: ignore[reportUnusedImport]
    PngImagePlugin,  # noqa: F401  # pyright: ignore[reportUnusedImport]
    TiffImagePlugin,  # noqa: F401  # pyright: ignore[reportUnusedImport]
    WebPImagePlugin,  # noqa: F401  # pyright: ignore[reportUnusedImport]
)

from dgnet.arrays import Pixels
from dgnet.pictures.budget import FILE_BUDGET, PixelBudget
from dgnet.pictures.colors import to_rgb, turn_upright
from dgnet.pictures.formats import FORMATS, FormatName, describe, expected, sniff
from dgnet.pictures.headers import animated, header_size
from dgnet.pictures.limits import FILE_LIMITS, Limits
from dgnet.pictures.refusal import PictureRefused, damaged

_PNG_DEPTH_AT = 24
_CHUNK_BYTES = 2**24


@dataclass(frozen=True)
class PreparedPicture:
    """A picture of the size that was asked for, and the size it had when it stood upright."""

    pixels: Pixels  # (H, W, 3) RGB
    original_width: int
    original_height: int


@dataclass(frozen=True, slots=True)
class OpenedPicture:
    """A picture whose header passed every limit; nothing of it is decoded."""

    data: bytes
    kind: FormatName
    width: int
    height: int
    """As stored."""

    @property
    def pixel_count(self) -> int:
        return self.width * self.height

    def prepare(
        self, *, width: int, height: int, budget: PixelBudget = FILE_BUDGET
    ) -> PreparedPicture:
        """Upright RGB on white, resized (bicubic) only where the size differs."""
        with budget.taken(self.pixel_count):
            rgb = self._decode()
            original = rgb.size
            return PreparedPicture(np.asarray(resized(rgb, width=width, height=height)), *original)

    def upright_size(self, *, budget: PixelBudget = FILE_BUDGET) -> tuple[int, int]:
        """Width and height, after decoding all of it: whoever gets them has a whole picture."""
        with budget.taken(self.pixel_count):
            return self._decode().size

    def rgb(self, *, budget: PixelBudget = FILE_BUDGET) -> Image.Image:
        """Upright RGB on white at its own size, which is the caller's to bound."""
        with budget.taken(self.pixel_count):
            return self._decode()

    def _decode(self) -> Image.Image:
        try:
            with Image.open(io.BytesIO(self.data), formats=(self.kind,)) as image:
                # A JPEG may carry further pictures (phones add gain maps); the first one counts.
                if self.kind != "JPEG" and (frames := getattr(image, "n_frames", 1)) > 1:
                    raise animated(f"{frames} frames")
                if image.width * image.height > self.pixel_count:
                    raise damaged(self.kind, "it is larger than its header announces")
                image.load()
                bits = self.data[_PNG_DEPTH_AT] if self.kind == "PNG" else None
                upright = image if self.kind == "TIFF" else turn_upright(image)
                return to_rgb(upright, png_bits=bits)
        except (MemoryError, PictureRefused):
            raise
        except Exception as error:  # decoders raise anything at hostile bytes
            raise damaged(self.kind, error) from error


def resized(rgb: Image.Image, *, width: int, height: int) -> Image.Image:
    """At the size that is asked for, without keeping the aspect ratio; bicubic where it differs."""
    if rgb.size == (width, height):
        return rgb
    return rgb.resize((width, height), Image.Resampling.BICUBIC)


def open_picture(
    data: bytes, limits: Limits = FILE_LIMITS, formats: tuple[FormatName, ...] = FORMATS
) -> OpenedPicture:
    """Sniff the format and judge the header; PictureRefused says what is wrong."""
    _check_bytes(len(data), limits)
    kind = sniff(data)
    if kind is None or kind not in formats:
        raise PictureRefused("not-a-picture", f"is {describe(data)}; {expected(formats)}.")
    width, height = header_size(data, kind)
    if width * height > limits.pixels or max(width, height) > limits.side:
        raise PictureRefused(
            "dimensions",
            f"announces {width} x {height} pixels; at most {limits.pixels} pixels and "
            f"{limits.side} a side are accepted. Scale it down.",
        )
    return OpenedPicture(data, kind, width, height)


def open_file(path: str | Path, limits: Limits = FILE_LIMITS) -> OpenedPicture:
    """Open the picture of a file as `open_picture` does; OSError where it cannot be read."""
    return open_picture(read_file(path, limits), limits)


def read_file(path: str | Path, limits: Limits = FILE_LIMITS) -> bytes:
    """The bytes of a plain file; a pipe or device, which may never end, is refused unread."""
    # Opening a pipe would wait for somebody who writes. Python's own files take twice the time.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise PictureRefused("not-a-picture", "is no plain file; expected a picture.")
        _check_bytes(found.st_size, limits)
        data = os.read(descriptor, found.st_size + 1)
        while len(data) <= limits.size_bytes and (more := os.read(descriptor, _CHUNK_BYTES)):
            data += more
    finally:
        os.close(descriptor)
    _check_bytes(len(data), limits)
    return data


def _check_bytes(size: int, limits: Limits) -> None:
    if size > limits.size_bytes:
        raise PictureRefused(
            "too-large",
            f"has {size} bytes; at most {limits.size_bytes} are accepted. "
            "Make it smaller or compress it more.",
        )
