"""`dgnet train adapt`: from weights that ship to one's own pictures, teacher included.

Measures the weights as they are, renders true composites of people that never lived, trains a
teacher of the pictures' persons, then DG-Net on both, and measures again. Each part leaves its
result in the run folder, so that an interrupted command goes on with `--resume`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dgnet.commands.failures import InputError, needs_extra
from dgnet.commands.judge_options import load_judge
from dgnet.commands.people import render_plan
from dgnet.commands.train_options import SharedOptions, takes_options
from dgnet.commands.train_shared import (
    interruptible,
    overridden,
    read_pictures,
    scheduled,
    training_run,
    wrong_input,
)
from dgnet.files import write_file, write_json

if TYPE_CHECKING:
    from dgnet.model.checkpoints import Checkpoint
    from dgnet.model.data.layouts import DataSet
    from dgnet.model.evaluation.adaptation import AdaptationFigures, AdaptationMeasure
    from dgnet.model.predictor import Predictor
    from dgnet.model.training.training_run import TrainingRun

DEFAULT_MINUTES = 40.0
TEACHER, RENDERED = "teacher", "rendered"
BEFORE, CARD = "before.json", "README.md"
RENDER_SEED = 500_501
"""A world that no weights that ship have seen."""
TRIPLES_A_PERSON = 5
"""Thirty triples are all pairs of six people."""
WORLDS = 3


@dataclass(frozen=True, kw_only=True)
class AdaptOptions:
    """What `dgnet train adapt` alone takes."""

    preset_name: Annotated[
        Literal["detail", "small"],
        typer.Option("--preset", help="Which of the weights that ship to start from."),
    ] = "detail"
    checkpoint: Annotated[
        Path | None,
        typer.Option(metavar="CHECKPOINT", help="Another DG-Net to start from."),
    ] = None
    rendered: Annotated[
        int,
        typer.Option(
            min=2,
            help="True composites to render at the start, of people that never lived: half of what "
            "every iteration learns from.",
        ),
    ] = 600
    truth: Annotated[
        Path | None,
        typer.Option(metavar="TRIPLES", help="Take these true composites instead, of any people."),
    ] = None
    judge: Annotated[
        str,
        typer.Option(metavar="DIR|FILE.onnx|shipped", help="Judges composites before and after."),
    ] = "shipped"
    pairs: Annotated[int, typer.Option(min=1, help="Random pairs to measure composites on.")] = 300


@takes_options(
    without=("validate", "compiled", "checkpoint_activations"),
    defaults={"checkpoint_every": 50, "grid_every": 200},
)
def train_adapt_command(shared: SharedOptions, own: AdaptOptions) -> None:
    """Bring the weights that ship to your own pictures, without true composites of them."""
    with needs_extra("train"):
        from dgnet.model.checkpoints import load_checkpoint, shipped_checkpoint
        from dgnet.model.training.state import saved_iterations
    started = [shared.output, shared.output / TEACHER]
    if not shared.resume and any(saved_iterations(run) for run in started):
        raise InputError(f"{shared.output} already holds a run: resume it, or name another folder")
    with wrong_input():
        start = load_checkpoint(own.checkpoint or shipped_checkpoint(own.preset_name))
        dataset = read_pictures(shared, shared.data)
        measure = _measure(shared, own, start, dataset)
        before = _measured_once(shared, start, measure)
    truths = own.truth or _rendered(shared, own, start)
    _train_teacher(shared, start, dataset)
    checkpoint = _train_joint(shared, start, dataset, truths)
    after = measure(_predictor(shared, load_checkpoint(checkpoint)))
    _conclude(shared, own, measure, checkpoint, before, after)


def _predictor(shared: SharedOptions, checkpoint: Checkpoint) -> Predictor:
    from dgnet.model.predictor import Predictor

    return Predictor(checkpoint, device=shared.device, precision=shared.precision)


def _measure(
    shared: SharedOptions, own: AdaptOptions, start: Checkpoint, dataset: DataSet
) -> AdaptationMeasure:
    """What both checkpoints are measured by; says whom."""
    from dgnet.model.evaluation.adaptation import AdaptationMeasure
    from dgnet.model.evaluation.composites.report import EvaluationConfig

    judge = load_judge(own.judge, device=shared.device)
    assert judge is not None
    config = EvaluationConfig(pairs=own.pairs, seed=shared.seed)
    measure = AdaptationMeasure(dataset, judge, _predictor(shared, start), config)
    if not measure.held_out:
        typer.echo(
            f"dgnet: {shared.data} has no query and gallery: composites of the training pictures "
            "are measured, and the embedding is not",
            err=True,
        )
    return measure


def _measured_once(
    shared: SharedOptions, start: Checkpoint, measure: AdaptationMeasure
) -> AdaptationFigures:
    """Of the weights to start from; a resumed command reads what the first one found."""
    from dgnet.model.evaluation.adaptation import AdaptationFigures

    file = shared.output / BEFORE
    if shared.resume and file.exists():
        found = AdaptationFigures.from_json(json.loads(file.read_text()))
        if found.model_version == start.metadata.model_version:
            return found
    found = measure(_predictor(shared, start))
    write_json(file, found.to_json(), make_parents=True)
    return found


def _rendered(shared: SharedOptions, own: AdaptOptions, start: Checkpoint) -> Path:
    """True composites of people that never lived, of the size that the networks want."""
    with needs_extra("people"):
        from dgnet.people.writing.plan import TRUTHS, RenderPlan
    people = max(2, own.rendered // TRIPLES_A_PERSON)
    plan = RenderPlan(
        seed=RENDER_SEED,
        people=people,
        pictures=1,
        cameras=8,
        worlds=WORLDS if people >= 6 * WORLDS else 1,
        size="128x64" if start.metadata.config.height <= 128 else "256x128",
        splits="train",
        truths=own.rendered,
        recipe=3,
    )
    folder = shared.output / RENDERED
    render_plan(plan, folder, resume=folder.exists())
    return folder / TRUTHS


def _stage(shared: SharedOptions, folder: Path, share: float) -> SharedOptions:
    """The options of a run that takes a share of the whole; it goes on where it was begun."""
    from dgnet.model.training.state import saved_iterations

    iterations, minutes = shared.iterations, shared.minutes
    if iterations is None and minutes is None:
        minutes = DEFAULT_MINUTES
    return replace(
        shared,
        output=folder,
        iterations=None if iterations is None else max(1, round(iterations * share)),
        minutes=None if minutes is None else minutes * share,
        resume=saved_iterations(folder) > 0,
    )


def _train_teacher(shared: SharedOptions, start: Checkpoint, dataset: DataSet) -> None:
    """The teacher of the pictures' persons, in a run folder of its own."""
    from dgnet.model.training.adapting import (
        TEACHER_SHARE,
        adapting_teacher,
        starting_teacher,
    )
    from dgnet.model.training.teacher import train_teacher

    stage = _stage(shared, shared.output / TEACHER, TEACHER_SHARE)
    pretrained = starting_teacher(start)
    with wrong_input():
        config = scheduled(replace(stage, batch_size=None), adapting_teacher(pretrained))
        run = training_run(stage, start.metadata.config, dataset)
        _require_alone(run)
        network = replace(start.metadata.config, identities=len(run.pictures.persons))
    with interruptible(stage.output, run.workers):
        train_teacher(network, config, run, pretrained=pretrained)


