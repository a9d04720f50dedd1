"""`dgnet train`: the teacher on real pictures, then DG-Net with the teacher's labels.

Options name what most runs change; `--set` reaches every other field of the network and of the
schedule. A run folder holds everything of a run; the same command with `--resume` carries on.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dgnet.commands.failures import CommandError, InputError, needs_extra
from dgnet.commands.interruption import sigterm_interrupts
from dgnet.commands.options import (
    DeviceOption,
    DistractorsOption,
    JunkOption,
    LayoutOption,
    PatternOption,
    Precision,
    PrecisionOption,
)
from dgnet.commands.overrides import apply_overrides, split_overrides
from dgnet.commands.train_judge import train_judge_command
from dgnet.commands.train_options import (
    AccumulateOption,
    BatchOption,
    CompileOption,
    DataArgument,
    DataLicenseOption,
    DataNameOption,
    IterationsOption,
    KeepOption,
    LogOption,
    RecomputeOption,
    ResumeOption,
    RunOption,
    SaveOption,
    SeedOption,
    SetOption,
    ValidateOption,
)
from dgnet.model.config import BackboneName, ConfigError, NetworkConfig, PresetName, preset

if TYPE_CHECKING:
    import torch

    from dgnet.model.checkpoints import Metadata
    from dgnet.model.data.layouts import DataSet, LayoutName
    from dgnet.model.data.pairs import TrainingPictures
    from dgnet.model.training.execution import Execution
    from dgnet.model.training.validation import Validation
    from dgnet.model.training.workers import Workers

app = typer.Typer(no_args_is_help=True, help="Train on your own pictures.")

app.command("judge")(train_judge_command)


@app.command("teacher")
def train_teacher_command(
    data: DataArgument,
    output: RunOption,
    preset_name: Annotated[
        PresetName, typer.Option("--preset", help="Sizes of the networks.")
    ] = "small",
    backbone: Annotated[
        BackboneName | None, typer.Option(help="Feature extractor; the preset's if absent.")
    ] = None,
    height: Annotated[int | None, typer.Option(help="Pixels; the preset's if absent.")] = None,
    width: Annotated[int | None, typer.Option(help="Pixels; the preset's if absent.")] = None,
    start: Annotated[
        Literal["imagenet", "scratch"],
        typer.Option(help="Weights to start from; imagenet for efficientnet_lite0 only."),
    ] = "imagenet",
    pretrained: Annotated[
        Path | None,
        typer.Option(
            metavar="CHECKPOINT",
            help="Start from the backbone of this checkpoint's teacher instead, whatever "
            "identities it knows.",
        ),
    ] = None,
    iterations: IterationsOption = None,
    batch_size: BatchOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    accumulate: AccumulateOption = None,
    checkpoint_activations: RecomputeOption = False,
    compiled: CompileOption = False,
    resume: ResumeOption = False,
    validate: ValidateOption = None,
    keep: KeepOption = 2,
    log_every: LogOption = 10,
    checkpoint_every: SaveOption = 500,
    settings: SetOption = None,
    layout: LayoutOption = None,
    pattern: PatternOption = None,
    junk: JunkOption = None,
    distractors: DistractorsOption = None,
    data_name: DataNameOption = None,
    data_license: DataLicenseOption = "not stated",
) -> None:
    """Train the Re-ID baseline that will label generated pictures."""
    with needs_extra("train"):
        from dgnet.model.checkpoints import load_teacher
        from dgnet.model.training.config import TeacherConfig
        from dgnet.model.training.run import RunOptions
        from dgnet.model.training.teacher import (
            checkpoint_directory,
            require_same_backbone,
            train_teacher,
        )
    with _wrong_input():
        sizes = {"backbone": backbone, "height": height, "width": width}
        # The pictures, read below at these sizes, tell how many identities there are.
        network = preset(preset_name, identities=2, **_given(sizes))
        config = TeacherConfig()
        if iterations is not None:
            config = config.scaled(iterations)
        config = replace(
            config, seed=seed, **_given({"batch_size": batch_size, "accumulate": accumulate})
        )
        of_network, of_config = split_overrides(
            settings or [], network, config, fixed=("identities", "preset")
        )
        network = apply_overrides(network, of_network)
        config = apply_overrides(config, of_config)
        known = load_teacher(pretrained)[1] if pretrained else None
        if known:
            require_same_backbone(known.config, network)
        else:
            _require_imagenet(start, network.backbone)
        execution = _execution(device, checkpoint_activations, compiled)
        place, autocast = _device(execution.workers, device, precision)
        reading = Reading(layout=layout, pattern=pattern, junk=junk, distractors=distractors)
        pictures = _pictures(data, reading, network, place)
        validation = _validation(validate, reading)
        network = replace(network, identities=len(pictures.persons))
    options = RunOptions(
        directory=output,
        log_every=log_every,
        checkpoint_every=checkpoint_every,
        keep=keep,
        resume=resume,
        progress=_shows_a_bar(),
    )
    with _interruptible(output, execution.workers):
        _, metadata = train_teacher(
            network,
            config,
            pictures,
            options,
            device=place,
            autocast=autocast,
            imagenet=start == "imagenet",
            pretrained=known,
            data=_data_card(data, pictures, data_name, data_license),
            execution=execution,
            validation=validation,
        )
    _say_done(checkpoint_directory(output), metadata, execution.workers)


@app.command("joint")
def train_joint_command(
    data: DataArgument,
    output: RunOption,
    teacher: Annotated[
        Path,
        typer.Option(
            metavar="CHECKPOINT", help="Of `dgnet train teacher`; the networks take its sizes."
        ),
    ],
    preset_name: Annotated[
        PresetName | None,
        typer.Option(
            "--preset",
            help="Sizes of the networks but for what the teacher decides; the teacher's if absent.",
        ),
    ] = None,
    height: Annotated[int | None, typer.Option(help="Pixels; the preset's if absent.")] = None,
    width: Annotated[int | None, typer.Option(help="Pixels; the preset's if absent.")] = None,
    same_persons: Annotated[
        bool,
        typer.Option(
            "--same-persons",
            help="Take the teacher though its persons or pictures do not look like those of DATA: "
            "files were renamed or written anew.",
        ),
    ] = False,
    start: Annotated[
        Literal["imagenet", "teacher", "scratch"],
        typer.Option(
            help="What the appearance encoder starts from; imagenet for efficientnet_lite0 only."
        ),
    ] = "imagenet",
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="TRIPLES",
            help="Composites whose true picture is known, of rendered people: NNNN_appearance_PPPP,"
            " NNNN_structure_PPPP and NNNN_truth_PPPP.",
        ),
    ] = None,
    label_policy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Labels of generated pictures: soft, pseudo, appearance, uniform, two_labels.",
        ),
    ] = None,
    merge_batches: Annotated[
        bool,
        typer.Option(
            "--merge-batches",
            help="One pass of the appearance encoder over all batches of a step: faster, and its "
            "batch statistics mix them.",
        ),
    ] = False,
    paper_gradient: Annotated[
        bool,
        typer.Option(
            "--paper-gradient",
            help="Let code and cycle losses reach generated pictures through the appearance code, "
            "as in the paper; the authors' release detaches it.",
        ),
    ] = False,
    ablation: Annotated[
        Literal["both", "primary", "fine", "baseline"],
        typer.Option(
            help="What E_a learns from generated pictures: both (primary and fine features), "
            "primary, fine, or baseline: nothing, E_a learns alone.",
        ),
    ] = "both",
    generator: Annotated[
        Path | None,
        typer.Option(
            metavar="CHECKPOINT", help="DG-Net whose E_s, G, MLPs and D the run starts from."
        ),
    ] = None,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            help="Leave the --generator as it is: E_a learns alone, also from what it makes.",
        ),
    ] = False,
    iterations: IterationsOption = None,
    batch_size: BatchOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    accumulate: AccumulateOption = None,
    checkpoint_activations: RecomputeOption = False,
    compiled: CompileOption = False,
    resume: ResumeOption = False,
    validate: ValidateOption = None,
    keep: KeepOption = 2,
    log_every: LogOption = 10,
    grid_every: Annotated[int, typer.Option(min=1, help="Iterations between grids.")] = 500,
    checkpoint_every: SaveOption = 500,
    settings: SetOption = None,
    layout: LayoutOption = None,
    pattern: PatternOption = None,
    junk: JunkOption = None,
    distractors: DistractorsOption = None,
    data_name: DataNameOption = None,
    data_license: DataLicenseOption = "not stated",
) -> None:
    """Train DG-Net: encoders, decoder and discriminator together."""
    with needs_extra("train"):
        from dgnet.model.checkpoints import load_checkpoint, load_teacher
        from dgnet.model.data.truth_batches import TruthTriples
        from dgnet.model.training.config import JointConfig
        from dgnet.model.training.joint import Start, begins_anew, checkpoint_directory, train_joint
        from dgnet.model.training.run import RunOptions
        from dgnet.model.training.whose import require_same_persons
    with _wrong_input():
        known, teacher_network = load_teacher(teacher)
        network, config = known.config, JointConfig()
        if preset_name:
            decided = ("identities", "backbone", "head_features", "appearance_parts")
            network = preset(preset_name, **{name: getattr(network, name) for name in decided})
        network = replace(network, **_given({"height": height, "width": width}))
        if iterations is not None:
            config = config.scaled(iterations)
        config = replace(
            config,
            seed=seed,
            merge_batches=merge_batches,
            detach_appearance_code=not paper_gradient,
            **_given({"batch_size": batch_size, "accumulate": accumulate}),
        )
        if label_policy is not None:
            config = apply_overrides(config, [f"label_policy={label_policy}"])
        of_network, of_config = split_overrides(
            settings or [],
            network,
            config,
            fixed=("identities", "preset", "backbone", "head_features"),
        )
        network = apply_overrides(network, of_network)
        config = apply_overrides(config, of_config).ablated(ablation)
        _require_imagenet(start, network.backbone)
        if offline and generator is None:
            raise InputError("--offline learns from a finished DG-Net: name it by --generator")
        made_by = load_checkpoint(generator).networks if generator else None
        for part in begins_anew(made_by, network) if made_by else ():
            typer.echo(
                f"dgnet: {generator} has no {part.replace('_', ' ')}: it begins anew", err=True
            )
        execution = _execution(device, checkpoint_activations, compiled)
        place, autocast = _device(execution.workers, device, precision)
        reading = Reading(layout=layout, pattern=pattern, junk=junk, distractors=distractors)
        pictures = _pictures(data, reading, network, place)
        validation = _validation(validate, reading)
        sizes = {"height": network.height, "width": network.width}
        said = require_same_persons(
            f"the teacher {teacher}", known, str(data), pictures, insisted=same_persons
        )
        for line in said:
            typer.echo(f"dgnet: warning: {line}", err=True)
        triples = TruthTriples(truth, pictures.persons, **sizes, device=place) if truth else None
    options = RunOptions(
        directory=output,
        log_every=log_every,
        grid_every=grid_every,
        checkpoint_every=checkpoint_every,
        keep=keep,
        resume=resume,
        progress=_shows_a_bar(),
    )
    with _interruptible(output, execution.workers):
        _, metadata = train_joint(
            network,
            config,
            pictures,
            teacher_network,
            options,
            device=place,
            start=Start(imagenet=start == "imagenet", from_teacher=start == "teacher"),
            autocast=autocast,
            data={
                **_data_card(data, pictures, data_name, data_license),
                "true_composites": len(triples) if triples else 0,
            },
            truth=triples,
            generator=made_by,
            offline=offline,
            execution=execution,
            validation=validation,
        )
    _say_done(checkpoint_directory(output), metadata, execution.workers)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in values.items() if value is not None}


def _require_imagenet(start: str, backbone: BackboneName) -> None:
    if start == "imagenet" and backbone != "efficientnet_lite0":
        raise InputError(
            f"ImageNet weights are at hand for efficientnet_lite0, not for {backbone}: give "
            "--start scratch, or for joint training --start teacher"
        )


def _execution(device: str, checkpoint_activations: bool, compiled: bool) -> Execution:
    """Joins the other processes where torchrun started some."""
    from dgnet.model.training.execution import Execution
    from dgnet.model.training.workers import launched_workers

    return Execution(
        recompute=checkpoint_activations,
        compile_backend="inductor" if compiled else None,
        workers=launched_workers(device),
    )


def _device(
    workers: Workers, device: str, precision: Precision
) -> tuple[torch.device, torch.dtype | None]:
    import torch

    from dgnet.model.devices import autocast_dtype, choose_device

    place = workers.device or choose_device(device)
    if place.type == "cpu":
        # Training leaves values too small for normal numbers, which CPUs compute far slower.
        torch.set_flush_denormal(True)
    return place, autocast_dtype(precision, place)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How the names of a data set are to be understood."""

    layout: LayoutName | None
    pattern: str | None
    junk: list[str] | None
    distractors: list[str] | None

    def read(self, directory: Path) -> DataSet:
        """Reads, and says what there is to say."""
        from dgnet.model.data.layouts import read_dataset

        dataset = read_dataset(
            directory, self.layout, self.pattern, junk=self.junk, distractors=self.distractors
        )
        for line in (*dataset.warnings, *dataset.notes):
            typer.echo(f"dgnet: {directory}: {line}", err=True)
        return dataset


