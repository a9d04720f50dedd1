"""Joint training of DG-Net (paper, section 3.3): the loop around `step`.

Schedule, data order and draws are pure functions of the iteration (see `run`); here they meet, and
the run shows what it makes: reconstructions and swaps of a fixed batch, every few hundred
iterations.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

import torch
from PIL import Image
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from dgnet.model.backbones import imagenet_efficientnet_lite0
from dgnet.model.checkpoints import Metadata, require_same_kind
from dgnet.model.config import ConfigError, NetworkConfig
from dgnet.model.data.pairs import PairBatch
from dgnet.model.data.transforms import denormalize
from dgnet.model.data.truth_batches import TruthTriples
from dgnet.model.devices import placed
from dgnet.model.dgnet import DGNet
from dgnet.model.evaluation.sheets.grids import swap_grid
from dgnet.model.teacher import Teacher
from dgnet.model.training.average import RunningAverage
from dgnet.model.training.config import JointConfig, require_equal_shares
from dgnet.model.training.draws import draw
from dgnet.model.training.encoder_step import EncoderStep
from dgnet.model.training.optimizers import joint_optimizers
from dgnet.model.training.schedule import (
    apply_learning_rate_factor,
    joint_learning_rate_factor,
    loss_weights,
)
from dgnet.model.training.step import JointStep
from dgnet.model.training.training_run import Learner, TrainingRun
from dgnet.model.training.validation import embedder_of

GRID_PICTURES = 6


@dataclass(frozen=True, kw_only=True)
class Start:
    """What the appearance encoder starts from."""

    imagenet: bool = True
    """ImageNet weights, where the backbone's are at hand."""
    from_teacher: bool = False
    """The teacher's backbone, and its head as the primary one: a head start for short schedules.
    The fine head starts anew: it must learn whose body a picture shows, and the teacher's, sure of
    whose clothes, would begin with a loss of 15 nats a picture that drowns all others."""


def train_joint(
    network: NetworkConfig,
    config: JointConfig,
    teacher: Teacher,
    run: TrainingRun,
    *,
    start: Start | None = None,
    truth: TruthTriples | None = None,
    generator: DGNet | None = None,
    offline: bool = False,
) -> tuple[DGNet, Metadata]:
    """Train E_a, E_s, G, the MLPs and D together.

    `truth` adds composites whose true picture is known, of rendered people. E_s, G, the MLPs and D
    start as those of `generator`, of other identities perhaps; `offline` leaves them as they are
    and lets E_a learn alone, also from what `generator` makes. Raises ConfigError where teacher,
    networks and data do not count the same identities, and for an offline run without a generator.
    """
    execution, workers, device, pictures = run.execution, run.workers, run.device, run.pictures
    share, directory = run.share, run.options.folder
    require_equal_shares(config.batch_size, config.accumulate, processes=workers.count)
    if truth:
        require_equal_shares(
            config.truth_batch_size,
            config.accumulate,
            processes=workers.count,
            name="truth_batch_size",
        )
    if offline and generator is None:
        raise ConfigError("an offline run learns from a finished DG-Net's pictures: name one")
    identities = teacher.head.classifier.out_features
    if not identities == network.identities == len(pictures.persons):
        raise ConfigError(
            f"the teacher knows {identities} identities, the networks are set to "
            f"{network.identities} and the pictures show {len(pictures.persons)}: train the "
            "teacher on the same folder"
        )
    require_same_kind(teacher, network)
    _require_detail_can_learn(network, config, truth=truth, generator=generator)
    torch.manual_seed(config.seed)  # pyright: ignore[reportUnknownMemberType]
    start = start or Start()
    networks = _started(network, teacher, start)
    if config.gentle_styles:
        networks.style_mlps.start_gently()
    if generator is not None:
        _copy_generator(generator, networks)
    teacher_version = _fingerprint(teacher)
    networks = placed(networks, device)
    teacher = placed(teacher, device)
    execution.prepare(networks)
    optimizers = joint_optimizers(networks, config)
    step = JointStep(networks, teacher, optimizers, config, autocast=run.autocast, workers=workers)
    execution.compile(step.compilable())
    alone = offline or config.ablation == "baseline"
    teaching = placed(generator, device) if generator and offline else None
    encoder_step = EncoderStep(step.parts, teaching)
    average = RunningAverage(networks, config.average) if config.average else None
    settings = {
        "network": network.to_json(),
        "joint": config.to_json(),
        "start": asdict(start),
        "true_composites": len(truth) if truth else 0,
        "teacher": teacher_version,
        "generator": _fingerprint(generator) if generator else None,
        "offline": offline,
    }
    kept: dict[str, nn.Module] = {"dgnet": networks}
    if average:
        kept["average"] = average
    shown = pictures.pair_batch(0, GRID_PICTURES, config.seed)

    def iterate(iteration: int) -> dict[str, Tensor]:
        for optimizer in optimizers.by_name().values():
            apply_learning_rate_factor(optimizer, joint_learning_rate_factor(config, iteration))
        batch = pictures.pair_batch(iteration, config.batch_size, config.seed, share)
        weights, draws = loss_weights(config, iteration), draw(config.seed, iteration, share)
        if alone:
            return encoder_step(batch, weights, draws)
        known = None
        if truth is not None:
            known = truth.batch(iteration, config.truth_batch_size, config.seed, share)
        losses = step(batch, weights, draws, known)
        if average:
            average.update(iteration)
        return losses

    def learned() -> DGNet:
        return average.put_into(networks) if average else networks

    def scalars(iteration: int) -> dict[str, float]:
        weights = loss_weights(config, iteration)
        return {
            "schedule/learning_rate_factor": joint_learning_rate_factor(config, iteration),
            "schedule/primary": weights.primary,
            "schedule/cycle_reconstruction": weights.cycle_reconstruction,
        }

    def show(number: int) -> None:
        if alone:  # its composites are nobody's aim
            return
        folder = directory / "grids"
        folder.mkdir(parents=True, exist_ok=True)
        draw_grid(learned(), shown).save(folder / f"{number:06d}.png")
        step.start_learning()

    metadata = run.train(
        Learner(
            config=config,
            settings=settings,
            networks=kept,
            optimizers=optimizers.by_name(),
            step=iterate,
            scalars=scalars,
            measure=lambda validation: validation.measure(embedder_of(networks, device), device),
            teacher=teacher,
            learned=learned,
            show=show,
            truth=truth,
        )
    )
    return learned(), metadata


