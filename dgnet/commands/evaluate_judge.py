"""`dgnet evaluate judge`: does a judge of composites know people itself?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dgnet.commands.failures import InputError, needs_extra
from dgnet.commands.judge_options import (
    JudgeChannelsOption,
    JudgeMeanOption,
    JudgeOutputOption,
    JudgeSizeOption,
    JudgeStdOption,
    load_judge,
)
from dgnet.commands.options import DeviceOption
from dgnet.commands.outputs import write_figures


def evaluate_judge(
    judge: Annotated[
        str,
        typer.Argument(
            metavar="DIR|FILE.onnx|shipped", help="As --judge of `evaluate composites`."
        ),
    ],
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA...", help="Data sets with query and gallery of people it never saw."
        ),
    ],
    judge_size: JudgeSizeOption = None,
    judge_mean: JudgeMeanOption = None,
    judge_std: JudgeStdOption = None,
    judge_channels: JudgeChannelsOption = None,
    judge_output: JudgeOutputOption = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write every figure as JSON.")
    ] = None,
    update_card: Annotated[
        bool, typer.Option("--update-card", help="Keep the figures in the judge's judge.json.")
    ] = False,
    device: DeviceOption = "auto",
) -> None:
    """Print how well a judge finds people again: rank-1 and mAP, as `evaluate retrieval`."""
    with needs_extra("train"):
        from dgnet.markdown import aligned_table
        from dgnet.model.data.layouts import read_dataset
        from dgnet.model.data.picture import DatasetError
        from dgnet.model.evaluation.composites.report import EvaluationConfig, score_retrieval
        from dgnet.model.judge.checkpoint import update_judge_metrics
        from dgnet.model.judge.judge import JudgeError
        from dgnet.model.judge.opening import judge_folder
    asked = load_judge(
        judge,
        device=device,
        size=judge_size,
        mean=judge_mean,
        std=judge_std,
        channels=judge_channels,
        output=judge_output,
    )
    assert asked is not None
    figures: dict[str, Any] = {}
    rows: list[tuple[str, ...]] = [("data set", "queries", "gallery", "rank-1", "mAP")]
    for folder in data:
        try:
            dataset = read_dataset(folder)
            query, gallery = dataset.split("query"), dataset.split("gallery")
            scores = score_retrieval(asked, query, gallery, EvaluationConfig()).dgnet_convention
        except DatasetError as error:
            raise InputError(str(error)) from error
        name, counts = folder.resolve().name, (len(query), len(gallery))
        found = {"rank_1": scores.rank_1, "mAP": scores.mAP}
        figures[name] = {"queries": counts[0], "gallery": counts[1], **found}
        rows.append((name, *map(str, counts), *(f"{value:.1%}" for value in found.values())))
    typer.echo(aligned_table(rows))
    if json_file is not None:
        write_figures(json_file, {"retrieval": figures}, asked.version, "fp32")
    if update_card:
        try:
            update_judge_metrics(judge_folder(judge), {"retrieval": figures})
        except JudgeError as error:
            raise InputError(str(error)) from error
