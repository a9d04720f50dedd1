"""Formats of pictures and arrays, by the names that HTTP has for them."""

from __future__ import annotations

from typing import Final

NPY_MEDIA_TYPE: Final = "application/x-npy"
COMPOSITE_MEDIA_TYPES: Final = ("image/png", "image/jpeg", "image/webp", NPY_MEDIA_TYPE)
