"""`dgnet train`: the teacher on real pictures, then DG-Net with the teacher's labels.

Options name what most runs change; `--set` reaches every other field of the network and of the
schedule. A run folder holds everything of a run; the same command with `--resume` carries on.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from dgnet.commands.failures import InputError, needs_extra
from dgnet.commands.overrides import apply_overrides
from dgnet.commands.train_judge import train_judge_command
from dgnet.commands.train_options import SharedOptions, takes_shared_options
from dgnet.commands.train_shared import (
    given,
    interruptible,
    overridden,
    say_done,
    scheduled,
    training_run,
    wrong_input,
)
from dgnet.model.config import BackboneName, PresetName, preset

app = typer.Typer(no_args_is_help=True, help="Train on your own pictures.")

app.command("judge")(train_judge_command)


@app.command("teacher")
@takes_shared_options(without=("grid_every",))
def train_teacher_command(
    shared: SharedOptions,
    *,
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
) -> None:
    """Train the Re-ID baseline that will label generated pictures."""
    with needs_extra("train"):
        from dgnet.model.checkpoints import load_teacher
        from dgnet.model.training.config import TeacherConfig
        from dgnet.model.training.teacher import require_same_backbone, train_teacher
    with wrong_input():
        sizes = {"backbone": backbone, "height": height, "width": width}
        # The pictures, read below at these sizes, tell how many identities there are.
        network = preset(preset_name, identities=2, **given(sizes))
        config = scheduled(shared, TeacherConfig())
        network, config = overridden(shared, network, config, fixed=("identities", "preset"))
        known = load_teacher(pretrained)[1] if pretrained else None
        if known:
            require_same_backbone(known.config, network)
        else:
            _require_imagenet(start, network.backbone)
        run = training_run(shared, network)
        network = replace(network, identities=len(run.pictures.persons))
    with interruptible(shared.output, run.workers):
        _, metadata = train_teacher(
            network, config, run, imagenet=start == "imagenet", pretrained=known
        )
    say_done(run, metadata)


@app.command("joint")
@takes_shared_options()
def train_joint_command(
    shared: SharedOptions,
    *,
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
) -> None:
    """Train DG-Net: encoders, decoder and discriminator together."""
    with needs_extra("train"):
        from dgnet.model.checkpoints import load_checkpoint, load_teacher
        from dgnet.model.data.truth_batches import TruthTriples
        from dgnet.model.training.config import JointConfig
        from dgnet.model.training.joint import Start, begins_anew, train_joint
        from dgnet.model.training.whose import require_same_persons
    with wrong_input():
        known, teacher_network = load_teacher(teacher)
        network = known.config
        if preset_name:
            decided = ("identities", "backbone", "head_features", "appearance_parts")
            network = preset(preset_name, **{name: getattr(network, name) for name in decided})
        network = replace(network, **given({"height": height, "width": width}))
        config = replace(
            scheduled(shared, JointConfig()),
            merge_batches=merge_batches,
            detach_appearance_code=not paper_gradient,
        )
        if label_policy is not None:
            config = apply_overrides(config, [f"label_policy={label_policy}"])
        fixed = ("identities", "preset", "backbone", "head_features")
        network, config = overridden(shared, network, config, fixed=fixed)
        config = config.ablated(ablation)
        _require_imagenet(start, network.backbone)
        if offline and generator is None:
            raise InputError("--offline learns from a finished DG-Net: name it by --generator")
        made_by = load_checkpoint(generator).networks if generator else None
        for part in begins_anew(made_by, network) if made_by else ():
            typer.echo(
                f"dgnet: {generator} has no {part.replace('_', ' ')}: it begins anew", err=True
            )
        run = training_run(shared, network)
        pictures = run.pictures
        said = require_same_persons(
            f"the teacher {teacher}", known, str(shared.data), pictures, insisted=same_persons
        )
        for line in said:
            typer.echo(f"dgnet: warning: {line}", err=True)
        sizes = {"height": network.height, "width": network.width}
        triples = (
            TruthTriples(truth, pictures.persons, **sizes, device=run.device) if truth else None
        )
        card = {**(run.data or {}), "true_composites": len(triples) if triples else 0}
        run = replace(run, data=card)
    with interruptible(shared.output, run.workers):
        _, metadata = train_joint(
            network,
            config,
            teacher_network,
            run,
            start=Start(imagenet=start == "imagenet", from_teacher=start == "teacher"),
            truth=triples,
            generator=made_by,
            offline=offline,
        )
    say_done(run, metadata)


def _require_imagenet(start: str, backbone: BackboneName) -> None:
    if start == "imagenet" and backbone != "efficientnet_lite0":
        raise InputError(
            f"ImageNet weights are at hand for efficientnet_lite0, not for {backbone}: give "
            "--start scratch, or for joint training --start teacher"
        )
