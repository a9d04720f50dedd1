"""Joint training as a run: what it leaves, and that a resumed run equals an unbroken one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from tensorboard.backend.event_processing import (  # pyright: ignore[reportMissingTypeStubs]
    event_accumulator,
)

from dgnet.model.backbones import imagenet_efficientnet_lite0
from dgnet.model.checkpoints import CheckpointError, load_checkpoint
from dgnet.model.config import ConfigError, NetworkConfig
from dgnet.model.data.pairs import PairBatch, TrainingPictures
from dgnet.model.data.persons import PersonIndex
from dgnet.model.data.shares import WHOLE, Share
from dgnet.model.data.truth_batches import TruthTriples
from dgnet.model.teacher import Teacher
from dgnet.model.training.config import GeneratorOptimizer, JointConfig
from dgnet.model.training.joint import train_joint
from dgnet.model.training.run import RunOptions, TrainingDiverged
from dgnet.model.training.state import saved_iterations
from dgnet.model.training.training_run import TrainingRun
from tests.model.tiny import HEIGHT, PERSONS, WIDTH, tiny_network, write_people, write_triples

ITERATIONS = 6
CONFIG = JointConfig(
    iterations=ITERATIONS,
    batch_size=2,
    seed=5,
    # The ramps start inside the run, one iteration before the interruption below.
    warmup_start=1,
    warmup_rate=0.4,
    milestones=(4,),
)


@pytest.fixture
def network() -> NetworkConfig:
    return tiny_network()


@pytest.fixture
def pictures(tmp_path: Path) -> TrainingPictures:
    return TrainingPictures.load(write_people(tmp_path / "bounding_box_train"), HEIGHT, WIDTH)


def _losses(directory: Path) -> dict[str, list[tuple[int, float]]]:
    # The package has no annotations.
    events = cast(Any, event_accumulator).EventAccumulator(str(directory / "tensorboard"))
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def _train(
    directory: Path,
    network: NetworkConfig,
    pictures: TrainingPictures,
    config: JointConfig = CONFIG,
    *,
    resume: bool = False,
    truth: TruthTriples | None = None,
    teacher_seed: int = 11,
) -> None:
    # The same teacher, whoever asks.
    torch.manual_seed(teacher_seed)  # pyright: ignore[reportUnknownMemberType]
    teacher = Teacher(network)
    options = RunOptions(
        directory=directory,
        log_every=1,
        grid_every=3,
        checkpoint_every=3,
        resume=resume,
        progress=False,
    )
    run = TrainingRun(pictures=pictures, options=options, device=torch.device("cpu"))
    train_joint(network, config, teacher, run, truth=truth)


def _triples(folder: Path) -> TruthTriples:
    persons = PersonIndex(tuple(range(1, PERSONS + 1)))
    return TruthTriples(write_triples(folder / "truth"), persons, height=HEIGHT, width=WIDTH)


class _Interrupted(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    tmp_path: Path,
    network: NetworkConfig,
    pictures: TrainingPictures,
    monkeypatch: pytest.MonkeyPatch,
    optimizer: GeneratorOptimizer,
) -> None:
    config = replace(CONFIG, generator_optimizer=optimizer)
    _train(tmp_path / "whole", network, pictures, config)

    original = pictures.pair_batch

    def interrupted(position: int, batch_size: int, seed: int, share: Share = WHOLE) -> PairBatch:
        if position == 5 and batch_size == CONFIG.batch_size:
            raise _Interrupted
        return original(position, batch_size, seed, share)

    monkeypatch.setattr(pictures, "pair_batch", interrupted)
    with pytest.raises(_Interrupted):
        _train(tmp_path / "broken", network, pictures, config)
    monkeypatch.undo()
    assert saved_iterations(tmp_path / "broken") == 3
    _train(tmp_path / "broken", network, pictures, config, resume=True)

    whole, broken = _losses(tmp_path / "whole"), _losses(tmp_path / "broken")
    assert [step for step, _ in whole["total"]] == [1, 2, 3, 4, 5, 6]
    assert {"primary", "fine", "cycle_reconstruction", "discriminator"} <= set(whole)
    assert broken == whole
    kept = [load_checkpoint(tmp_path / run / "checkpoint") for run in ("whole", "broken")]
    for name, tensor in kept[0].networks.state_dict().items():
        assert torch.equal(tensor, kept[1].networks.state_dict()[name]), name
    assert kept[0].metadata.sha256 == kept[1].metadata.sha256


def test_run_leaves_grids_state_and_a_checkpoint_with_its_teacher(
    tmp_path: Path, network: NetworkConfig, pictures: TrainingPictures
) -> None:
    _train(tmp_path / "run", network, pictures)
    assert sorted(path.name for path in (tmp_path / "run" / "grids").iterdir()) == [
        "000003.png",
        "000006.png",
    ]
    checkpoint = load_checkpoint(tmp_path / "run" / "checkpoint")
    assert checkpoint.teacher is not None
    assert checkpoint.metadata.training["joint"]["seed"] == 5
    assert not [path for path in (tmp_path / "run").iterdir() if path.name.startswith(".")]


def test_resume_with_other_settings_names_what_changed(
    tmp_path: Path, network: NetworkConfig, pictures: TrainingPictures
) -> None:
    _train(tmp_path / "run", network, pictures)
    with pytest.raises(CheckpointError, match=r"other settings \(joint\)"):
        _train(tmp_path / "run", network, pictures, replace(CONFIG, seed=6), resume=True)


def test_run_folder_is_never_overwritten(
    tmp_path: Path, network: NetworkConfig, pictures: TrainingPictures
) -> None:
    _train(tmp_path / "run", network, pictures)
    with pytest.raises(CheckpointError, match="already holds a run"):
        _train(tmp_path / "run", network, pictures)


def test_diverging_run_stops_and_says_what_to_do(
    tmp_path: Path, network: NetworkConfig, pictures: TrainingPictures
) -> None:
    wild = replace(CONFIG, generator_learning_rate=1e30)
    with pytest.raises(TrainingDiverged, match="not a finite number"):
        _train(tmp_path / "run", network, pictures, wild)


def test_teacher_of_other_people_is_refused(
    tmp_path: Path, network: NetworkConfig, pictures: TrainingPictures
) -> None:
    options = RunOptions(directory=tmp_path / "run", progress=False)
    run = TrainingRun(pictures=pictures, options=options, device=torch.device("cpu"))
    teacher = Teacher(replace(network, identities=PERSONS + 1))
    with pytest.raises(ConfigError, match="teacher knows 4 identities"):
        train_joint(network, CONFIG, teacher, run)


def test_reconstruction_first_leaves_the_encoder_alone_and_decodes_only_what_it_needs(
    tmp_path: Path, network: NetworkConfig, pictures: TrainingPictures
) -> None:
    config = replace(CONFIG, reconstruction_first=True, warmup_start=3)
    truth = _triples(tmp_path)
    _train(tmp_path / "run", network, pictures, config, truth=truth)
    losses = _losses(tmp_path / "run")
    assert [step for step, _ in losses["truth"]] == [1, 2, 3, 4, 5, 6]
    # Iterations 0 to 3 reconstruct only, and the ramp is above zero from the fifth on.
    for name in ("self_reconstruction", "identity", "adversarial", "identity_generated"):
        assert [step for step, _ in losses[name]] == [5, 6], name
    total, truths, same = (
        dict(losses[name])[1] for name in ("total", "truth", "same_person_reconstruction")
    )
    assert total == pytest.approx(10 * truths + 5 * same, rel=1e-5)


def test_resume_with_another_teacher_is_refused(
    tmp_path: Path, network: NetworkConfig, pictures: TrainingPictures
) -> None:
    _train(tmp_path / "run", network, pictures)
    with pytest.raises(CheckpointError, match=r"other settings \(teacher\)"):
        _train(tmp_path / "run", network, pictures, resume=True, teacher_seed=12)


def test_true_composites_change_what_is_learned_and_resume_asks_for_them_again(
    tmp_path: Path, network: NetworkConfig, pictures: TrainingPictures
) -> None:
    truth = _triples(tmp_path)
    _train(tmp_path / "with", network, pictures, truth=truth)
    _train(tmp_path / "without", network, pictures)
    checkpoints = [load_checkpoint(tmp_path / run / "checkpoint") for run in ("with", "without")]
    assert checkpoints[0].metadata.training["true_composites"] == 5
    assert checkpoints[0].metadata.sha256 != checkpoints[1].metadata.sha256
    with pytest.raises(CheckpointError, match=r"other settings \(true_composites\)"):
        _train(tmp_path / "with", network, pictures, resume=True)


@pytest.mark.parametrize("batch_statistics", [True, False])
def test_the_encoders_running_statistics_move_only_where_batches_set_them(
    tmp_path: Path, network: NetworkConfig, pictures: TrainingPictures, batch_statistics: bool
) -> None:
    config = replace(CONFIG, appearance_batch_statistics=batch_statistics)
    _train(tmp_path / "run", network, pictures, config)
    encoder = load_checkpoint(tmp_path / "run" / "checkpoint").networks.appearance_encoder
    started = imagenet_efficientnet_lite0()  # what this run's encoder starts from
    moved = {
        name: not torch.equal(tensor, started[name])
        for name, tensor in encoder.backbone.state_dict().items()
        if name.endswith("running_mean")
    }
    assert moved
    assert set(moved.values()) == {batch_statistics}
    head_means = encoder.primary.normalize.running_mean
    assert head_means is not None
    assert bool(head_means.any())  # the heads' always move


def test_heads_alone_learn_from_the_first_iteration_and_the_backbone_keeps_its_weights(
    tmp_path: Path, network: NetworkConfig, pictures: TrainingPictures
) -> None:
    weights = replace(CONFIG.final_weights, truth_identity=1.0)
    config = replace(
        CONFIG,
        reconstruction_first=True,
        warmup_start=3,
        appearance_learns="heads",
        final_weights=weights,
    )
    _train(tmp_path / "run", network, pictures, config, truth=_triples(tmp_path))
    losses = _losses(tmp_path / "run")
    for name in ("identity", "truth_identity", "truth_fine", "fine_real"):
        assert [step for step, _ in losses[name]] == [1, 2, 3, 4, 5, 6], name
    # Squared errors count until the ramp starts, whatever the heads do.
    total = {name: dict(values)[1] for name, values in losses.items() if len(values) == 6}
    assert total["total"] == pytest.approx(
        10 * total["truth"]
        + 5 * total["same_person_reconstruction"]
        + total["identity"]
        + total["identity_positive"]
        + total["truth_identity"]
        + 0.2 * (total["truth_fine"] + total["fine_real"]),
        rel=1e-5,
    )
    encoder = load_checkpoint(tmp_path / "run" / "checkpoint").networks.appearance_encoder
    started = imagenet_efficientnet_lite0()  # what this run's encoder starts from
    for name, tensor in encoder.backbone.state_dict().items():
        assert torch.equal(tensor, started[name]), name
    for head in (encoder.primary, encoder.fine):
        assert bool(head.classifier.bias.any())  # zero at the start
