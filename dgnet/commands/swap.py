"""`dgnet swap`: the clothes of some pictures on the pose and scene of others.

One picture of each kind gives one composite; more give a grid with a row for every appearance and a
column for every structure, or one of all appearances where they show one person; the clothes below
the waist may be somebody else's. Computed here with every code computed once, or asked from a
server.

Legend: N appearances, M structures, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from dgnet.arrays import Pixels
from dgnet.commands.failures import InputError
from dgnet.commands.options import (
    ApiKeyOption,
    CheckpointOption,
    DeviceOption,
    Precision,
    PrecisionOption,
    SceneOption,
    ServerOption,
)
from dgnet.commands.outputs import picture_format, write_picture
from dgnet.commands.pictures import find_pictures, read_pictures
from dgnet.commands.progress import track
from dgnet.jobs.contract import Scene

MOST_OF_ONE_PERSON = 16
"""Pictures whose cells lie end to end in one code; more would hardly show anything new."""


def swap(
    appearance: Annotated[
        list[Path],
        typer.Option(help="Picture or folder that gives the clothes. May be repeated."),
    ],
    structure: Annotated[
        list[Path],
        typer.Option(help="Picture or folder that gives pose and scene. May be repeated."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Picture to write: .png, .jpg or .webp.")
    ],
    interpolate: Annotated[
        int | None,
        typer.Option(min=2, help="Steps from the first to the second of two appearances."),
    ] = None,
    same_person: Annotated[
        bool,
        typer.Option(
            "--same-person",
            help="All appearances show one person in the same clothes: each composite takes from "
            "all of them what they show.",
        ),
    ] = False,
    lower: Annotated[
        Path | None,
        typer.Option(
            metavar="PICTURE",
            help="Who gives the clothes below the waist; --appearance gives those above.",
        ),
    ] = None,
    scene: SceneOption = None,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
) -> None:
    """Put the clothes of one picture on the pose and scene of another."""
    picture_format(output)
    appearances, structures = find_pictures(appearance), find_pictures(structure)
    if interpolate is not None and len(appearances) != 2:
        raise InputError(
            f"--interpolate goes between two appearances, {len(appearances)} were given: "
            "repeat --appearance, or leave --interpolate out"
        )
    alone = {"--same-person": same_person, "--lower": lower is not None}
    given = [option for option, on in alone.items() if on]
    if given and interpolate is not None:
        raise InputError(f"--interpolate goes between two persons: leave {given[0]} out")
    if same_person and len(appearances) > MOST_OF_ONE_PERSON:
        raise InputError(
            f"{len(appearances)} appearances of one person; at most {MOST_OF_ONE_PERSON} are taken"
        )
    if server is not None:
        if interpolate is not None:
            given = ["--interpolate"]
        if given:
            raise InputError(f"{given[0]} works on this machine only: leave --server out")
        sheet = swap_on_server(appearances, structures, scene=scene, server=server, api_key=api_key)
    else:
        sheet = swap_here(
            appearances,
            structures,
            interpolate=interpolate,
            same_person=same_person,
            lower=lower,
            scene=scene,
            checkpoint=checkpoint,
            device=device,
            precision=precision,
        )
    write_picture(output, sheet)
    typer.echo(f"wrote {output} ({sheet.shape[1]} x {sheet.shape[0]} pixels)")


def swap_here(
    appearances: Sequence[Path],
    structures: Sequence[Path],
    *,
    interpolate: int | None,
    same_person: bool,
    lower: Path | None,
    scene: Scene | None,
    checkpoint: Path | None,
    device: str,
    precision: Precision,
) -> Pixels:
    """The composite or the grid, computed on this machine; every code is computed once."""
    from dgnet.commands.local import load_predictor

    predictor = load_predictor(checkpoint, device=device, precision=precision, scene=scene)
    from dgnet.model.predictor import rows_named

    height, width = predictor.height, predictor.width
    # All pictures are read before anything is computed: a bad one is told at once.
    appearance_images = read_pictures(appearances, height=height, width=width)
    structure_images = read_pictures(structures, height=height, width=width)
    styles = predictor.appearance_styles(appearance_images)
    if same_person:
        styles = predictor.join_appearances(styles, [len(appearances)])
        appearances, appearance_images = appearances[:1], appearance_images[:1]
    lower_style = None
    if lower is not None:
        pixels = read_pictures([lower], height=height, width=width)
        lower_style = predictor.appearance_styles(pixels)[[0] * len(structures)]
    structure_codes = predictor.structure_codes(structure_images)
    columns = len(structures)
    if interpolate is None:
        rows: list[Pixels] = []
        for row in track(range(len(appearances)), "Swapping"):
            with rows_named(lambda row=row: [f"{appearances[row]} on {x}" for x in structures]):
                worn = styles[[row] * columns]
                if lower_style is None:
                    rows.append(predictor.compose(worn, structure_codes))
                else:
                    rows.append(predictor.compose_halves(worn, lower_style, structure_codes))
        composites = np.stack(rows)
        return as_sheet(appearance_images, structure_images, composites)
    first, second = styles[[0] * columns], styles[[1] * columns]
    shares = [step / (interpolate - 1) for step in range(interpolate)]
    steps: list[Pixels] = []
    for share in track(shares, "Interpolating"):
        with rows_named(lambda: [f"a mixture on {structure}" for structure in structures]):
            steps.append(predictor.interpolate(first, second, [share] * columns, structure_codes))
    composites = np.stack(steps)
    # Only the two ends of the walk have a picture to stand beside them.
    beside = np.full((interpolate, *appearance_images.shape[1:]), 255, np.uint8)
    beside[[0, -1]] = appearance_images
    return as_sheet(beside, structure_images, composites)


def swap_on_server(
    appearances: Sequence[Path],
    structures: Sequence[Path],
    *,
    scene: Scene | None,
    server: str,
    api_key: str | None,
) -> Pixels:
    """The composite or the grid, every composite asked from a server."""
    from dgnet.commands.remote import decode_composite, swap_pairs

    pairs = [(appearance, structure) for appearance in appearances for structure in structures]
    files = swap_pairs(pairs, scene=scene, server=server, api_key=api_key)
    composites = np.stack([decode_composite(file) for file in files])
    height, width = composites.shape[1:3]
    return as_sheet(
        read_pictures(appearances, height=height, width=width),
        read_pictures(structures, height=height, width=width),
        composites.reshape(len(appearances), len(structures), height, width, 3),
    )


def as_sheet(appearances: Pixels, structures: Pixels, composites: Pixels) -> Pixels:
    """The composite alone if there is one; else the grid with its sources around it.

    appearances (N, H, W, 3), structures (M, H, W, 3), composites (N, M, H, W, 3).
    """
    if composites.shape[:2] == (1, 1):
        return composites[0, 0]
    from dgnet.model.evaluation.sheets.grids import swap_grid

    return np.asarray(swap_grid(appearances, structures, composites, scale=1))
