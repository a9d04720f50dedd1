"""`dgnet train teacher`: the Re-ID baseline that will label generated pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from dgnet.commands.failures import needs_extra
from dgnet.commands.train_options import SharedOptions, takes_options
from dgnet.commands.train_shared import (
    given,
    interruptible,
    overridden,
    require_imagenet,
    say_done,
    scheduled,
    training_run,
    wrong_input,
)
from dgnet.model.config import BackboneName, PresetName, preset


@dataclass(frozen=True, kw_only=True)
class TeacherOptions:
    """What `dgnet train teacher` alone takes."""

    preset_name: Annotated[PresetName, typer.Option("--preset", help="Sizes of the networks.")] = (
        "small"
    )
    backbone: Annotated[
        BackboneName | None, typer.Option(help="Feature extractor; the preset's if absent.")
    ] = None
    height: Annotated[int | None, typer.Option(help="Pixels; the preset's if absent.")] = None
    width: Annotated[int | None, typer.Option(help="Pixels; the preset's if absent.")] = None
    start: Annotated[
        Literal["imagenet", "scratch"],
        typer.Option(help="Weights to start from; imagenet for efficientnet_lite0 only."),
    ] = "imagenet"
    pretrained: Annotated[
        Path | None,
        typer.Option(
            metavar="CHECKPOINT",
            help="Start from the backbone of this checkpoint's teacher instead, whatever "
            "identities it knows.",
        ),
    ] = None


@takes_options(without=("grid_every",))
def train_teacher_command(shared: SharedOptions, own: TeacherOptions) -> None:
    """Train the Re-ID baseline that will label generated pictures."""
    with needs_extra("train"):
        from dgnet.model.checkpoints import load_teacher
        from dgnet.model.training.config import TeacherConfig
        from dgnet.model.training.teacher import require_same_backbone, train_teacher
    with wrong_input():
        sizes = {"backbone": own.backbone, "height": own.height, "width": own.width}
        # The pictures, read below at these sizes, tell how many identities there are.
        network = preset(own.preset_name, identities=2, **given(sizes))
        config = scheduled(shared, TeacherConfig())
        network, config = overridden(shared, network, config, fixed=("identities", "preset"))
        pretrained = load_teacher(own.pretrained)[1] if own.pretrained else None
        if pretrained:
            require_same_backbone(pretrained.config, network)
        else:
            require_imagenet(own.start, network.backbone)
        run = training_run(shared, network)
        network = replace(network, identities=len(run.pictures.persons))
    with interruptible(shared.output, run.workers):
        _, metadata = train_teacher(
            network, config, run, imagenet=own.start == "imagenet", pretrained=pretrained
        )
    say_done(run, metadata)
