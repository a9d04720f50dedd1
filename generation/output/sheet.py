"""The contact sheet: some composites, each behind its appearance and its structure.

Legend: H x W pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from dgnet.generation.output.packing import read_packed
from dgnet.generation.pairing.listing import Listing
from dgnet.pictures import open_file, open_picture

Row = dict[str, Any]

SHOWN = 32
"""Composites, spread evenly over the plan."""

ACROSS = 4
GAP_PIXELS = 6


def sheet(rows: list[Row], listing: Listing, directory: Path) -> Image.Image:
    """Appearance, structure, composite of each row, `ACROSS` of them a line, on white."""
    triples = [_triple(row, listing, directory) for row in rows]
    width, height = triples[0].size
    across = min(ACROSS, len(triples))
    lines = -(-len(triples) // across)
    whole = Image.new(
        "RGB",
        (across * (width + GAP_PIXELS) + GAP_PIXELS, lines * (height + GAP_PIXELS) + GAP_PIXELS),
        "white",
    )
    for number, triple in enumerate(triples):
        line, column = divmod(number, across)
        left, top = column * (width + GAP_PIXELS), line * (height + GAP_PIXELS)
        whole.paste(triple, (GAP_PIXELS + left, GAP_PIXELS + top))
    return whole


def _triple(row: Row, listing: Listing, directory: Path) -> Image.Image:
    composite = open_picture(read_packed(directory, row["file"])).rgb()
    width, height = composite.size
    triple = Image.new("RGB", (3 * width, height), "white")
    for place, role in enumerate(("appearance", "structure")):
        real = open_file(listing.root / row[f"{role}_path"]).prepare(width=width, height=height)
        triple.paste(Image.fromarray(real.pixels), (place * width, 0))
    triple.paste(composite, (2 * width, 0))
    return triple
