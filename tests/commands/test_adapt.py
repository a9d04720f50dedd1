"""`dgnet train adapt`: the real command from a tiny checkpoint to other people's pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from dgnet.model.checkpoints import load_checkpoint, read_metadata, save_checkpoint
from dgnet.model.data.shares import WHOLE, Share
from dgnet.model.data.truth_batches import TruthBatch, TruthTriples
from dgnet.model.dgnet import DGNet
from dgnet.model.teacher import Teacher
from dgnet.model.tensor_files import read_tensors
from tests.commands.test_cli import exit_code
from tests.model.tiny import PERSONS, tiny_detail, write_dataset, write_people, write_triples

SHORT = ("--iterations", "4", "--batch-size", "2", "--checkpoint-every", "1", "--pairs", "4")
ON_CPU = ("--device", "cpu", "--precision", "fp32")

pytestmark = pytest.mark.usefixtures("normal_arithmetic")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that know five other persons."""
    folder = tmp_path_factory.mktemp("start") / "tiny"
    torch.manual_seed(3)  # pyright: ignore[reportUnknownMemberType]
    network = tiny_detail(identities=5)
    save_checkpoint(folder, DGNet(network), teacher=Teacher(network, last_stride=1))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_triples(tmp_path_factory.mktemp("triples") / "truth")


def adapt(data: Path, start: Path, run: Path, truth: Path, *more: str) -> int | str | None:
    return exit_code(
        *("train", "adapt", str(data), "-o", str(run), "--checkpoint", str(start)),
        *("--truth", str(truth), *SHORT, *ON_CPU, *more),
    )


@pytest.fixture(scope="module")
def adapted(data: Path, start: Path, truth: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "adapted"
    assert adapt(data, start, run, truth, "--data-license", "my own") == 0
    return run


def test_the_result_knows_the_pictures_persons_and_tells_where_it_comes_from(
    adapted: Path, start: Path, data: Path
) -> None:
    checkpoint = load_checkpoint(adapted / "checkpoint")
    metadata = checkpoint.metadata
    assert (metadata.config.preset, metadata.config.identities) == ("detail", PERSONS)
    assert checkpoint.teacher is not None
    assert metadata.data["adapted_from"] == read_metadata(start).model_version
    assert metadata.data["name"] == data.name
    assert metadata.data["license"] == "my own"
    assert metadata.data["true_composites"] == 5
    # A quarter of the 4 iterations is the teacher's.
    assert metadata.training["joint"]["iterations"] == 3
    assert read_metadata(adapted / "teacher" / "checkpoint").training["teacher"]["iterations"] == 1


def test_the_backbone_that_the_generator_knows_stands_still(adapted: Path, start: Path) -> None:
    before, after = (
        load_checkpoint(folder).networks.appearance_encoder.backbone.state_dict()
        for folder in (start, adapted / "checkpoint")
    )
    for name, tensor in before.items():
        assert torch.equal(tensor, after[name]), name


def test_the_generator_goes_half_of_the_way(adapted: Path, start: Path) -> None:
    before, after = (load_checkpoint(at).networks for at in (start, adapted / "checkpoint"))
    state = read_tensors(adapted / "state" / "000003" / "state.safetensors")
    assert read_metadata(adapted / "checkpoint").training["part_of_the_way"] == 0.5
    for name, part in after.generator_parts.items():
        first = before.generator_parts[name].state_dict()
        for key, tensor in part.state_dict().items():
            learned = state[f"network.average.parts.{name}.{key}"]
            assert torch.allclose(tensor, (first[key] + learned) / 2, atol=1e-6), (name, key)


def test_figures_before_and_after_are_in_the_card(adapted: Path, start: Path) -> None:
    found = read_metadata(adapted / "checkpoint").metrics["adaptation"]
    before, after = found["before"], found["after"]
    assert before["model_version"] == read_metadata(start).model_version
    assert after["model_version"] == read_metadata(adapted / "checkpoint").model_version
    for figures in (before, after):
        assert 0 <= figures["rank_1"] <= 1
        assert 0 <= figures["mAP"] <= 1
        assert -1 <= figures["judge_cosine"] <= 1
        assert 0 <= figures["realistic"] <= 1
    assert (found["pairs"], found["people"]) == (4, "held out")
    card = (adapted / "README.md").read_text()
    assert f"{before['rank_1']:.1%}" in card
    assert "License of the pictures: my own." in card


def test_a_killed_adaptation_is_resumed_to_equal_weights(
    adapted: Path,
    data: Path,
    start: Path,
    truth: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    batch = TruthTriples.batch

    def interrupted(
        self: TruthTriples, position: int, batch_size: int, seed: int, share: Share = WHOLE
    ) -> TruthBatch:
        if position == 2:
            raise KeyboardInterrupt
        return batch(self, position, batch_size, seed, share)

    run = tmp_path / "run"
    license_ = ("--data-license", "my own")
    monkeypatch.setattr(TruthTriples, "batch", interrupted)
    assert adapt(data, start, run, truth, *license_) == 1
    assert "the state after iteration 2 is kept" in capsys.readouterr().err
    monkeypatch.undo()
    assert adapt(data, start, run, truth, *license_) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert adapt(data, start, run, truth, *license_, "--resume") == 0
    whole, resumed = (read_metadata(folder / "checkpoint") for folder in (adapted, run))
    assert resumed.sha256 == whole.sha256
    assert json.loads((run / "before.json").read_text()) == whole.metrics["adaptation"]["before"]


def test_pictures_without_a_query_are_measured_themselves(
    start: Path, truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_people(tmp_path / "people" / "bounding_box_train").parent
    assert adapt(data, start, tmp_path / "run", truth, "--minutes", "0.01") == 0
    assert "has no query and gallery" in capsys.readouterr().err
    metadata = read_metadata(tmp_path / "run" / "checkpoint")
    after = metadata.metrics["adaptation"]["after"]
    assert after["rank_1"] is None
    # Three quarters of the minutes.
    assert metadata.training["minutes"] == 0.0075


def test_people_that_never_lived_are_rendered_for_the_truths(
    data: Path, start: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = ("train", "adapt", str(data), "-o", str(run), "--checkpoint", str(start))
    assert exit_code(*command, "--rendered", "2", *SHORT, *ON_CPU) == 0
    truths = sorted(path.name[5:-9] for path in (run / "rendered" / "truths").iterdir())
    roles = ["appearance", "changed", "structure", "truth"]
    assert truths == sorted([*roles, *roles])
    assert read_metadata(run / "checkpoint").data["true_composites"] == 2
