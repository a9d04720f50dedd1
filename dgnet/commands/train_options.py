"""Options of every kind of training, as one value that a command takes beside its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from dgnet.commands.options import (
    DeviceOption,
    DistractorsOption,
    JunkOption,
    LayoutOption,
    PatternOption,
    PrecisionOption,
)

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
MinutesOption = Annotated[
    float | None,
    typer.Option(
        min=0.01,
        help="Go through the schedule in so many minutes, in as many iterations as fit; "
        "--iterations then says how many it is written for.",
    ),
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
GridOption = Annotated[int, typer.Option(min=1, help="Iterations between grids.")]
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

Command = Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class SharedOptions:
    """What the commands of `dgnet train` take, in the order of their help."""

    data: DataArgument
    output: RunOption
    iterations: IterationsOption = None
    minutes: MinutesOption = None
    batch_size: BatchOption = None
    seed: SeedOption = 0
    device: DeviceOption = "auto"
    precision: PrecisionOption = "auto"
    accumulate: AccumulateOption = None
    checkpoint_activations: RecomputeOption = False
    compiled: CompileOption = False
    resume: ResumeOption = False
    validate: ValidateOption = None
    keep: KeepOption = 2
    log_every: LogOption = 10
    grid_every: GridOption = 500
    checkpoint_every: SaveOption = 500
    settings: SetOption = None
    layout: LayoutOption = None
    pattern: PatternOption = None
    junk: JunkOption = None
    distractors: DistractorsOption = None
    data_name: DataNameOption = None
    data_license: DataLicenseOption = "not stated"


def takes_options(
    *, without: Collection[str] = (), defaults: Mapping[str, object] | None = None
) -> Callable[[Command], Command]:
    """Make a command of a function that takes `SharedOptions` and a dataclass of its own options.

    On the command line the shared ones stand around its own, those that must be given first; some
    may be left out (`without`) and keep their defaults, or have other `defaults`. Typer knows no
    groups of options, so the signature that it reads is made here.
    """

    def taking(command: Command) -> Command:
        own_group = list(signature(command, eval_str=True).parameters.values())[1].annotation
        own = _options_of(own_group)
        shared = [
            option.replace(default=(defaults or {}).get(option.name, option.default))
            for option in _options_of(SharedOptions)
            if option.name not in without
        ]

        @wraps(command)
        def called(**given: Any) -> None:
            command(
                SharedOptions(**{option.name: given[option.name] for option in shared}),
                own_group(**{option.name: given[option.name] for option in own}),
            )

        required = [option for option in shared if option.default is Parameter.empty]
        others = [option for option in shared if option.default is not Parameter.empty]
        called.__signature__ = Signature(  # pyright: ignore[reportAttributeAccessIssue]
            [*required, *own, *others]
        )
        return called

    return taking


def _options_of(group: type) -> list[Parameter]:
    return list(signature(group, eval_str=True).parameters.values())
