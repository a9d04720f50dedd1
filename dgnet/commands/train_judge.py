"""`dgnet train judge`: a network that judges composites and had no part in making them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from dgnet.commands.failures import needs_extra
from dgnet.commands.train_options import SharedOptions, takes_options
from dgnet.commands.train_shared import (
    data_card,
    flush_small_numbers,
    interruptible,
    read_pictures,
    run_options,
    wrong_input,
)


@dataclass(frozen=True, kw_only=True)
class JudgeOptions:
    """What `dgnet train judge` alone takes."""

    iterations: Annotated[
        int, typer.Option(min=1, help="Batches of 12 persons, 4 pictures of each.")
    ] = 12000


@takes_options(
    without=(
        "iterations",
        "minutes",
        "batch_size",
        "device",
        "accumulate",
        "checkpoint_activations",
        "compiled",
        "validate",
        "keep",
        "grid_every",
        "settings",
        "junk",
        "distractors",
    ),
    defaults={"log_every": 50, "checkpoint_every": 250},
)
def train_judge_command(shared: SharedOptions, own: JudgeOptions) -> None:
    """Train a judge of composites, on the CPU, on pictures that no generator learns from."""
    with needs_extra("train"):
        import torch

        from dgnet.model.devices import autocast_dtype
        from dgnet.model.judge.checkpoint import save_judge
        from dgnet.model.judge.network import JudgeConfig
        from dgnet.model.judge.training import JudgeTrainingConfig, train_judge

    flush_small_numbers()
    plain, iterations = JudgeTrainingConfig(), own.iterations
    coarse = plain.coarse_iterations * iterations // plain.iterations
    config = JudgeTrainingConfig(iterations=iterations, coarse_iterations=coarse, seed=shared.seed)
    with wrong_input():
        pictures = read_pictures(shared, shared.data).split("train")
        autocast = autocast_dtype(shared.precision, torch.device("cpu"))
    with wrong_input(), interruptible(shared.output):
        judge = train_judge(JudgeConfig(), config, pictures, run_options(shared), autocast=autocast)
    persons = len({picture.person_id for picture in pictures})
    card = {
        "training": {**config.to_json(), "precision": "fp32" if autocast is None else "bf16"},
        "data": data_card(shared, persons=persons, pictures=len(pictures)),
        "metrics": {},
    }
    folder = shared.output / "checkpoint"
    version = save_judge(folder, judge, card=card)
    typer.echo(f"wrote {folder} (version {version})")
