"""Training of the preset `detail`: what its losses are, what it starts from, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor

from dgnet.model.checkpoints import Checkpoint, load_checkpoint
from dgnet.model.config import ConfigError, NetworkConfig
from dgnet.model.data.pairs import TrainingPictures
from dgnet.model.data.persons import PersonIndex
from dgnet.model.data.shares import WHOLE, Share
from dgnet.model.data.truth_batches import TruthBatch, TruthTriples
from dgnet.model.dgnet import DETAIL_PARTS, DGNet
from dgnet.model.imagenet_features import ImageNetFeatures
from dgnet.model.losses import inside_loss, mask_loss
from dgnet.model.teacher import Teacher
from dgnet.model.training.average import RunningAverage
from dgnet.model.training.config import JointConfig, LossWeights
from dgnet.model.training.draws import draw
from dgnet.model.training.joint import train_joint
from dgnet.model.training.optimizers import joint_optimizers
from dgnet.model.training.run import RunOptions
from dgnet.model.training.schedule import joint_learning_rate_factor, loss_weights
from dgnet.model.training.starting import begins_anew
from dgnet.model.training.step import JointStep
from dgnet.model.training.training_run import TrainingRun
from tests.model.tiny import (
    HEIGHT,
    PERSONS,
    WIDTH,
    tiny_detail,
    tiny_network,
    write_people,
    write_triples,
)

CONFIG = JointConfig(
    iterations=4,
    batch_size=2,
    truth_batch_size=2,
    seed=5,
    warmup_start=1,
    warmup_rate=0.4,
    appearance_learns="heads",
    generator_optimizer="muon",
    average=0.9,
    cosine=True,
    rate_warmup=2,
    clip_gradient=1.0,
)
TRUTHS_ALONE = replace(
    CONFIG.final_weights,
    adversarial=0.0,
    self_reconstruction=0.0,
    same_person_reconstruction=0.0,
    appearance_code_reconstruction=0.0,
    structure_code_reconstruction=0.0,
    cycle_reconstruction=0.0,
    identity=0.0,
    identity_positive=0.0,
    identity_generated=0.0,
    primary=0.0,
)


@pytest.fixture
def pictures(tmp_path: Path) -> TrainingPictures:
    return TrainingPictures.load(write_people(tmp_path / "bounding_box_train"), HEIGHT, WIDTH)


@pytest.fixture
def triples(tmp_path: Path) -> TruthTriples:
    persons = PersonIndex(tuple(range(1, PERSONS + 1)))
    return TruthTriples(write_triples(tmp_path / "truth"), persons, height=HEIGHT, width=WIDTH)


def seeded(config: NetworkConfig) -> tuple[DGNet, Teacher]:
    torch.manual_seed(11)  # pyright: ignore[reportUnknownMemberType]
    return DGNet(config), Teacher(config)


def train(
    folder: Path,
    pictures: TrainingPictures,
    truth: TruthTriples | None,
    *,
    network: NetworkConfig | None = None,
    config: JointConfig = CONFIG,
    generator: DGNet | None = None,
    resume: bool = False,
    save_every: int = 2,
) -> Checkpoint:
    network = network or tiny_detail()
    options = RunOptions(
        directory=folder, log_every=1, grid_every=4, checkpoint_every=save_every,
        resume=resume, progress=False,
    )  # fmt: skip
    train_joint(
        network,
        config,
        seeded(network)[1],
        TrainingRun(pictures=pictures, options=options, device=torch.device("cpu")),
        truth=truth,
        generator=generator,
    )
    return load_checkpoint(folder / "checkpoint")


def weights_of(networks: DGNet) -> dict[str, Tensor]:
    return cast(dict[str, Tensor], networks.state_dict())


def step_of(config: JointConfig) -> JointStep:
    networks, teacher = seeded(tiny_detail())
    return JointStep(networks, teacher, joint_optimizers(networks, config), config)


def test_a_step_with_every_loss_teaches_every_part(
    pictures: TrainingPictures, triples: TruthTriples
) -> None:
    config = replace(CONFIG, final_weights=LossWeights(truth_identity=1.0))
    step = step_of(config)
    before = {name: tensor.clone() for name, tensor in weights_of(step.networks).items()}
    losses = step(
        pictures.pair_batch(0, 2, 1), config.final_weights, draw(1, 0), triples.batch(0, 2, 1)
    )
    assert {
        "truth", "truth_mask", "truth_inside", "truth_colours", "truth_identity", "adversarial",
        "cycle_reconstruction", "self_reconstruction", "identity_generated", "fine",
        "discriminator",
    } <= set(losses)  # fmt: skip
    assert all(bool(loss.isfinite()) for loss in losses.values())
    after = weights_of(step.networks)
    for part in (*step.networks.generator_parts, "discriminator"):
        assert any(
            not torch.equal(before[name], after[name])
            for name in before
            if name.startswith(f"{part}.")
        ), part
    for name in before:
        if name.startswith("appearance_encoder.backbone"):
            assert torch.equal(before[name], after[name]), "the look-up reads a still backbone"


def test_a_step_on_truths_alone_looks_at_no_pairs(
    pictures: TrainingPictures, triples: TruthTriples, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = step_of(CONFIG)
    monkeypatch.setattr(step, "forward", None)  # would raise
    losses = step(pictures.pair_batch(0, 2, 1), TRUTHS_ALONE, draw(1, 0), triples.batch(0, 2, 1))
    assert set(losses) == {"truth", "truth_mask", "truth_inside", "truth_colours", "total"}


def test_the_total_is_the_weighted_sum(pictures: TrainingPictures, triples: TruthTriples) -> None:
    weights = replace(TRUTHS_ALONE, truth=2.0, truth_mask=0.5, truth_inside=3.0, truth_colours=0.25)
    step = step_of(CONFIG)
    found = step(pictures.pair_batch(0, 2, 1), weights, draw(1, 0), triples.batch(0, 2, 1))
    by_hand = (
        2 * found["truth"] + 0.5 * found["truth_mask"] + 3 * found["truth_inside"]
        + 0.25 * found["truth_colours"]
    )  # fmt: skip
    assert float(found["total"]) == pytest.approx(float(by_hand), rel=1e-5)


def test_features_of_the_composites_are_compared_with_the_truths_where_asked(
    pictures: TrainingPictures, triples: TruthTriples
) -> None:
    networks, teacher = seeded(tiny_detail())
    features = ImageNetFeatures.load(strides=3)
    before = {name: tensor.clone() for name, tensor in features.state_dict().items()}
    step = JointStep(
        networks, teacher, joint_optimizers(networks, CONFIG), CONFIG, features=features
    )
    losses = step(
        pictures.pair_batch(0, 2, 1),
        replace(TRUTHS_ALONE, truth_features=0.5),
        draw(1, 0),
        triples.batch(0, 2, 1),
    )
    assert 0 < float(losses["truth_features"]) < 2
    others = [float(losses[f"truth{name}"]) for name in ("", "_mask", "_inside", "_colours")]
    weights = [getattr(TRUTHS_ALONE, f"truth{n}") for n in ("", "_mask", "_inside", "_colours")]
    by_hand = sum(w * x for w, x in zip(weights, others, strict=True))
    by_hand += 0.5 * float(losses["truth_features"])
    assert float(losses["total"]) == pytest.approx(by_hand, rel=1e-5)
    assert all(torch.equal(before[name], value) for name, value in features.state_dict().items())


def test_the_adversary_judges_composites_beside_their_truths_where_asked(
    pictures: TrainingPictures, triples: TruthTriples
) -> None:
    networks, teacher = seeded(tiny_detail())
    step = JointStep(networks, teacher, joint_optimizers(networks, CONFIG), CONFIG)
    before = [weight.detach().clone() for weight in networks.discriminator.parameters()]
    losses = step(
        pictures.pair_batch(0, 2, 1),
        replace(TRUTHS_ALONE, truth_adversarial=0.25),
        draw(1, 0),
        triples.batch(0, 2, 1),
    )
    assert any(
        not torch.equal(old, new)
        for old, new in zip(before, networks.discriminator.parameters(), strict=True)
    )
    # Three scales of patches that D, hardly begun, gives about 0: (0 - 1)^2, doubled; and for D
    # itself both sides of the least squares, doubled.
    assert float(losses["truth_adversarial"]) == pytest.approx(6, rel=0.2)
    assert float(losses["truth_discriminator"]) == pytest.approx(6, rel=0.2)
    by_hand = sum(
        getattr(TRUTHS_ALONE, f"truth{name}") * float(losses[f"truth{name}"])
        for name in ("", "_mask", "_inside", "_colours")
    )
    by_hand += 0.25 * float(losses["truth_adversarial"])
    assert float(losses["total"]) == pytest.approx(by_hand, rel=1e-5)


def test_the_adversary_of_truths_wants_whole_steps() -> None:
    weights = replace(TRUTHS_ALONE, truth_adversarial=0.25)
    with pytest.raises(ConfigError, match="accumulate is 2"):
        replace(CONFIG, batch_size=2, accumulate=2, final_weights=weights)


def test_errors_are_counted_inside_alone() -> None:
    generated, target = torch.full((1, 3, 2, 2), 2.0), torch.zeros(1, 3, 2, 2)
    mask = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])
    # Two pixels of three values, each off by 2: 12, over 6 values and the 1 that keeps from 0.
    assert float(inside_loss(generated, target, mask)) == pytest.approx(12 / 7)
    assert float(inside_loss(generated, target, torch.zeros_like(mask))) == 0


def test_a_mask_that_says_nothing_costs_ln_2() -> None:
    assert float(mask_loss(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))) == pytest.approx(
        0.693147, abs=1e-5
    )


def test_a_resumed_run_equals_an_uninterrupted_one(
    tmp_path: Path,
    pictures: TrainingPictures,
    triples: TruthTriples,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = train(tmp_path / "whole", pictures, triples)
    batch = triples.batch

    def interrupted(position: int, batch_size: int, seed: int, share: Share = WHOLE) -> TruthBatch:
        if position == 3:
            raise KeyboardInterrupt
        return batch(position, batch_size, seed, share)

    monkeypatch.setattr(triples, "batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "broken", pictures, triples)
    monkeypatch.undo()
    broken = train(tmp_path / "broken", pictures, triples, resume=True)
    for name, tensor in weights_of(whole.networks).items():
        assert torch.equal(tensor, weights_of(broken.networks)[name]), name


def test_the_checkpoint_holds_the_running_average() -> None:
    networks, _ = seeded(tiny_detail())
    average = RunningAverage(networks, share=0.5)
    first = next(iter(networks.decoder.parameters()))
    with torch.no_grad():
        first.zero_()
        average.update(0)  # the first share is 1/10: nearly all of the start is forgotten
        first.fill_(1.0)
        average.update(100)
    averaged = next(iter(average.put_into(networks).decoder.parameters()))
    start = next(iter(seeded(tiny_detail())[0].decoder.parameters()))
    assert torch.allclose(averaged, 0.5 * (0.1 * start) + 0.5, atol=1e-6)
    assert torch.equal(first, torch.ones_like(first)), "what learns stays as it is"


def test_a_mask_that_nothing_teaches_is_refused(tmp_path: Path, pictures: TrainingPictures) -> None:
    small = seeded(tiny_network())[0]
    for generator in (None, small):
        with pytest.raises(ConfigError, match="learns from true composites alone"):
            train(tmp_path / "run", pictures, None, generator=generator)


def test_a_mask_that_has_learned_goes_on_without_truths(
    tmp_path: Path, pictures: TrainingPictures
) -> None:
    generator = seeded(tiny_detail())[0]
    trained = train(tmp_path / "run", pictures, None, generator=generator).networks
    assert trained.scene_mask is not None
    assert generator.scene_mask is not None
    for own, start in zip(
        trained.scene_mask.parameters(), generator.scene_mask.parameters(), strict=True
    ):
        assert torch.equal(own, start), "only truths teach the mask"


def test_a_backbone_that_moves_is_refused(
    tmp_path: Path, pictures: TrainingPictures, triples: TruthTriples
) -> None:
    with pytest.raises(ConfigError, match="appearance_learns=heads"):
        train(
            tmp_path / "run", pictures, triples,
            config=replace(CONFIG, appearance_learns="everything"),
        )  # fmt: skip


def test_detail_starts_from_small_and_says_what_begins_anew(
    tmp_path: Path, pictures: TrainingPictures, triples: TruthTriples
) -> None:
    small = seeded(tiny_network())[0]
    assert begins_anew(small, tiny_detail()) == list(DETAIL_PARTS)
    assert begins_anew(seeded(tiny_detail())[0], tiny_detail()) == []
    still = replace(CONFIG, iterations=1, generator_learning_rate=0.0, average=0.0)
    trained = train(tmp_path / "run", pictures, triples, config=still, generator=small).networks
    for name, tensor in weights_of(small).items():
        if name.startswith(("decoder.", "structure_encoder.", "style_mlps.")):
            assert torch.equal(weights_of(trained)[name], tensor), name


def test_rates_warm_up_and_fall_by_half_a_cosine() -> None:
    config = replace(CONFIG, iterations=100, rate_warmup=10)
    factors = [joint_learning_rate_factor(config, iteration) for iteration in (0, 50, 100)]
    # At half time the cosine is 0: the mean of 1 and 1/50.
    assert factors == pytest.approx([0.1, 0.51, 0.02])


def test_first_errors_are_squared_unless_said_otherwise() -> None:
    config = JointConfig(reconstruction_first=True, warmup_start=10)
    assert loss_weights(config, 3).squared_errors
    assert not loss_weights(config, 12).squared_errors
    assert not loss_weights(replace(config, squared_first=False), 3).squared_errors


def test_triples_without_masks_changed_where_pictures_differ(triples: TruthTriples) -> None:
    batch = triples.batch(0, 2, 1)
    assert batch.changed.shape == (2, 1, HEIGHT, WIDTH)
    assert bool(((batch.changed == 0) | (batch.changed == 1)).all())
    # Noise differs by more than 24 levels in one of three channels nearly everywhere.
    assert float(batch.changed.mean()) > 0.9
