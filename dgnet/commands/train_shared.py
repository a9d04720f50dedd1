"""What the commands of `dgnet train` do alike: configure, read, run, report."""

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
from dgnet.model.config import BackboneName, ConfigError, NetworkConfig

if TYPE_CHECKING:
    from dgnet.model.checkpoints import Metadata
    from dgnet.model.data.layouts import DataSet
    from dgnet.model.training.config import JointConfig, TeacherConfig
    from dgnet.model.training.run import RunOptions
    from dgnet.model.training.training_run import TrainingRun
    from dgnet.model.training.workers import Workers

Config = TypeVar("Config", "JointConfig", "TeacherConfig")


def given(values: dict[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in values.items() if value is not None}


def scheduled(shared: SharedOptions, config: Config) -> Config:
    """The schedule with the length, the batches and the seed that were given."""
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


def require_imagenet(start: str, backbone: BackboneName) -> None:
    """Raise InputError where a run would start from weights that are not at hand."""
    if start == "imagenet" and backbone != "efficientnet_lite0":
        raise InputError(
            f"ImageNet weights are at hand for efficientnet_lite0, not for {backbone}: give "
            "--start scratch, or for joint training --start teacher"
        )


def training_run(
    shared: SharedOptions, network: NetworkConfig, dataset: DataSet | None = None
) -> TrainingRun:
    """Joins the other processes where torchrun started some, and reads the pictures if nobody
    has.
    """
    from dgnet.model.data.pairs import TrainingPictures
    from dgnet.model.devices import autocast_dtype, choose_device, kind_of
    from dgnet.model.training.execution import Execution
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
        flush_small_numbers()
    autocast = autocast_dtype(shared.precision, device)
    if execution.workers.is_first:
        arithmetic = "float32" if autocast is None else "bf16"
        typer.echo(f"dgnet: trains on {kind_of(device)} in {arithmetic}", err=True)
    dataset = dataset or read_pictures(shared, shared.data)
    pictures = TrainingPictures(
        dataset.split("train"),
        height=network.height,
        width=network.width,
        device=device,
        names=dataset.person_names,
    )
    validation = None
    if shared.validate is not None:
        validation = Validation(read_pictures(shared, shared.validate))
        for line in validation.warnings:
            typer.echo(f"dgnet: {shared.validate}: {line}", err=True)
    return TrainingRun(
        pictures=pictures,
        options=run_options(shared),
        device=device,
        autocast=autocast,
        data=data_card(shared, persons=len(pictures.persons), pictures=len(pictures)),
        execution=execution,
        validation=validation,
    )


def flush_small_numbers() -> None:
    """Training leaves values too small for normal numbers, which CPUs compute far slower."""
    import torch

    torch.set_flush_denormal(True)


def run_options(shared: SharedOptions) -> RunOptions:
    """Where a run goes, and how often it logs and saves."""
    from dgnet.model.training.run import RunOptions

    return RunOptions(
        directory=shared.output,
        minutes=shared.minutes,
        log_every=shared.log_every,
        grid_every=shared.grid_every,
        checkpoint_every=shared.checkpoint_every,
        keep=shared.keep,
        resume=shared.resume,
        progress=sys.stderr.isatty(),  # a bar for people, lines for log files
    )


def read_pictures(shared: SharedOptions, directory: Path) -> DataSet:
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


def data_card(shared: SharedOptions, *, persons: int, pictures: int) -> dict[str, Any]:
    """What a model card tells of the pictures."""
    return {
        "name": shared.data_name or shared.data.resolve().name,
        "persons": persons,
        "pictures": pictures,
        "license": shared.data_license,
    }


@contextmanager
def wrong_input() -> Generator[None]:
    """Data, checkpoints and settings that cannot be used are the user's to change."""
    try:
        yield
    except ValueError as error:
        raise InputError(str(error)) from error


@contextmanager
def interruptible(run: Path, workers: Workers | None = None) -> Generator[None]:
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
        if workers and not workers.is_first:  # one message is enough
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
