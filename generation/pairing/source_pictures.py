"""Reads one real picture of a job, and says what it read.

A broken picture is skipped and reported; one that is gone, or whose storage fails, is not: leaving
it out would change the data set.

Legend: H x W pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from dgnet.arrays import Pixels
from dgnet.generation.pairing.listing import Listing, require_source
from dgnet.pictures import PictureRefused, open_picture, read_file


class Unreadable(Exception):
    """A picture is broken; the message names it and says how."""


@dataclass(frozen=True)
class SourcePicture:
    """A picture that was read."""

    pixels: Pixels  # (H, W, 3)
    sha256: str
    """Of the file."""


def read_source(
    listing: Listing,
    path: str,
    *,
    height: int,
    width: int,
    note: Callable[[str, int], None] = lambda sha256, size_bytes: None,
) -> SourcePicture:
    """The picture at a path of the listing; `note` hears its sha256 and size, also if broken.

    Raises:
        Unreadable: It is there, and broken.
        GenerationError: It is gone or out of reach.
    """
    try:
        data = read_file(listing.root / path)
        sha256 = hashlib.sha256(data).hexdigest()
        note(sha256, len(data))
        return SourcePicture(open_picture(data).prepare(width=width, height=height).pixels, sha256)
    except (PictureRefused, OSError) as error:
        require_source(listing, path, error)
        words = f"{path}: not a readable picture ({error})"
        raise Unreadable(words.replace(f"{listing.root}/", "")) from error
