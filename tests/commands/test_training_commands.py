"""Train, interrupt, resume, look, measure, pack: the real commands on the smallest networks."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from PIL import Image

from dgnet.model.checkpoints import METADATA_FILE, load_checkpoint, load_teacher, read_metadata
from dgnet.model.data.pairs import PairBatch, TrainingPictures
from dgnet.model.data.shares import WHOLE, Share
from tests.commands.test_cli import exit_code
from tests.model.tiny import PERSONS, SIZES, write_dataset, write_people, write_triples

TINY = [
    argument
    for name, value in SIZES.items()
    if name not in ("height", "width")
    for argument in ("--set", f"{name}={str(value).strip('()')}")
]
ON_CPU = ["--device", "cpu", "--precision", "fp32"]
SHORT = ["--iterations", "2", "--batch-size", "2", "--checkpoint-every", "1", "--log-every", "1"]

pytestmark = pytest.mark.usefixtures("normal_arithmetic")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_triples(tmp_path_factory.mktemp("triples") / "truth")


@pytest.fixture(scope="module")
def teacher(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "teacher"
    code = exit_code(
        *("train", "teacher", str(people), "-o", str(run), "--height", "64", "--width", "48"),
        *("--data-license", "CC0", *SHORT, *TINY, *ON_CPU),
    )
    assert code == 0
    return run / "checkpoint"


def joint(people: Path, teacher: Path, run: Path, *more: str) -> list[str]:
    return [
        *("train", "joint", str(people), "--teacher", str(teacher), "-o", str(run)),
        *("--start", "teacher", *SHORT, *ON_CPU, *more),
    ]


@pytest.fixture(scope="module")
def trained(people: Path, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "joint"
    settings = ("--label-policy", "two_labels", "--merge-batches", "--set", "warmup_start=0")
    assert exit_code(*joint(people, teacher, run, "--data-license", "CC0", *settings)) == 0
    return run


def test_a_run_ends_with_its_minutes_and_tells_what_fitted(
    people: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    command = joint(people, teacher, run, "--minutes", "0.01", "--set", "warmup_start=0")
    assert exit_code(*command) == 0
    training = read_metadata(run / "checkpoint").training
    assert training["minutes"] == 0.01
    # What the schedule is written for stays beside it.
    assert training["joint"]["iterations"] == 2
    summary = json.loads((run / "summary.json").read_text())
    assert training["iterations_done"] == summary["iteration"] >= 1
    assert summary["finished"]
    assert summary["used"] >= 0.01
    assert exit_code(*command, "--resume") == 0
    assert read_metadata(run / "checkpoint").training == training
    capsys.readouterr()
    assert exit_code(*joint(people, teacher, run, "--minutes", "2", "--resume")) == 2
    assert "other settings" in capsys.readouterr().err


def test_the_teacher_keeps_sizes_schedule_and_data(teacher: Path, people: Path) -> None:
    metadata = read_metadata(teacher)
    assert metadata.networks == ("teacher",)
    assert (metadata.config.identities, metadata.config.decoder_channels) == (PERSONS, 8)
    assert metadata.training["teacher"]["batch_size"] == 2
    assert metadata.data == {
        "name": people.name,
        "persons": PERSONS,
        "pictures": 9,
        "license": "CC0",
    }


def test_a_teacher_starts_from_the_backbone_of_another(
    teacher: Path, people: Path, tmp_path: Path
) -> None:
    start = ("--pretrained", str(teacher), "--height", "64", "--width", "48", *TINY)
    still = ("--set", "head_learning_rate=0", "--set", "backbone_learning_rate=0", "--seed", "5")
    run = tmp_path / "run"
    command = ("train", "teacher", str(people), "-o", str(run), *start, *still)
    assert exit_code(*command, *SHORT, *ON_CPU) == 0
    (_, before), (_, after) = load_teacher(teacher), load_teacher(run / "checkpoint")
    for old, new in zip(before.backbone.parameters(), after.backbone.parameters(), strict=True):
        assert torch.equal(old, new)
    heads = zip(before.head.parameters(), after.head.parameters(), strict=True)
    assert not all(torch.equal(old, new) for old, new in heads)


def test_a_backbone_of_another_kind_is_refused(
    teacher: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = [*TINY, "--set", "backbone=resnet18"]
    command = ("train", "teacher", str(people), "-o", str(tmp_path / "run"), *sizes)
    assert exit_code(*command, "--pretrained", str(teacher)) == 2
    complaint = capsys.readouterr().err
    assert "the backbone to start from is" in complaint
    assert "the one to train resnet18: expected the same" in complaint
    assert not (tmp_path / "run").exists()


def test_joint_training_takes_the_teachers_sizes_and_its_own_settings(
    trained: Path, teacher: Path
) -> None:
    checkpoint = load_checkpoint(trained / "checkpoint")
    assert checkpoint.metadata.config == read_metadata(teacher).config
    assert checkpoint.teacher is not None
    schedule = checkpoint.metadata.training["joint"]
    assert (schedule["iterations"], schedule["warmup_start"]) == (2, 0)
    # The paper's 60,000, 90,000 and 105,000 of 100,000.
    assert schedule["milestones"] == [1, 2, 2]
    assert schedule["label_policy"] == "two_labels"
    assert schedule["merge_batches"] is True
    assert schedule["detach_appearance_code"] is True
    assert (trained / "grids" / "000002.png").is_file()
    assert list((trained / "tensorboard").iterdir())


def test_true_composites_are_trained_on_and_told_in_the_card(
    people: Path, teacher: Path, truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert exit_code(*joint(people, teacher, run, "--truth", str(truth))) == 0
    assert read_metadata(run / "checkpoint").data["true_composites"] == 5
    broken = shutil.copytree(truth, tmp_path / "broken")
    (broken / "0003_truth_0001.png").unlink()
    assert exit_code(*joint(people, teacher, tmp_path / "other", "--truth", str(broken))) == 2
    assert "triple 0003 lacks its truth picture" in capsys.readouterr().err


def test_an_interrupted_run_says_how_to_go_on_and_goes_on(
    people: Path,
    teacher: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    original = TrainingPictures.pair_batch

    def terminated(
        self: TrainingPictures, position: int, batch_size: int, seed: int, share: Share = WHOLE
    ) -> PairBatch:
        if position == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, position, batch_size, seed, share)

    run = tmp_path / "run"
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(TrainingPictures, "pair_batch", terminated)
        assert exit_code(*joint(people, teacher, run)) == 1
    assert "the state after iteration 1 is kept" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before
    assert not (run / "checkpoint").exists()

    assert exit_code(*joint(people, teacher, run)) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert exit_code(*joint(people, teacher, run, "--resume", "--paper-gradient")) == 2
    assert "started with other settings (joint)" in capsys.readouterr().err
    assert exit_code(*joint(people, teacher, run, "--resume")) == 0
    assert load_checkpoint(run / "checkpoint").metadata.training["joint"]["iterations"] == 2


def test_info_tells_what_is_known(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained / "checkpoint"
    assert exit_code("checkpoint", "info", str(folder)) == 0
    printed = capsys.readouterr().out
    assert read_metadata(folder).model_version in printed.splitlines()[0]
    assert "config.height: 64" in printed
    assert "data.license: CC0" in printed
    assert exit_code("checkpoint", "info", str(folder), "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads((folder / METADATA_FILE).read_text())


def test_evaluation_prints_keeps_and_draws(
    trained: Path,
    people: Path,
    truth: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(trained / "checkpoint", folder)
    code = exit_code(
        *("evaluate", "composites", "--checkpoint", str(folder), "--people", str(people)),
        *("--truth", str(truth), "--pairs", "4", "--update-card"),
        *("--json", str(tmp_path / "figures.json"), "--sheet", str(tmp_path / "sheet.png")),
        *ON_CPU,
    )
    assert code == 0
    printed = capsys.readouterr().out
    assert "(a) nearer to the appearance picture, 4 pairs" in printed
    assert "(c) changed region, ratio, 5 triples" in printed
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["swaps"]["pairs"] == 4
    assert figures["model_version"] == read_metadata(folder).model_version
    kept = read_metadata(folder).metrics["composites"]
    assert kept["truth"] == figures["truth"]
    assert (kept["people"], kept["precision"]) == (people.name, "fp32")
    with Image.open(tmp_path / "sheet.png") as sheet:
        # Two triples side by side, and one person's clothes on one other person below.
        assert sheet.width > 8 * 2 * 48
        assert sheet.height > 3 * 2 * 64


def test_a_packed_checkpoint_is_smaller_and_works(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, packed = trained / "checkpoint", tmp_path / "packed"
    assert exit_code("checkpoint", "pack", str(source), "-o", str(packed), "--half") == 0
    assert str(packed) in capsys.readouterr().out
    assert read_metadata(packed).data == read_metadata(source).data
    assert read_metadata(packed).sha256 != read_metadata(source).sha256
    load_checkpoint(packed)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["train", "teacher", "gone", "-o", "run"], "gone: no such folder"),
        (
            ["train", "teacher", "gone", "-o", "run", "--backbone", "resnet18"],
            "not for resnet18: give --start scratch",
        ),
        (["train", "teacher", "gone", "-o", "run", "--height", "50"], "height is 50; expected"),
        (["train", "teacher", "gone", "-o", "run", "--set", "identities=9"], "no field 'identit"),
        (["train", "joint", "gone", "--teacher", "gone", "-o", "run"], "is not a checkpoint"),
        (["evaluate", "composites", "--people", ".", "--sheet", "x.jpg"], "ending in .png"),
        (["checkpoint", "info", "gone"], "is not a checkpoint"),
        (["checkpoint", "pack", "gone", "-o", "run"], "is not a checkpoint"),
        (
            ["checkpoint", "import", "--generator", "g", "--appearance", "a", "-o", "run"],
            "g: no such file",
        ),
    ],
    ids=str,
)
def test_wrong_input_exits_2_and_says_why(
    arguments: list[str],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exit_code(*arguments) == 2
    assert line in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_teacher_of_other_people_with_the_same_numbers_is_refused(
    people: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = write_people(tmp_path / "others", seed=77)
    assert exit_code(*joint(others, teacher, tmp_path / "run")) == 2
    said = capsys.readouterr().err
    assert f"the teacher {teacher}, trained on {people.name}," in said
    assert f"of the same names as {others}, but not one picture" in said
    assert not (tmp_path / "run").exists()
    assert exit_code(*joint(others, teacher, tmp_path / "run", "--same-persons")) == 0
    assert "but not one picture" in capsys.readouterr().err


def test_resuming_with_other_pictures_is_refused_with_both_named(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, others = tmp_path / "run", write_people(tmp_path / "others", seed=77)
    command = ("--height", "64", "--width", "48", *SHORT, *TINY, *ON_CPU)
    assert exit_code("train", "teacher", str(people), "-o", str(run), *command) == 0
    capsys.readouterr()
    again = ("train", "teacher", str(others), "-o", str(run), *command, "--resume")
    assert exit_code(*again) == 2
    said = capsys.readouterr().err
    assert f"other training data: then {people.name} (9 pictures" in said
    assert "now others (9 pictures" in said


def test_training_says_what_it_leaves_out(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    shutil.copytree(people, data)
    folder = data / "bounding_box_train"
    shutil.copy(next(folder.iterdir()), folder / "portrait.png")
    command = ("--height", "64", "--width", "48", *SHORT, *TINY, *ON_CPU)
    assert exit_code("train", "teacher", str(data), "-o", str(tmp_path / "run"), *command) == 0
    assert "1 picture is left out" in capsys.readouterr().err
    assert read_metadata(tmp_path / "run" / "checkpoint").data["pictures"] == 9
