"""Options of both kinds of training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataArgument = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Data set in any layout of docs/data.md, or a folder of its training pictures.",
    ),
]
RunOption = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="RUN", help="Run folder: state, grids, TensorBoard, checkpoint."
    ),
]
IterationsOption = Annotated[
    int | None,
    typer.Option(min=1, help="Length; warm-ups and milestones of the full schedule move along."),
]
BatchOption = Annotated[
    int | None,
    typer.Option("--batch-size", min=2, help="Pictures a batch, of all processes together."),
]
SeedOption = Annotated[int, typer.Option(min=0, help="Of weights, order and augmentation.")]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Carry on from the run folder's last saved state.")
]
LogOption = Annotated[int, typer.Option(min=1, help="Iterations between logged losses.")]
SaveOption = Annotated[int, typer.Option(min=1, help="Iterations between saved states.")]
KeepOption = Annotated[int, typer.Option(min=1, help="Saved states to keep, the newest ones.")]
ValidateOption = Annotated[
    Path | None,
    typer.Option(
        metavar="HELD_OUT",
        help="Data set with query and gallery of other people, searched at every saved state; the "
        "checkpoint with the highest mAP is kept in RUN/best.",
    ),
]
AccumulateOption = Annotated[
    int | None,
    typer.Option(min=1, help="Equal micro-batches that a step is computed in, to save memory."),
]
RecomputeOption = Annotated[
    bool,
    typer.Option(
        "--checkpoint-activations",
        help="Compute activations again instead of keeping them: far less memory, more time.",
    ),
]
CompileOption = Annotated[
    bool, typer.Option("--compile", help="Compile the networks with torch.compile.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any other field of the network or the schedule; repeat for more.",
    ),
]
DataNameOption = Annotated[
    str | None, typer.Option(help="Name of the data set in the model card; the folder's if absent.")
]
DataLicenseOption = Annotated[
    str, typer.Option(help="License of the pictures, for the model card.")
]