def _train_joint(shared: SharedOptions, start: Checkpoint, dataset: DataSet, truths: Path) -> Path:
    """DG-Net on the pictures and the true composites; returns its checkpoint."""
    from dgnet.model.checkpoints import load_teacher, save_checkpoint
    from dgnet.model.data.truth_batches import TruthTriples
    from dgnet.model.training.adapting import (
        TEACHER_SHARE,
        WAY,
        adapting_joint,
        part_of_the_way,
    )
    from dgnet.model.training.joint import train_joint
    from dgnet.model.training.starting import Start
    from dgnet.model.training.training_run import checkpoint_directory

    stage = _stage(shared, shared.output, 1 - TEACHER_SHARE)
    with wrong_input():
        known, teacher = load_teacher(checkpoint_directory(shared.output / TEACHER))
        network = known.config
        fixed = [field.name for field in fields(network)]
        config = scheduled(stage, adapting_joint(network))
        _, config = overridden(stage, network, config, fixed=fixed)
        run = training_run(stage, network, dataset)
        truth = TruthTriples(
            truths, None, height=network.height, width=network.width, device=run.device
        )
        card = {
            **(run.data or {}),
            "true_composites": len(truth),
            "adapted_from": start.metadata.model_version,
        }
        run = replace(run, data=card)
    with interruptible(stage.output, run.workers):
        learned, metadata = train_joint(
            network,
            config,
            teacher,
            run,
            start=Start(imagenet=False, from_generator=True),
            truth=truth,
            generator=start.networks,
        )
    checkpoint = checkpoint_directory(stage.output)
    save_checkpoint(
        checkpoint,
        part_of_the_way(start.networks, learned),
        teacher=teacher,
        training={**metadata.training, "part_of_the_way": WAY},
        data=metadata.data,
        fingerprint=metadata.fingerprint,
    )
    return checkpoint


def _require_alone(run: TrainingRun) -> None:
    if run.workers.count > 1:
        raise InputError(
            f"adaptation was started in {run.workers.count} processes; it is made for one: leave "
            "torchrun out, or use `dgnet train teacher` and `dgnet train joint`"
        )


def _conclude(
    shared: SharedOptions,
    own: AdaptOptions,
    measure: AdaptationMeasure,
    checkpoint: Path,
    before: AdaptationFigures,
    after: AdaptationFigures,
) -> None:
    """The figures into the checkpoint's card, beside it for people, and on the screen."""
    from dgnet.markdown import plain
    from dgnet.model.checkpoints import update_metrics
    from dgnet.model.evaluation.adaptation import before_and_after

    conditions = {
        "pairs": own.pairs,
        "people": "held out" if measure.held_out else "trained on",
        "judge": measure.judge_version,
    }
    figures = {"before": before.to_json(), "after": after.to_json(), **conditions}
    update_metrics(checkpoint, {"adaptation": figures})
    table = before_and_after(before, after)
    card = f"""# Weights adapted to {plain(shared.data_name or shared.data.resolve().name)}

`checkpoint/`, version {after.model_version}, made of {before.model_version} by `dgnet train adapt`.
License of the pictures: {plain(shared.data_license)}.

{table}

On {own.pairs} random pairs of people who were {conditions["people"]}; whether composites pass for
real, the discriminator of {before.model_version} says for both; the judge ({measure.judge_version})
had no part in the training.
"""
    write_file(shared.output / CARD, card.encode())
    typer.echo(table)
    typer.echo(f"wrote {checkpoint} (version {after.model_version})")
