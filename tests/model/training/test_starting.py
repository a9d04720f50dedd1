"""What joint training begins from, and true composites of people who are not trained on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dgnet.model.config import ConfigError
from dgnet.model.data.pairs import TrainingPictures
from dgnet.model.data.truth_batches import TruthTriples
from dgnet.model.dgnet import DGNet
from dgnet.model.teacher import Teacher
from dgnet.model.training.average import RunningAverage
from dgnet.model.training.config import JointConfig, LossWeights
from dgnet.model.training.joint import train_joint
from dgnet.model.training.run import RunOptions
from dgnet.model.training.starting import Start, starting_networks
from dgnet.model.training.training_run import TrainingRun
from tests.model.tiny import HEIGHT, WIDTH, tiny_network, write_people, write_triples


def test_the_appearance_encoder_of_a_generator_knows_other_persons() -> None:
    generator, network = DGNet(tiny_network(identities=5)), tiny_network()
    start = Start(imagenet=False, from_generator=True)
    networks = starting_networks(network, JointConfig(), Teacher(network), start, generator)
    ours, theirs = (part.appearance_encoder.state_dict() for part in (networks, generator))
    for name, tensor in ours.items():
        if ".classifier." in name:
            assert tensor.shape[0] == 3, "as many as there are persons to learn"
        else:
            assert torch.equal(tensor, theirs[name]), name


def test_an_encoder_of_other_sizes_is_refused() -> None:
    generator, network = DGNet(tiny_network(head_features=4)), tiny_network()
    start = Start(imagenet=False, from_generator=True)
    with pytest.raises(ConfigError, match="has other sizes"):
        starting_networks(network, JointConfig(), Teacher(network), start, generator)
    with pytest.raises(ConfigError, match="there is none: name one"):
        starting_networks(network, JointConfig(), Teacher(network), start, None)


def test_nobody_learns_the_identities_of_strangers(tmp_path: Path) -> None:
    folder = write_triples(tmp_path / "truth")
    triples = TruthTriples(folder, None, height=HEIGHT, width=WIDTH)
    batch = triples.batch(0, 2, seed=1)
    nobody = torch.tensor([-1, -1])
    assert torch.equal(batch.appearance_labels, nobody)
    assert torch.equal(batch.structure_labels, nobody)
    network = tiny_network()
    pictures = TrainingPictures.load(write_people(tmp_path / "bounding_box_train"), HEIGHT, WIDTH)
    run = TrainingRun(
        pictures=pictures,
        options=RunOptions(directory=tmp_path / "run", progress=False),
        device=torch.device("cpu"),
    )
    config = JointConfig(iterations=1, final_weights=LossWeights(truth_identity=1.0))
    with pytest.raises(ConfigError, match="show strangers"):
        train_joint(network, config, Teacher(network), run, truth=triples)


def test_an_iteration_that_stands_for_two_counts_twice_in_the_average() -> None:
    networks = DGNet(tiny_network())
    average = RunningAverage(networks, share=0.5)
    first = next(iter(networks.decoder.parameters()))
    start = first.detach().clone()
    with torch.no_grad():
        first.zero_()
    average.update(100, 2.0)
    averaged = next(iter(average.put_into(networks).decoder.parameters()))
    assert torch.allclose(averaged, 0.25 * start, atol=1e-7)
