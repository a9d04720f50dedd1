"""`dgnet people`: rendered data sets of people that never lived, and sheets to look at them."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dgnet.commands.failures import CommandError, InputError, needs_extra
from dgnet.commands.interruption import sigterm_interrupts
from dgnet.commands.outputs import picture_format, write_picture
from dgnet.commands.progress import progress_bar

if TYPE_CHECKING:
    from dgnet.people.writing.plan import RenderPlan

app = typer.Typer(no_args_is_help=True, help="Render people that never lived (CC0).")

Size = Literal["128x64", "256x128"]
CamerasOption = Annotated[int, typer.Option(min=1, max=9, help="Cameras of a world's network.")]
SeedOption = Annotated[
    int, typer.Option(min=0, help="Another seed, other people, places and cameras.")
]
RecipeOption = Annotated[
    Literal["2", "3"],
    typer.Option(
        help="2 made the weights and samples that ship; 3 has more patterns, bags and hair over "
        "clothes, and pictures as all kinds of cameras make and cut them."
    ),
]
SizeOption = Annotated[Size, typer.Option(help="Height x width in pixels.")]


@app.command("render")
def render(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="New or empty folder to write to.")
    ],
    people: Annotated[int, typer.Option(min=1, max=9999, help="Persons, numbered from 1.")] = 100,
    pictures: Annotated[int, typer.Option(min=1, help="Pictures of each person.")] = 16,
    size: SizeOption = "128x64",
    cameras: CamerasOption = 8,
    worlds: Annotated[
        int,
        typer.Option(
            min=1, max=11, help="Camera networks in other places, each with people of its own."
        ),
    ] = 1,
    seed: SeedOption = 0,
    splits: Annotated[
        Literal["market1501", "train"],
        typer.Option(help="Train, query and gallery by person; or all for training."),
    ] = "market1501",
    test_people: Annotated[
        int | None,
        typer.Option(min=1, help="How many of them are query and gallery; a fifth if absent."),
    ] = None,
    truth: Annotated[
        int, typer.Option("--truth", min=0, help="Triples of pictures with the true composite.")
    ] = 0,
    masks: Annotated[
        bool, typer.Option("--masks", help="Also write where each person is seen, as PNG.")
    ] = False,
    recipe: RecipeOption = "2",
    changed: Annotated[
        bool,
        typer.Option(
            "--changed",
            help="Also write, as PNG for each triple, what the change of clothes changed; recipe 3 "
            "always does.",
        ),
    ] = False,
    processes: Annotated[
        int | None, typer.Option(min=1, max=256, help="How many render; one for each core.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Carry on with a set that was interrupted.")
    ] = False,
) -> None:
    """Write a data set in the layout of Market-1501, with attributes and a data card.

    Equal options give equal bytes, with any number of processes and after any interruption.
    """
    with needs_extra("people"):
        from dgnet.people.writing.plan import PlanError, RenderPlan

    if test_people is None:
        test_people = 0 if splits == "train" else -(-people // 5)
    try:
        plan = RenderPlan(
            seed=seed,
            people=people,
            pictures=pictures,
            cameras=cameras,
            worlds=worlds,
            size=size,
            splits=splits,
            test_people=test_people,
            truths=truth,
            masks=masks,
            recipe=int(recipe),
            changed=changed,
        )
    except PlanError as error:
        raise InputError(str(error)) from error
    render_plan(plan, output, processes=processes, resume=resume)
    typer.echo(f"{output}: {people * pictures} pictures of {people} people, {truth} true triples")


def render_plan(
    plan: RenderPlan, output: Path, *, processes: int | None = None, resume: bool = False
) -> None:
    """Render a set, one process for each core if not told, with a bar."""
    with needs_extra("people"):
        from dgnet.people.assets import AssetError
        from dgnet.people.writing.run import ProcessLostError, RenderError, render_set

    count = processes if processes is not None else len(os.sched_getaffinity(0))
    with _interruptible(output), progress_bar() as bar:
        task = bar.add_task("pictures", total=None)
        try:
            render_set(
                plan,
                output,
                processes=count,
                resume=resume,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        except RenderError as error:
            raise InputError(str(error)) from error
        except (AssetError, ProcessLostError) as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{error}; once that is mended, carry on with --resume") from error


@app.command("sheet")
def sheet(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Picture to write.")
    ],
    kind: Annotated[
        Literal["mixed", "people", "swaps", "truths"],
        typer.Option(
            help="mixed: another person in each place; people: a row for each; swaps: the "
            "appearance of each row on the structure of each column; truths: a true composite in "
            "each column, below structure and appearance and above what the clothes changed."
        ),
    ] = "mixed",
    rows: Annotated[
        int, typer.Option(min=1, max=40, help="Rows; people of swaps; not of truths.")
    ] = 4,
    columns: Annotated[int, typer.Option(min=1, max=40, help="Columns; not of swaps.")] = 10,
    first: Annotated[int, typer.Option(min=1, help="First person.")] = 1,
    size: SizeOption = "128x64",
    cameras: CamerasOption = 8,
    seed: SeedOption = 0,
    recipe: RecipeOption = "2",
) -> None:
    """Draw a contact sheet of rendered people."""
    picture_format(output)
    with needs_extra("people"):
        from dgnet.people.assets import AssetError
        from dgnet.people.sheets import mixed_sheet, people_sheet, swap_sheet, truth_sheet
        from dgnet.people.world import World

    try:
        world = World(seed, cameras, int(recipe))
        persons = range(first, first + rows)
        match kind:
            case "mixed":
                pixels = mixed_sheet(world, first, rows, columns, size)
            case "people":
                pixels = people_sheet(world, persons, columns, size)
            case "swaps":
                pixels = swap_sheet(world, persons, size)
            case "truths":
                pixels = truth_sheet(world, first, columns, size)
    except AssetError as error:
        raise CommandError(str(error)) from error
    write_picture(output, pixels)


@contextmanager
def _interruptible(output: Path) -> Generator[None]:
    """SIGTERM and Ctrl-C end the command with how to carry on."""
    try:
        with sigterm_interrupts():
            yield
    except KeyboardInterrupt:
        raise CommandError(
            f"interrupted; what is done is kept: run it again with --resume to complete {output}"
        ) from None
