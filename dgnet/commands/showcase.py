"""What the demo makes with a running server: composite, grid, embeddings, augmented data set.

Everything is asked over HTTP; the pictures laid out for the eye go through the front end's own
resizing. The data set is a generation job in Market-1501 naming, so that Re-ID toolboxes read it
unchanged.

Legend: N pictures, D embedding values, H x W pixels.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import typer

from dgnet.arrays import Floats
from dgnet.commands import remote
from dgnet.commands.generate_remotely import JobServer, submit
from dgnet.commands.outputs import write_arrays, write_bytes, write_picture
from dgnet.commands.pictures import read_pictures, tile
from dgnet.commands.remote import decode_composite, embed_pictures, swap_pairs
from dgnet.model.data.market1501 import GALLERY_SPLIT, QUERY_SPLIT, Picture, read_split
from dgnet.model.evaluation.sheets.grids import swap_grid
from dgnet.samples import SAMPLE_PEOPLE

GRID_APPEARANCES: Final = (9, 10, 15, 17, 19)
GRID_STRUCTURES: Final = (11, 14, 16, 17, 21, 22)
EMBEDDED_PERSONS: Final = (9, 10, 15, 17, 19, 23)
PICTURES_PER_PERSON: Final = 4
SEED: Final = 20190416  # any; the pairs are the same in every run


def pictures_of(*splits: str) -> dict[int, list[Picture]]:
    """Sample pictures by person, in the order of their names."""
    people: dict[int, list[Picture]] = defaultdict(list)
    for split in splits:
        for picture in read_split(SAMPLE_PEOPLE / split):
            people[picture.person_id].append(picture)
    return people


def write_composite(folder: Path, server: str) -> None:
    """One composite, and beside it what it was made of."""
    queries = pictures_of(QUERY_SPLIT)
    appearance, structure = (
        queries[GRID_APPEARANCES[0]][0].path,
        queries[GRID_STRUCTURES[0]][0].path,
    )
    (file,) = swap_pairs([(appearance, structure)], server=server, api_key=None)
    write_bytes(folder / "composite.png", file)
    composite = decode_composite(file)
    height, width, _ = composite.shape
    sources = read_pictures([appearance, structure], height=height, width=width)
    strip = tile(np.stack([*sources, composite]), across=3)
    write_picture(folder / "appearance-structure-composite.png", strip)
    tell(folder / "composite.png", f"the clothes of {appearance.name} on {structure.name}")


def write_grid(folder: Path, server: str) -> None:
    """N x M composites: clothes down the side, poses along the top."""
    queries = pictures_of(QUERY_SPLIT)
    appearances = [queries[person][0].path for person in GRID_APPEARANCES]
    structures = [queries[person][-1].path for person in GRID_STRUCTURES]
    composites = remote.swap_grid(appearances, structures, server=server, api_key=None)
    height, width = composites.shape[2:4]
    sheet = swap_grid(
        read_pictures(appearances, height=height, width=width),
        read_pictures(structures, height=height, width=width),
        composites,
    )
    write_picture(folder / "swap-grid.png", np.asarray(sheet))
    tell(folder / "swap-grid.png", f"{len(appearances)} appearances x {len(structures)} structures")


def write_embeddings(folder: Path, server: str) -> None:
    """Embeddings of some persons, and a table of how alike persons are by them."""
    people = pictures_of(QUERY_SPLIT, GALLERY_SPLIT)
    chosen = [
        picture for person in EMBEDDED_PERSONS for picture in people[person][:PICTURES_PER_PERSON]
    ]
    paths = [picture.path for picture in chosen]
    embeddings, model_version = embed_pictures(paths, server=server, api_key=None)
    write_arrays(
        folder / "embeddings.npz",
        paths=np.array([path.relative_to(SAMPLE_PEOPLE).as_posix() for path in paths]),
        person_ids=np.array([picture.person_id for picture in chosen]),
        embeddings=embeddings,
        model_version=np.array(model_version),
    )
    table = similarity_table(embeddings, [picture.person_id for picture in chosen])
    write_bytes(folder / "similarities.txt", table.encode())
    count, size = embeddings.shape
    tell(folder / "embeddings.npz", f"{count} x {size} values")
    tell(folder / "similarities.txt", "mean similarity of persons:\n" + table)


def similarity_table(embeddings: Floats, person_ids: Sequence[int]) -> str:
    """Mean dot product of the pictures of every two persons, no picture with itself.

    embeddings (N, D) of unit length; every person has at least two pictures.
    """
    similarity = embeddings @ embeddings.T  # (N, N)
    np.fill_diagonal(similarity, np.nan)
    ids = np.array(person_ids)
    persons = sorted(set(person_ids))
    lines = ["person " + "".join(f"{person:>8}" for person in persons)]
    for person in persons:
        means = [np.nanmean(similarity[np.ix_(ids == person, ids == other)]) for other in persons]
        lines.append(f"{person:>6} " + "".join(f"{mean:8.2f}" for mean in means))
    return "\n".join(lines) + "\n"


def write_dataset(folder: Path, server: str, *, count: int) -> None:
    """A labeled data set of the sample people, made by the server as a generation job."""
    # An earlier run's is not to be mixed with it.
    shutil.rmtree(folder, ignore_errors=True)
    submit(
        JobServer(url=server, api_key=None),
        {"count": count, "seed": SEED},
        where="the spec of the demo",
        data=SAMPLE_PEOPLE,
        dataset=None,
        output=str(folder),
        follow=True,
    )
    tell(folder, "the set with manifest, data card and contact sheet (sheet.png)")


def tell(path: Path, what: str) -> None:
    """One line about what was written."""
    typer.echo(f"wrote {path}: {what}")
