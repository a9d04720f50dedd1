"""Joint training of DG-Net (paper, section 3.3): the loop around `step`.

Schedule, data order and draws are pure functions of the iteration (see `run`); here they meet, and
the run shows what it makes: reconstructions and swaps of a fixed batch, every few hundred
iterations. What the networks begin from is told in `starting`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from dgnet.model.checkpoints import Metadata, require_same_kind
from dgnet.model.config import ConfigError, NetworkConfig
from dgnet.model.data.pairs import PairBatch
from dgnet.model.data.transforms import denormalize
from dgnet.model.data.truth_batches import TruthTriples
from dgnet.model.devices import placed
from dgnet.model.dgnet import DGNet
from dgnet.model.evaluation.sheets.grids import swap_grid
from dgnet.model.imagenet_features import ImageNetFeatures
from dgnet.model.teacher import Teacher
from dgnet.model.training.average import RunningAverage
from dgnet.model.training.config import JointConfig, require_equal_shares
from dgnet.model.training.draws import draw
from dgnet.model.training.encoder_step import EncoderStep
from dgnet.model.training.optimizers import joint_optimizers
from dgnet.model.training.pace import Moment
from dgnet.model.training.schedule import (
    apply_learning_rate_factor,
    joint_learning_rate_factor,
    loss_weights,
)
from dgnet.model.training.starting import (
    Start,
    fingerprint,
    require_detail_can_learn,
    starting_networks,
)
from dgnet.model.training.step import JointStep
from dgnet.model.training.training_run import Learner, TrainingRun
from dgnet.model.training.validation import Validation, embedder_of

GRID_PICTURES = 6
FEATURE_STRIDES = 3
"""Strides 2, 4 and 8: the coarser ones tell what is shown, which the other losses know better."""


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
    _require_equal_shares(config, run, truth)
    if truth is not None and truth.of_strangers and config.final_weights.truth_identity:
        raise ConfigError(
            "truth_identity is set, and the true composites show strangers: nobody's label is known"
        )
    if offline and generator is None:
        raise ConfigError("an offline run learns from a finished DG-Net's pictures: name one")
    _require_same_identities(network, teacher, run)
    require_same_kind(teacher, network)
    require_detail_can_learn(network, config, has_truth=truth is not None, generator=generator)
    torch.manual_seed(config.seed)  # pyright: ignore[reportUnknownMemberType]
    start = start or Start()
    networks = starting_networks(network, config, teacher, start, generator)
    settings = {
        "network": network.to_json(),
        "joint": config.to_json(),
        "start": asdict(start),
        "true_composites": len(truth) if truth else 0,
        "teacher": fingerprint(teacher),
        "generator": fingerprint(generator) if generator else None,
        "offline": offline,
    }
    networks, teacher = placed(networks, run.device), placed(teacher, run.device)
    training = _JointTraining(
        networks,
        teacher,
        config,
        run,
        truth=truth,
        alone=offline or config.ablation == "baseline",
        generator=placed(generator, run.device) if generator and offline else None,
    )
    metadata = run.train(training.learner(settings))
    return training.learned(), metadata


class _JointTraining:
    """The networks of a run and the answers to what the loop asks of them."""

    def __init__(
        self,
        networks: DGNet,
        teacher: Teacher,
        config: JointConfig,
        run: TrainingRun,
        *,
        truth: TruthTriples | None,
        alone: bool,
        generator: DGNet | None,
    ) -> None:
        """E_a learns `alone`, from real pictures and from what `generator` makes, if any."""
        self._networks, self._teacher, self._config, self._run = networks, teacher, config, run
        self._truth, self._alone = truth, alone
        run.execution.prepare(networks)
        self._optimizers = joint_optimizers(networks, config)
        self._step = JointStep(
            networks,
            teacher,
            self._optimizers,
            config,
            autocast=run.autocast,
            workers=run.workers,
            features=_features(config, run.device) if truth is not None else None,
        )
        run.execution.compile(self._step.compilable())
        self._encoder_step = EncoderStep(self._step.parts, generator)
        self._average = RunningAverage(networks, config.average) if config.average else None
        self._shown = run.pictures.pair_batch(0, GRID_PICTURES, config.seed)

    def learner(self, settings: dict[str, Any]) -> Learner:
        """What the run is given; `settings` as `Learner` describes them."""
        kept: dict[str, nn.Module] = {"dgnet": self._networks}
        if self._average:
            kept["average"] = self._average
        return Learner(
            config=self._config,
            settings=settings,
            networks=kept,
            optimizers=self._optimizers.by_name(),
            step=self._iterate,
            scalars=self._scalars,
            measure=self._measure,
            teacher=self._teacher,
            learned=self.learned,
            show=self._show,
            truth=self._truth,
        )

    def learned(self) -> DGNet:
        """The networks, with averaged weights where the run averages them."""
        return self._average.put_into(self._networks) if self._average else self._networks

    def _iterate(self, moment: Moment) -> dict[str, Tensor]:
        config, share, iteration = self._config, self._run.share, moment.number
        factor = joint_learning_rate_factor(config, moment.position)
        for optimizer in self._optimizers.by_name().values():
            apply_learning_rate_factor(optimizer, factor)
        pictures = self._run.pictures
        batch = pictures.pair_batch(iteration, config.batch_size, config.seed, share)
        weights, draws = loss_weights(config, moment.position), draw(config.seed, iteration, share)
        if self._alone:
            return self._encoder_step(batch, weights, draws)
        known = None
        if self._truth is not None:
            known = self._truth.batch(iteration, config.truth_batch_size, config.seed, share)
        losses = self._step(batch, weights, draws, known)
        if self._average:
            self._average.update(iteration, moment.advance)
        return losses

    def _scalars(self, position: float) -> dict[str, float]:
        weights = loss_weights(self._config, position)
        return {
            "schedule/learning_rate_factor": joint_learning_rate_factor(self._config, position),
            "schedule/primary": weights.primary,
            "schedule/cycle_reconstruction": weights.cycle_reconstruction,
        }

    def _measure(self, validation: Validation) -> dict[str, float]:
        device = self._run.device
        return validation.measure(embedder_of(self._networks, device), device)

    def _show(self, number: int) -> None:
        if self._alone:  # its composites are nobody's aim
            return
        folder = self._run.options.folder / "grids"
        folder.mkdir(parents=True, exist_ok=True)
        draw_grid(self.learned(), self._shown).save(folder / f"{number:06d}.png")
        self._step.start_learning()


def _require_equal_shares(
    config: JointConfig, run: TrainingRun, truth: TruthTriples | None
) -> None:
    processes = run.workers.count
    require_equal_shares(config.batch_size, config.accumulate, processes=processes)
    if truth:
        require_equal_shares(
            config.truth_batch_size,
            config.accumulate,
            processes=processes,
            name="truth_batch_size",
        )


def _require_same_identities(network: NetworkConfig, teacher: Teacher, run: TrainingRun) -> None:
    identities, shown = teacher.head.classifier.out_features, len(run.pictures.persons)
    if not identities == network.identities == shown:
        raise ConfigError(
            f"the teacher knows {identities} identities, the networks are set to "
            f"{network.identities} and the pictures show {shown}: train the teacher on the same "
            "folder"
        )


def _features(config: JointConfig, device: torch.device) -> ImageNetFeatures | None:
    if not config.final_weights.truth_features:
        return None
    return placed(ImageNetFeatures.load(FEATURE_STRIDES), device)


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
        keep_scene = [True] * len(structures)
        composites = networks.compose(appearances, structures).composites(
            structures, keep_scene=keep_scene
        )
    pixels = denormalize(images).cpu().numpy()
    made = denormalize(composites).cpu().numpy()
    return swap_grid(pixels, pixels, made.reshape(rows, rows, *made.shape[1:]))
