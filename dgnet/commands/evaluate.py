"""`dgnet evaluate`: figures that tell how good a checkpoint is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dgnet.commands import local
from dgnet.commands.evaluate_generation import evaluate_generation
from dgnet.commands.evaluate_judge import evaluate_judge
from dgnet.commands.evaluate_retrieval import evaluate_retrieval
from dgnet.commands.failures import InputError, needs_extra
from dgnet.commands.judge_options import (
    JudgeChannelsOption,
    JudgeMeanOption,
    JudgeOption,
    JudgeOutputOption,
    JudgeSizeOption,
    JudgeStdOption,
    load_judge,
)
from dgnet.commands.options import (
    CheckpointOption,
    DeviceOption,
    Precision,
    PrecisionOption,
    SceneOption,
)
from dgnet.commands.outputs import write_bytes
from dgnet.files import write_json
from dgnet.pictures.encoding import encode_picture

app = typer.Typer(no_args_is_help=True, help="Measure a checkpoint.")


app.command("retrieval")(evaluate_retrieval)
app.command("generation")(evaluate_generation)
app.command("judge")(evaluate_judge)


@app.command("composites")
def evaluate_composites(
    people: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Held-out people: a folder with query and bounding_box_test."
        ),
    ],
    truth: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Triples with the true composite, where there are any."),
    ] = None,
    checkpoint: CheckpointOption = None,
    scene: SceneOption = None,
    pairs: Annotated[int, typer.Option(min=1, help="Random cross-identity pairs.")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="Draws pairs and the sheet's pictures.")] = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write every figure as JSON.")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw triples and a grid of swaps to look at."),
    ] = None,
    update_card: Annotated[
        bool, typer.Option("--update-card", help="Keep the figures in the checkpoint's model.json.")
    ] = False,
    judge: JudgeOption = None,
    judge_size: JudgeSizeOption = None,
    judge_mean: JudgeMeanOption = None,
    judge_std: JudgeStdOption = None,
    judge_channels: JudgeChannelsOption = None,
    judge_output: JudgeOutputOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
) -> None:
    """Print how well composites keep clothes and structure, and how well embeddings find people."""
    if sheet is not None and sheet.suffix.lower() != ".png":
        raise InputError(f"cannot write {sheet}: expected a name ending in .png")
    with needs_extra("train"):
        from dgnet.model.checkpoints import DEFAULT_CHECKPOINT, update_metrics
        from dgnet.model.data.market1501 import DatasetError
        from dgnet.model.evaluation.composites.imagenet_distance import ImageNetDistance
        from dgnet.model.evaluation.composites.report import EvaluationConfig, evaluate_checkpoint
        from dgnet.model.evaluation.generation.weight_files import FigureLeftOut
        from dgnet.model.evaluation.sheets.composites import evaluation_sheet
    predictor = local.load_predictor(checkpoint, device=device, precision=precision, scene=scene)
    asked = load_judge(
        judge,
        device=device,
        size=judge_size,
        mean=judge_mean,
        std=judge_std,
        channels=judge_channels,
        output=judge_output,
    )
    distance = None
    if truth is not None:
        try:
            distance = ImageNetDistance.load(predictor.device)
        except FigureLeftOut as missing:
            typer.echo(f"note: {missing}", err=True)
    try:
        report = evaluate_checkpoint(
            predictor,
            people,
            truth,
            EvaluationConfig(pairs=pairs, seed=seed),
            judge=asked,
            imagenet_distance=distance,
        )
        picture = None if sheet is None else evaluation_sheet(predictor, people, truth, seed=seed)
    except DatasetError as error:
        raise InputError(str(error)) from error
    figures = report.to_json()
    typer.echo(report.to_table())
    typer.echo(f"scene: {predictor.scene}")
    if report.judge is not None and (doubt := report.judge.doubt()):
        typer.echo(f"warning: {doubt}", err=True)
    if json_file is not None:
        card = {
            "model_version": predictor.model_version,
            "scene": predictor.scene,
            **figures,
        }
        write_json(json_file, card, make_parents=True)
    if sheet is not None and picture is not None:
        write_bytes(sheet, encode_picture(picture, "PNG"))
    if update_card:
        folder = DEFAULT_CHECKPOINT if checkpoint is None else checkpoint
        used = local.arithmetic(predictor)
        conditions = {"scene": predictor.scene, **_conditions(people, truth, used)}
        update_metrics(folder, {"composites": {**figures, **conditions}})
        typer.echo(f"wrote the figures into {folder}")


def _conditions(people: Path, truth: Path | None, precision: Precision) -> dict[str, str | None]:
    """What the figures were measured on, by name: other machines keep their data elsewhere."""
    return {
        "people": people.resolve().name,
        "truth_set": None if truth is None else truth.resolve().name,
        "precision": precision,
    }