def _require_detail_can_learn(
    network: NetworkConfig,
    config: JointConfig,
    *,
    truth: TruthTriples | None,
    generator: DGNet | None,
) -> None:
    taught = truth is not None or (generator is not None and generator.scene_mask is not None)
    if network.keep_scene and not taught:
        raise ConfigError(
            "the mask that keeps the scene learns from true composites alone, and there are "
            "none: give triples (--truth; `dgnet people render --truth` makes some) or a "
            "generator to start from whose mask has learned (--generator)"
        )
    if network.look_up_clothes and config.appearance_learns != "heads":
        raise ConfigError(
            f"appearance_learns is {config.appearance_learns!r}; the look-up of clothes reads the "
            "backbone of E_a, which must stand still: set appearance_learns=heads"
        )


def draw_grid(networks: DGNet, batch: PairBatch) -> Image.Image:
    """Every appearance of the batch on every structure; the diagonal is self-reconstruction."""
    images = batch.images_a
    rows = images.shape[0]
    networks.eval()
    with torch.no_grad():
        structures = networks.structure(images)[list(range(rows)) * rows]
        appearances = networks.appearance(images).each(
            lambda part: part.repeat_interleave(rows, dim=0)
        )
        keep_scene = torch.ones(len(structures), dtype=torch.bool)
        composites = networks.compose(appearances, structures).composites(
            structures, keep_scene=keep_scene
        )
    pixels = denormalize(images).cpu().numpy()
    made = denormalize(composites.images).cpu().numpy()
    return swap_grid(pixels, pixels, made.reshape(rows, rows, *made.shape[1:]))


def _fingerprint(network: nn.Module) -> str:
    """Of all weights, so that a run is not resumed with another teacher."""
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    return hashlib.sha256(save_tensors(tensors)).hexdigest()[:12]


def _copy_generator(source: DGNet, target: DGNet) -> None:
    """Everything that `source` has; what it has not begins anew (see `begins_anew`)."""
    theirs = {**source.generator_parts, "discriminator": source.discriminator}
    ours = {**target.generator_parts, "discriminator": target.discriminator}
    for name in theirs.keys() & ours.keys():
        try:
            ours[name].load_state_dict(theirs[name].state_dict())
        except RuntimeError as error:
            raise ConfigError(
                f"the {name.replace('_', ' ')} to start from has other sizes "
                f"({source.config.to_json()}) than the networks to train "
                f"({target.config.to_json()}): expected one preset"
            ) from error


def begins_anew(source: DGNet, network: NetworkConfig) -> list[str]:
    """Parts of the networks to train that the generator to start from does not have."""
    wanted = {
        "clothes_lookup": network.look_up_clothes,
        "full_size_structure": network.full_size_structure,
        "scene_mask": network.keep_scene,
    }
    return [name for name, on in wanted.items() if on and name not in source.generator_parts]


def _started(network: NetworkConfig, teacher: Teacher, start: Start) -> DGNet:
    networks = DGNet(network)
    encoder = networks.appearance_encoder
    if start.from_teacher:
        encoder.backbone.load_state_dict(teacher.backbone.state_dict())
        encoder.primary.load_state_dict(teacher.head.state_dict())
    elif start.imagenet and network.backbone == "efficientnet_lite0":
        encoder.backbone.load_state_dict(imagenet_efficientnet_lite0())
    return networks
