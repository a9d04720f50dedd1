"""Ablations of joint training: what E_a learns from generated pictures, and from whose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dgnet.model.config import ConfigError, NetworkConfig
from dgnet.model.data.pairs import TrainingPictures
from dgnet.model.dgnet import DGNet
from dgnet.model.teacher import Teacher
from dgnet.model.training.config import Ablation, JointConfig
from dgnet.model.training.draws import draw
from dgnet.model.training.joint import train_joint
from dgnet.model.training.micro_batches import Losses
from dgnet.model.training.optimizers import joint_optimizers
from dgnet.model.training.run import RunOptions
from dgnet.model.training.schedule import loss_weights
from dgnet.model.training.starting import Start
from dgnet.model.training.step import JointStep
from dgnet.model.training.training_run import TrainingRun
from tests.model.tiny import HEIGHT, WIDTH, tiny_network, write_people

CONFIG = JointConfig(iterations=2, batch_size=2, seed=5, warmup_start=0, warmup_rate=1.0)
GENERATOR = ("structure_encoder", "style_mlps", "decoder", "discriminator")


@pytest.fixture
def pictures(tmp_path: Path) -> TrainingPictures:
    return TrainingPictures.load(write_people(tmp_path / "bounding_box_train"), HEIGHT, WIDTH)


def _seeded(seed: int) -> None:
    torch.manual_seed(seed)  # pyright: ignore[reportUnknownMemberType]


def _one_step(
    pictures: TrainingPictures, ablation: Ablation, *, asked: list[Tensor] | None = None
) -> tuple[Losses, DGNet]:
    """Losses of a step with every loss on, and the networks with the gradients it left."""
    _seeded(1)
    network = tiny_network()
    networks, teacher = DGNet(network), Teacher(network)
    config = CONFIG.ablated(ablation)
    step = JointStep(networks, teacher, joint_optimizers(networks, config), config)
    if asked is not None:
        twin = step.parts.twins.teacher
        twin.register_forward_pre_hook(lambda _, inputs: asked.append(inputs[0]))
    losses = step(pictures.pair_batch(0, 2, 5), loss_weights(config, 1), draw(5, 1))
    return losses, networks


def _moves(head: nn.Module) -> bool:
    return any(
        weight.grad is not None and bool(weight.grad.abs().sum()) for weight in head.parameters()
    )


def test_both_teaches_both_heads(pictures: TrainingPictures) -> None:
    losses, networks = _one_step(pictures, "both")
    assert {"primary", "fine", "fine_real"} <= losses.keys()
    assert _moves(networks.appearance_encoder.fine)


def test_primary_only_leaves_the_fine_head_alone(pictures: TrainingPictures) -> None:
    losses, networks = _one_step(pictures, "primary")
    assert "primary" in losses
    assert not _moves(networks.appearance_encoder.fine)


def test_fine_only_never_asks_the_teacher(pictures: TrainingPictures) -> None:
    asked: list[Tensor] = []
    _one_step(pictures, "both", asked=asked)
    assert asked, "the hook hears the teacher"
    asked.clear()
    losses, networks = _one_step(pictures, "fine", asked=asked)
    assert "primary" not in losses
    assert not asked
    assert _moves(networks.appearance_encoder.fine)


def _train(
    directory: Path,
    pictures: TrainingPictures,
    config: JointConfig,
    *,
    generator: DGNet | None = None,
    offline: bool = False,
    network: NetworkConfig | None = None,
    start: Start | None = None,
) -> DGNet:
    _seeded(11)
    network = network or tiny_network()
    networks, _ = train_joint(
        network,
        config,
        Teacher(network),
        TrainingRun(
            pictures=pictures,
            options=RunOptions(directory=directory, progress=False),
            device=torch.device("cpu"),
        ),
        start=start,
        generator=generator,
        offline=offline,
    )
    return networks


def _generator() -> DGNet:
    """Of other identities than those that train."""
    _seeded(2)
    return DGNet(tiny_network(identities=5))


def _equal(one: nn.Module, other: nn.Module) -> bool:
    return all(
        torch.equal(mine, theirs)
        for mine, theirs in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


def test_baseline_learns_from_real_pictures_and_touches_nothing_else(
    tmp_path: Path, pictures: TrainingPictures
) -> None:
    generator = _generator()
    networks = _train(tmp_path / "run", pictures, CONFIG.ablated("baseline"), generator=generator)
    for name in GENERATOR:
        assert _equal(getattr(networks, name), getattr(generator, name))
    _seeded(CONFIG.seed)
    fresh = DGNet(tiny_network()).appearance_encoder
    assert not _equal(networks.appearance_encoder.primary, fresh.primary)


def test_offline_run_learns_from_the_pictures_of_a_generator_that_stands_still(
    tmp_path: Path, pictures: TrainingPictures
) -> None:
    generator = _generator()
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    offline = _train(tmp_path / "offline", pictures, CONFIG, generator=generator, offline=True)
    for name in GENERATOR:
        assert _equal(getattr(offline, name), getattr(generator, name))
    for name, value in generator.state_dict().items():
        assert torch.equal(value, before[name]), name
    baseline = _train(tmp_path / "baseline", pictures, CONFIG.ablated("baseline"))
    assert not _equal(offline.appearance_encoder, baseline.appearance_encoder)


def test_joint_run_starts_from_a_generator_and_changes_it(
    tmp_path: Path, pictures: TrainingPictures
) -> None:
    generator = _generator()
    still = replace(CONFIG, iterations=1, generator_learning_rate=0.0)
    networks = _train(tmp_path / "still", pictures, still, generator=generator)
    assert _equal(networks.decoder, generator.decoder)
    networks = _train(tmp_path / "learning", pictures, CONFIG, generator=generator)
    assert not _equal(networks.decoder, generator.decoder)


def test_offline_run_without_a_generator_is_refused(
    tmp_path: Path, pictures: TrainingPictures
) -> None:
    with pytest.raises(ConfigError, match="finished DG-Net"):
        _train(tmp_path / "run", pictures, CONFIG, offline=True)


def test_generator_of_other_sizes_is_refused(tmp_path: Path, pictures: TrainingPictures) -> None:
    other = DGNet(tiny_network(decoder_channels=16))
    with pytest.raises(ConfigError, match="other sizes"):
        _train(tmp_path / "run", pictures, CONFIG, generator=other)


def test_fine_head_starts_anew_where_the_rest_of_the_encoder_starts_from_the_teacher(
    tmp_path: Path, pictures: TrainingPictures
) -> None:
    still = replace(CONFIG, iterations=1, appearance_learning_rate=0.0, head_learning_rate=0.0)
    networks = _train(tmp_path / "run", pictures, still, start=Start(from_teacher=True))
    _seeded(11)
    head = Teacher(tiny_network()).head.classifier.weight
    assert torch.equal(networks.appearance_encoder.primary.classifier.weight, head)
    assert not torch.equal(networks.appearance_encoder.fine.classifier.weight, head)
