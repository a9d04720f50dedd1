"""What `dgnet train teacher` and `dgnet train joint` do alike: configure, read, run, report."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from dgnet.commands.failures import CommandError, InputError
from dgnet.commands.interruption import sigterm_interrupts
from dgnet.commands.overrides import apply_overrides, split_overrides
from dgnet.commands.train_options import SharedOptions
from dgnet.model.config import ConfigError, NetworkConfig

if TYPE_CHECKING:
    from dgnet.model.checkpoints import Metadata
    from dgnet.model.data.layouts import DataSet
    from dgnet.model.training.config import JointConfig, TeacherConfig
    from dgnet.model.training.training_run import TrainingRun
    from dgnet.model.training.workers import Workers

Config = TypeVar("Config", "JointConfig", "TeacherConfig")


def given(values: dict[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in values.items() if value is not None}


def scheduled(shared: SharedOptions, config: Config) -> Config:
    """With the length, the batches and the seed that were given."""
    if shared.iterations is not None:
        config = config.scaled(shared.iterations)
    batches = {"batch_size": shared.batch_size, "accumulate": shared.accumulate}
    return replace(config, seed=shared.seed, **given(batches))


def overridden(
    shared: SharedOptions, network: NetworkConfig, config: Config, *, fixed: Sequence[str]
) -> tuple[NetworkConfig, Config]:
    """Both with what `--set` says; `fixed` fields cannot be set."""
    of_network, of_config = split_overrides(shared.settings or [], network, config, fixed=fixed)
    return apply_overrides(network, of_network), apply_overrides(config, of_config)


def training_run(shared: SharedOptions, network: NetworkConfig) -> TrainingRun:
    """Joins the other processes where torchrun started some, and reads the pictures."""
    import torch

    from dgnet.model.data.pairs import TrainingPictures
    from dgnet.model.devices import autocast_dtype, choose_device, kind_of
    from dgnet.model.training.execution import Execution
    from dgnet.model.training.run import RunOptions
    from dgnet.model.training.training_run import TrainingRun
    from dgnet.model.training.validation import Validation
    from dgnet.model.training.workers import launched_workers

    execution = Execution(
        recompute=shared.checkpoint_activations,
        compile_backend="inductor" if shared.compiled else None,
        workers=launched_workers(shared.device),
    )
    device = execution.workers.device or choose_device(shared.device)
    if device.type == "cpu":
        # Training leaves values too small for normal numbers, which CPUs compute far slower.
        torch.set_flush_denormal(True)
    autocast = autocast_dtype(shared.precision, device)
    if execution.workers.is_first:
        arithmetic = "float32" if autocast is None else "bf16"
        typer.echo(f"dgnet: trains on {kind_of(device)} in {arithmetic}", err=True)
    dataset = _read(shared, shared.data)
    pictures = TrainingPictures(
        dataset.split("train"),
        height=network.height,
        width=network.width,
        device=device,
        names=dataset.person_names,
    )
    validation = None
    if shared.validate is not None:
        validation = Validation(_read(shared, shared.validate))
        for line in validation.warnings:
            typer.echo(f"dgnet: {shared.validate}: {line}", err=True)
    return TrainingRun(
        pictures=pictures,
        options=RunOptions(
            directory=shared.output,
            log_every=shared.log_every,
            grid_every=shared.grid_every,
            checkpoint_every=shared.checkpoint_every,
            keep=shared.keep,
            resume=shared.resume,
            progress=sys.stderr.isatty(),  # a bar for people, lines for log files
        ),
        device=device,
        autocast=autocast,
        data={
            "name": shared.data_name or shared.data.resolve().name,
            "persons": len(pictures.persons),
            "pictures": len(pictures),
            "license": shared.data_license,
        },
        execution=execution,
        validation=validation,
    )


def _read(shared: SharedOptions, directory: Path) -> DataSet:
    """Reads, and says what there is to say."""
    from dgnet.model.data.layouts import read_dataset

    dataset = read_dataset(
        directory,
        shared.layout,
        shared.pattern,
        junk=shared.junk,
        distractors=shared.distractors,
    )
    for line in (*dataset.warnings, *dataset.notes):
        typer.echo(f"dgnet: {directory}: {line}", err=True)
    return dataset


@contextmanager
def wrong_input() -> Generator[None]:
    """Data, checkpoints and settings that cannot be used are the user's to change."""
    try:
        yield
    except ValueError as error:
        raise InputError(str(error)) from error


@contextmanager
def interruptible(run: Path, workers: Workers) -> Generator[None]:
    """SIGTERM and Ctrl-C end a run with what to do next; its last saved state stays."""
    from dgnet.model.checkpoints import CheckpointError
    from dgnet.model.data.picture import DatasetError
    from dgnet.model.training.execution import CompilationError
    from dgnet.model.training.run import TrainingDiverged
    from dgnet.model.training.state import saved_iterations
    from dgnet.model.training.workers import WorkerLost

    try:
        with sigterm_interrupts():
            yield
    except KeyboardInterrupt:
        if not workers.is_first:  # one message is enough
            raise typer.Exit(CommandError.exit_code) from None
        done = saved_iterations(run)
        next_step = (
            f"the state after iteration {done} is kept: run the same command with --resume"
            if done
            else "no state was saved yet: run the same command again"
        )
        raise CommandError(f"training in {run} was interrupted; {next_step}") from None
    except (CheckpointError, ConfigError, DatasetError) as error:
        raise InputError(str(error)) from error
    except (TrainingDiverged, WorkerLost, CompilationError) as error:
        raise CommandError(str(error)) from error


def say_done(run: TrainingRun, metadata: Metadata) -> None:
    """Once, whoever took part."""
    from dgnet.model.training.training_run import checkpoint_directory

    if run.workers.is_first:
        checkpoint = checkpoint_directory(run.options.directory)
        typer.echo(f"wrote {checkpoint} (version {metadata.model_version})")