def _pictures(
    data: Path, reading: Reading, network: NetworkConfig, device: torch.device
) -> TrainingPictures:
    from dgnet.model.data.pairs import TrainingPictures

    dataset = reading.read(data)
    return TrainingPictures(
        dataset.split("train"),
        height=network.height,
        width=network.width,
        device=device,
        names=dataset.person_names,
    )


def _validation(held_out: Path | None, reading: Reading) -> Validation | None:
    from dgnet.model.training.validation import Validation

    if held_out is None:
        return None
    validation = Validation(reading.read(held_out))
    for line in validation.warnings:
        typer.echo(f"dgnet: {held_out}: {line}", err=True)
    return validation


def _shows_a_bar() -> bool:
    """A bar for people, lines for log files."""
    return sys.stderr.isatty()


def _data_card(
    data: Path, pictures: TrainingPictures, name: str | None, license_text: str
) -> dict[str, Any]:
    return {
        "name": name or data.resolve().name,
        "persons": len(pictures.persons),
        "pictures": len(pictures),
        "license": license_text,
    }


@contextmanager
def _wrong_input() -> Generator[None]:
    """Data, checkpoints and settings that cannot be used are the user's to change."""
    try:
        yield
    except ValueError as error:
        raise InputError(str(error)) from error


@contextmanager
def _interruptible(run: Path, workers: Workers) -> Generator[None]:
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


def _say_done(checkpoint: Path, metadata: Metadata, workers: Workers) -> None:
    if workers.is_first:
        typer.echo(f"wrote {checkpoint} (version {metadata.model_version})")
