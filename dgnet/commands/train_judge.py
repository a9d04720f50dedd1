"""`dgnet train judge`: a network that judges composites and had no part in making them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dgnet.commands.failures import CommandError, InputError, needs_extra
from dgnet.commands.interruption import sigterm_interrupts
from dgnet.commands.options import LayoutOption, PatternOption, PrecisionOption
from dgnet.commands.train_options import DataArgument, DataLicenseOption, DataNameOption, SeedOption


def train_judge_command(
    data: DataArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of the judge.")
    ],
    iterations: Annotated[
        int, typer.Option(min=1, help="Batches of 12 persons, 4 pictures of each.")
    ] = 2100,
    seed: SeedOption = 0,
    precision: PrecisionOption = "auto",
    layout: LayoutOption = None,
    pattern: PatternOption = None,
    data_name: DataNameOption = None,
    data_license: DataLicenseOption = "not stated",
) -> None:
    """Train a judge of composites, on the CPU, on pictures that no generator learns from."""
    with needs_extra("train"):
        import torch

        from dgnet.model.data.layouts import read_dataset
        from dgnet.model.devices import autocast_dtype
        from dgnet.model.judge.checkpoint import save_judge
        from dgnet.model.judge.network import JudgeConfig
        from dgnet.model.judge.training import JudgeTrainingConfig, train_judge

    torch.set_flush_denormal(True)  # far faster where values are too small for normal numbers
    network, config = (
        JudgeConfig(),
        JudgeTrainingConfig(
            iterations=iterations, coarse_iterations=5 * iterations // 7, seed=seed
        ),
    )

    def report(iteration: int, losses: dict[str, float]) -> None:
        shown = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
        typer.echo(f"{iteration}/{iterations}: {shown}", err=True)

    try:
        dataset = read_dataset(data, layout, pattern)
        pictures = dataset.split("train")
        autocast = autocast_dtype(precision, torch.device("cpu"))
        with sigterm_interrupts():
            judge = train_judge(network, config, pictures, autocast=autocast, report=report)
    except ValueError as error:
        raise InputError(str(error)) from error
    except KeyboardInterrupt:
        raise CommandError("training of the judge was interrupted; nothing was kept") from None
    for warning in dataset.warnings:
        typer.echo(f"dgnet: {data}: {warning}", err=True)
    card = {
        "training": {**config.to_json(), "precision": "fp32" if autocast is None else "bf16"},
        "data": {
            "name": data_name or data.resolve().name,
            "persons": len({picture.person_id for picture in pictures}),
            "pictures": len(pictures),
            "license": data_license,
        },
        "metrics": {},
    }
    version = save_judge(output, judge, card=card)
    typer.echo(f"wrote {output} (version {version})")
