"""`dgnet swap`: the clothes of some pictures on the pose and scene of others.

One picture of each kind gives one composite; more give a grid with a row for every appearance and a
column for every structure, or one of all appearances where they show one person; the clothes below
the waist may be somebody else's. Computed here with every code computed once, or asked from a
server.

Legend: N appearances, M structures, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from dgnet.arrays import Pixels
from dgnet.commands.failures import InputError
from dgnet.commands.options import (
    ApiKeyOption,
    CheckpointOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    OverwriteOption,
    Precision,
    PrecisionOption,
    SceneOption,
    ServerOption,
    require_server,
)
from dgnet.commands.outputs import picture_format, write_picture
from dgnet.commands.pictures import find_pictures, read_pictures
from dgnet.commands.progress import track
from dgnet.commands.talk import answer, say
from dgnet.jobs.contract import Scene
from dgnet.jobs.generation.spec import PictureFormat

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
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            help="Picture to write (.png, .jpg or .webp), of several composites a grid; or a "
            "folder, for a file of each.",
        ),
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
    picture_format_of_folder: Annotated[
        PictureFormat | None,
        typer.Option("--format", help="Of the files of a folder; png if absent."),
    ] = None,
    overwrite: OverwriteOption = False,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    model: ModelOption = None,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Put the clothes of one picture on the pose and scene of another.

    Several of each give every combination. What is there already is not overwritten unless
    --overwrite says so.
    """
    into_folder = output.is_dir() or not output.suffix
    if not into_folder:
        picture_format(output)
        if picture_format_of_folder is not None:
            raise InputError("--format is for the files of a folder: the name of a file says it")
    require_server(server, model)
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
    rows = row_names(appearances, interpolate=interpolate, same_person=same_person)
    if into_folder:
        ending = picture_format_of_folder or "png"
        targets = [output / f"{row}_on_{x.stem}.{ending}" for row in rows for x in structures]
    else:
        targets = [output]
    refuse_to_overwrite(targets, overwrite=overwrite)
    if server is not None:
        if given:
            raise InputError(f"{given[0]} works on this machine only: leave --server out")
        swapped = swap_on_server(
            appearances,
            structures,
            interpolate=interpolate,
            scene=scene,
            model=model,
            server=server,
            api_key=api_key,
        )
    else:
        swapped = swap_here(
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
    pictures = swapped.singles() if into_folder else [swapped.sheet()]
    for target, picture in zip(targets, pictures, strict=True):
        write_picture(target, picture)
    height, width = pictures[0].shape[:2]
    if as_json:
        answer({"files": targets, "height": height, "width": width})
    elif into_folder:
        say(f"wrote {len(targets)} pictures into {output} ({width} x {height} pixels)")
    else:
        say(f"wrote {output} ({width} x {height} pixels)")


@dataclass(frozen=True, kw_only=True)
class Swapped:
    """Composites (N, M, H, W, 3) and what stands beside them in a grid, (N, H, W, 3) and
    (M, H, W, 3).
    """

    appearances: Pixels
    structures: Pixels
    composites: Pixels

    def singles(self) -> list[Pixels]:
        """One after the other, row by row."""
        return [composite for row in self.composites for composite in row]

    def sheet(self) -> Pixels:
        """The composite alone if there is one; else the grid with its sources around it."""
        if self.composites.shape[:2] == (1, 1):
            return self.composites[0, 0]
        from dgnet.model.evaluation.sheets.grids import swap_grid

        grid = swap_grid(self.appearances, self.structures, self.composites, scale=1)
        return np.asarray(grid)


def row_names(
    appearances: Sequence[Path], *, interpolate: int | None, same_person: bool
) -> list[str]:
    """How files call the rows of a grid; InputError where two would have one name."""
    names = [path.stem for path in appearances]
    if same_person:
        return names[:1]
    if interpolate is not None:
        return [f"{names[0]}_to_{names[1]}_{step + 1:02}" for step in range(interpolate)]
    return names


def refuse_to_overwrite(targets: Sequence[Path], *, overwrite: bool) -> None:
    """Before any work is done."""
    if len(set(targets)) != len(targets):
        twice = next(target for target in targets if targets.count(target) > 1)
        raise InputError(
            f"two composites would be called {twice.name}: give pictures of different names, or "
            "write a grid into one file"
        )
    there = [target for target in targets if target.exists()]
    if there and not overwrite:
        more = f" and {len(there) - 1} more are" if len(there) > 1 else " is"
        raise InputError(f"{there[0]}{more} there already: choose another name, or --overwrite")


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
) -> Swapped:
    """All composites, computed on this machine; every code is computed once."""
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
        return Swapped(
            appearances=appearance_images, structures=structure_images, composites=composites
        )
    first, second = styles[[0] * columns], styles[[1] * columns]
    shares = [step / (interpolate - 1) for step in range(interpolate)]
    steps: list[Pixels] = []
    for share in track(shares, "Interpolating"):
        with rows_named(lambda: [f"a mixture on {structure}" for structure in structures]):
            steps.append(predictor.interpolate(first, second, [share] * columns, structure_codes))
    composites = np.stack(steps)
    beside = beside_walk(appearance_images, interpolate)
    return Swapped(appearances=beside, structures=structure_images, composites=composites)


def beside_walk(appearance_images: Pixels, steps: int) -> Pixels:
    """What stands beside the composites of a walk, (steps, H, W, 3): only its two ends have a
    picture, of `appearance_images` (2, H, W, 3).
    """
    beside = np.full((steps, *appearance_images.shape[1:]), 255, np.uint8)
    beside[[0, -1]] = appearance_images
    return beside


def swap_on_server(
    appearances: Sequence[Path],
    structures: Sequence[Path],
    *,
    interpolate: int | None,
    scene: Scene | None,
    model: str | None,
    server: str,
    api_key: str | None,
) -> Swapped:
    """All composites, asked from a server."""
    from dgnet.commands import remote

    asked: dict[str, Any] = {"scene": scene, "model": model, "server": server, "api_key": api_key}
    if interpolate is None:
        composites = remote.swap_grid(appearances, structures, **asked)
    else:
        composites = remote.interpolate(appearances, structures, steps=interpolate, **asked)
    height, width = composites.shape[2:4]
    beside = read_pictures(appearances, height=height, width=width)
    return Swapped(
        appearances=beside if interpolate is None else beside_walk(beside, interpolate),
        structures=read_pictures(structures, height=height, width=width),
        composites=composites,
    )
