"""`dgnet train joint`: DG-Net, by the labels of a teacher."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dgnet.commands.failures import InputError, needs_extra
from dgnet.commands.overrides import apply_overrides
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
from dgnet.model.config import NetworkConfig, PresetName, preset

if TYPE_CHECKING:
    from dgnet.model.dgnet import DGNet
    from dgnet.model.training.config import JointConfig


@dataclass(frozen=True, kw_only=True)
class JointOptions:
    """What `dgnet train joint` alone takes."""

    teacher: Annotated[
        Path,
        typer.Option(
            metavar="CHECKPOINT", help="Of `dgnet train teacher`; the networks take its sizes."
        ),
    ]
    preset_name: Annotated[
        PresetName | None,
        typer.Option(
            "--preset",
            help="Sizes of the networks but for what the teacher decides; the teacher's if absent.",
        ),
    ] = None
    height: Annotated[int | None, typer.Option(help="Pixels; the preset's if absent.")] = None
    width: Annotated[int | None, typer.Option(help="Pixels; the preset's if absent.")] = None
    same_persons: Annotated[
        bool,
        typer.Option(
            "--same-persons",
            help="Take the teacher though its persons or pictures do not look like those of DATA: "
            "files were renamed or written anew.",
        ),
    ] = False
    start: Annotated[
        Literal["imagenet", "teacher", "generator", "scratch"],
        typer.Option(
            help="What the appearance encoder starts from: imagenet for efficientnet_lite0 only, "
            "generator for that of --generator."
        ),
    ] = "imagenet"
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="TRIPLES",
            help="Composites whose true picture is known, of rendered people: NNNN_appearance_PPPP,"
            " NNNN_structure_PPPP and NNNN_truth_PPPP.",
        ),
    ] = None
    label_policy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Labels of generated pictures: soft, pseudo, appearance, uniform, two_labels.",
        ),
    ] = None
    merge_batches: Annotated[
        bool,
        typer.Option(
            "--merge-batches",
            help="One pass of the appearance encoder over all batches of a step: faster, and its "
            "batch statistics mix them.",
        ),
    ] = False
    paper_gradient: Annotated[
        bool,
        typer.Option(
            "--paper-gradient",
            help="Let code and cycle losses reach generated pictures through the appearance code, "
            "as in the paper; the authors' release detaches it.",
        ),
    ] = False
    ablation: Annotated[
        Literal["both", "primary", "fine", "baseline"],
        typer.Option(
            help="What E_a learns from generated pictures: both (primary and fine features), "
            "primary, fine, or baseline: nothing, E_a learns alone.",
        ),
    ] = "both"
    generator: Annotated[
        Path | None,
        typer.Option(
            metavar="CHECKPOINT", help="DG-Net whose E_s, G, MLPs and D the run starts from."
        ),
    ] = None
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            help="Leave the --generator as it is: E_a learns alone, also from what it makes.",
        ),
    ] = False


@takes_options()
def train_joint_command(shared: SharedOptions, own: JointOptions) -> None:
    """Train DG-Net: encoders, decoder and discriminator together."""
    with needs_extra("train"):
        from dgnet.model.checkpoints import load_teacher
        from dgnet.model.data.truth_batches import TruthTriples
        from dgnet.model.training.joint import train_joint
        from dgnet.model.training.starting import Start
        from dgnet.model.training.whose import require_same_persons
    with wrong_input():
        known, teacher = load_teacher(own.teacher)
        network, config = _network_and_schedule(shared, own, known.config)
        require_imagenet(own.start, network.backbone)
        generator = _generator(own, network)
        run = training_run(shared, network)
        persons = run.pictures.persons
        said = require_same_persons(
            f"the teacher {own.teacher}",
            known,
            str(shared.data),
            run.pictures,
            insisted=own.same_persons,
        )
        for line in said:
            typer.echo(f"dgnet: warning: {line}", err=True)
        truth = None
        if own.truth:
            sizes = {"height": network.height, "width": network.width}
            truth = TruthTriples(own.truth, persons, **sizes, device=run.device)
        card = {**(run.data or {}), "true_composites": len(truth) if truth else 0}
        run = replace(run, data=card)
    with interruptible(shared.output, run.workers):
        _, metadata = train_joint(
            network,
            config,
            teacher,
            run,
            start=Start(
                imagenet=own.start == "imagenet",
                from_teacher=own.start == "teacher",
                from_generator=own.start == "generator",
            ),
            truth=truth,
            generator=generator,
            offline=own.offline,
        )
    say_done(run, metadata)


def _network_and_schedule(
    shared: SharedOptions, own: JointOptions, teacher: NetworkConfig
) -> tuple[NetworkConfig, JointConfig]:
    """Of these options; what is not given is the teacher's and the full schedule's."""
    from dgnet.model.training.config import JointConfig

    network = teacher
    if own.preset_name:
        decided = ("identities", "backbone", "head_features", "appearance_parts")
        network = preset(own.preset_name, **{name: getattr(teacher, name) for name in decided})
    network = replace(network, **given({"height": own.height, "width": own.width}))
    config = replace(
        scheduled(shared, JointConfig()),
        merge_batches=own.merge_batches,
        detach_appearance_code=not own.paper_gradient,
    )
    if own.label_policy is not None:
        config = apply_overrides(config, [f"label_policy={own.label_policy}"])
    fixed = ("identities", "preset", "backbone", "head_features")
    network, config = overridden(shared, network, config, fixed=fixed)
    return network, config.ablated(own.ablation)


def _generator(own: JointOptions, network: NetworkConfig) -> DGNet | None:
    """The DG-Net to start from, if any; says which parts of the networks it does not have."""
    from dgnet.model.checkpoints import load_checkpoint
    from dgnet.model.training.starting import begins_anew

    if own.generator is None:
        if own.offline:
            raise InputError("--offline learns from a finished DG-Net: name it by --generator")
        return None
    generator = load_checkpoint(own.generator).networks
    for part in begins_anew(generator, network):
        typer.echo(
            f"dgnet: {own.generator} has no {part.replace('_', ' ')}: it begins anew", err=True
        )
    return generator
