"""The contact sheet: some composites, each behind its appearance and its structure.

Legend: H x W pixels.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from dgnet.generation.output.packing import read_packed
from dgnet.generation.output.sources import SeenSources
from dgnet.generation.pairing.listing import Listing
from dgnet.generation.pairing.source_pictures import Unreadable, read_source
from dgnet.jobs.generation.manifest import Row
from dgnet.pictures import open_picture

SHOWN = 32
"""Composites, spread evenly over the plan."""

ACROSS = 4
GAP_PIXELS = 6


def sheet(
    rows: list[Row], listing: Listing, directory: Path, sources: SeenSources
) -> tuple[Image.Image | None, dict[str, str]]:
    """Appearance, structure, composite of each row, `ACROSS` of them a line, on white; and which
    sources cannot be read any more, and why.

    None of the rows was dropped. Rows whose sources are not any more what the composite was made of
    are left out: None if no row is left.
    """
    triples: list[Image.Image] = []
    unreadable: dict[str, str] = {}
    for row in rows:
        triple = _triple(row, listing, directory, sources, unreadable)
        if triple is not None:
            triples.append(triple)
    return (_laid_out(triples) if triples else None), unreadable


def _laid_out(triples: list[Image.Image]) -> Image.Image:
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


def _triple(
    row: Row,
    listing: Listing,
    directory: Path,
    sources: SeenSources,
    unreadable: dict[str, str],
) -> Image.Image | None:
    assert row.written is not None
    composite = open_picture(read_packed(directory, row.written.file)).rgb()
    width, height = composite.size
    triple = Image.new("RGB", (3 * width, height), "white")
    for place, path in enumerate((row.appearance.path, row.structure.path)):
        try:
            real = read_source(listing, path, height=height, width=width)
        except Unreadable as error:
            unreadable[path] = str(error)
            return None
        if not sources.is_as_before(path, real.sha256):
            return None
        triple.paste(Image.fromarray(real.pixels), (place * width, 0))
    triple.paste(composite, (2 * width, 0))
    return triple
