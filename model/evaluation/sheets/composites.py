"""One picture to judge a checkpoint by: true triples above, swaps of held-out people below.

Triples are spread over their folder, people drawn from a seed, so sheets of two checkpoints show
the same pictures.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dgnet.model.data.market1501 import QUERY_SPLIT, Picture, read_split
from dgnet.model.data.triples import read_triples
from dgnet.model.evaluation.composites.report import Swapper
from dgnet.model.evaluation.pictures import decode_pictures
from dgnet.model.evaluation.sheets.grids import swap_grid, triples_sheet
from dgnet.paths import local_path

TRIPLES = 12
PEOPLE = 6
"""Appearances down the left; as many other people across the top, where there are enough."""


def evaluation_sheet(
    predictor: Swapper, people_dir: str | Path, truth_dir: str | Path | None, *, seed: int = 0
) -> Image.Image:
    """Triples of `truth_dir`, where given, above a grid of people from `query` of `people_dir`."""
    grid = people_grid(predictor, read_split(local_path(people_dir) / QUERY_SPLIT), seed=seed)
    return grid if truth_dir is None else _stacked([truth_sheet(predictor, truth_dir), grid])


def truth_sheet(predictor: Swapper, truth_dir: str | Path) -> Image.Image:
    """Appearance, structure, composite and truth of triples spread evenly over the folder."""
    triples = read_triples(truth_dir)
    count = min(TRIPLES, len(triples))
    shown = [triples[len(triples) * index // count] for index in range(count)]
    appearances = decode_pictures([triple.appearance for triple in shown], predictor)
    structures = decode_pictures([triple.structure for triple in shown], predictor)
    truths = decode_pictures([triple.truth for triple in shown], predictor)
    return triples_sheet(appearances, structures, predictor.swap(appearances, structures), truths)


def people_grid(predictor: Swapper, pictures: Sequence[Picture], *, seed: int) -> Image.Image:
    """The clothes of some people on the structures of others, one picture of each person."""
    first = {
        picture.person_id: picture.path
        for picture in reversed(pictures)
        if not picture.is_junk and not picture.is_distractor
    }
    persons = np.random.Generator(np.random.PCG64(seed)).permutation(sorted(first))
    count = max(1, min(PEOPLE, len(persons) // 2))
    appearances = decode_pictures([first[person] for person in persons[:count]], predictor)
    structures = decode_pictures([first[person] for person in persons[-count:]], predictor)
    made = predictor.swap(
        np.repeat(appearances, count, axis=0), np.concatenate([structures] * count)
    )
    return swap_grid(appearances, structures, made.reshape(count, count, *made.shape[1:]))


def _stacked(sheets: Sequence[Image.Image]) -> Image.Image:
    """Sheets one below the other on white."""
    width = max(sheet.width for sheet in sheets)
    whole = Image.new("RGB", (width, sum(sheet.height for sheet in sheets)), (255, 255, 255))
    top = 0
    for sheet in sheets:
        whole.paste(sheet, (0, top))
        top += sheet.height
    return whole
