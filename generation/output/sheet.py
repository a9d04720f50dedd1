"""The contact sheet: some composites, each behind its appearance and its structure.

Legend: H x W pixels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dgnet.arrays import Pixels
from dgnet.generation.output.sources import SeenSources
from dgnet.generation.pairing.listing import Listing
from dgnet.generation.pairing.source_pictures import Unreadable, read_source
from dgnet.jobs.generation.manifest import Row
from dgnet.jobs.generation.packed import read_packed
from dgnet.pictures import open_picture
from dgnet.pictures.sheets import grid, lines

SHOWN = 32
"""Composites, spread evenly over the plan."""

ACROSS = 4
GAP_PIXELS = 6


def sheet(
    rows: list[Row], listing: Listing, directory: Path, sources: SeenSources
) -> tuple[Pixels | None, dict[str, str]]:
    """Appearance, structure, composite of each row, `ACROSS` of them a line, on white; and which
    sources cannot be read any more, and why.

    None of the rows was dropped. Rows whose sources are not any more what the composite was made of
    are left out: None if no row is left.
    """
    triples: list[Pixels] = []
    unreadable: dict[str, str] = {}
    for row in rows:
        triple = _triple(row, listing, directory, sources, unreadable)
        if triple is not None:
            triples.append(triple)
    if not triples:
        return None, unreadable
    rows_of_triples = lines(triples, across=min(ACROSS, len(triples)))
    return grid(rows_of_triples, gap=GAP_PIXELS, margin=GAP_PIXELS), unreadable


def _triple(
    row: Row,
    listing: Listing,
    directory: Path,
    sources: SeenSources,
    unreadable: dict[str, str],
) -> Pixels | None:
    assert row.written is not None
    composite = np.asarray(open_picture(read_packed(directory, row.written.file)).rgb())
    height, width, _ = composite.shape
    shown: list[Pixels] = []
    for path in (row.appearance.path, row.structure.path):
        try:
            real = read_source(listing, path, height=height, width=width)
        except Unreadable as error:
            unreadable[path] = str(error)
            return None
        if not sources.is_as_before(path, real.sha256):
            return None
        shown.append(real.pixels)
    return np.concatenate([*shown, composite], axis=1)
