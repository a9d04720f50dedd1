"""`dgnet train judge`: a network that judges composites and had no part in making them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from dgnet.commands.failures import CommandError, InputError, needs_extra
from dgnet.commands.interruption import sigterm_interrupts
from dgnet.commands.options import LayoutOption, PatternOption, PrecisionOption
from dgnet.commands.train_options import (
    DataArgument,
    DataLicenseOption,
    DataNameOption,
    LogOption,
    ResumeOption,
    RunOption,
    SaveOption,
    SeedOption,
)


def train_judge_command(
    data: DataArgument,
    output: RunOption,
    iterations: Annotated[
        int, typer.Option(min=1, help="Batches of 12 persons, 4 pictures of each.")
    ] = 12000,
    seed: SeedOption = 0,
    precision: PrecisionOption = "auto",
    resume: ResumeOption = False,
    log_every: LogOption = 50,
    checkpoint_every: SaveOption = 250,
    layout: LayoutOption = None,
    pattern: PatternOption = None,
    data_name: DataNameOption = None,
    data_license: DataLicenseOption = "not stated",
) -> None:
    """Train a judge of composites, on the CPU, on pictures that no generator learns from."""
    with needs_extra("train"):
        import torch

        from dgnet.model.checkpoints import CheckpointError
        from dgnet.model.data.layouts import read_dataset
        from dgnet.model.devices import autocast_dtype
        from dgnet.model.judge.checkpoint import save_judge
        from dgnet.model.judge.network import JudgeConfig
        from dgnet.model.judge.training import JudgeTrainingConfig, train_judge
        from dgnet.model.training.run import RunOptions, TrainingDiverged
        from dgnet.model.training.state import saved_iterations

    torch.set_flush_denormal(True)  # far faster where values are too small for normal numbers
    plain = JudgeTrainingConfig()
    coarse = plain.coarse_iterations * iterations // plain.iterations
    config = JudgeTrainingConfig(iterations=iterations, coarse_iterations=coarse, seed=seed)
    options = RunOptions(
        directory=output,
        log_every=log_every,
        checkpoint_every=checkpoint_every,
        resume=resume,
        progress=sys.stderr.isatty(),
    )
    try:
        dataset = read_dataset(data, layout, pattern)
        pictures = dataset.split("train")
        autocast = autocast_dtype(precision, torch.device("cpu"))
        with sigterm_interrupts():
            judge = train_judge(JudgeConfig(), config, pictures, options, autocast=autocast)
    except (CheckpointError, ValueError) as error:
        raise InputError(str(error)) from error
    except TrainingDiverged as error:
        raise CommandError(str(error)) from error
    except KeyboardInterrupt:
        done = saved_iterations(output)
        raise CommandError(
            f"training in {output} was interrupted; the state after iteration {done} is kept: run "
            "the same command with --resume"
        ) from None
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
    folder = output / "checkpoint"
    version = save_judge(folder, judge, card=card)
    typer.echo(f"wrote {folder} (version {version})")
