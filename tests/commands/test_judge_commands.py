"""`--judge` of `dgnet evaluate composites`, `dgnet evaluate judge` and `dgnet train judge`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dgnet.commands import local
from dgnet.model.judge.checkpoint import TrainedJudge, save_judge
from dgnet.model.judge.network import JudgeConfig, JudgeNetwork
from tests.commands.conftest import Color, PaintPicture
from tests.commands.fakes import FakePredictor
from tests.commands.test_cli import exit_code
from tests.model.judge.test_onnx_judge import averaging

COLORS: dict[int, Color] = {1: (200, 40, 40), 2: (40, 200, 40), 3: (40, 40, 200)}
PLAIN = ("--judge-mean", "0.4,0.4,0.4", "--judge-std", "1,1,1")


class MeasuringPredictor(FakePredictor):
    device = torch.device("cpu")


def load_measuring(
    checkpoint: Path | None, *, device: str, precision: str, scene: str | None = None
) -> FakePredictor:
    """Stands for `dgnet.commands.local.load_predictor`."""
    return MeasuringPredictor()


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "load_predictor", load_measuring)


@pytest.fixture
def people(paint: PaintPicture, tmp_path: Path) -> Path:
    for person, color in COLORS.items():
        for folder, camera in (("query", 1), ("bounding_box_test", 2), ("bounding_box_test", 3)):
            paint(f"{folder}/{person:04d}_c{camera}s1_000001_00.png", color)
    return tmp_path


@pytest.fixture
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Averages a picture; knows these people by their color."""
    folder = tmp_path_factory.mktemp("judge")
    return averaging(folder / "network.onnx", ("B", 3, 12, 6))


def evaluate(people: Path, *arguments: str | Path) -> int | str | None:
    command = ("evaluate", "composites", "--people", str(people), "--pairs", "12")
    return exit_code(*command, "--device", "cpu", *map(str, arguments))


def test_a_judge_in_an_onnx_file_is_asked(
    people: Path, judge: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = judge.parent / "figures.json"
    assert evaluate(people, "--judge", judge, *PLAIN, "--json", out) == 0
    figures = json.loads(out.read_text())["judge"]
    assert figures["name"] == "network.onnx"
    assert figures["retrieval"]["dgnet_convention"]["rank_1"] == 1
    assert figures["pairs"]["pairs"] == 12
    assert figures["triples"] is None
    assert "(f) judge network.onnx" in capsys.readouterr().out


def test_without_a_judge_nobody_is_asked(people: Path, judge: Path) -> None:
    out = judge.parent / "figures.json"
    assert evaluate(people, "--json", out) == 0
    assert json.loads(out.read_text())["judge"] is None


def test_a_judge_may_be_named_by_the_environment(
    people: Path, judge: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DGNET_JUDGE", str(judge))
    assert evaluate(people) == 0
    assert "(f) judge network.onnx" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--judge", "gone.onnx"], "no such file"),
        (["--judge", "gone"], "is no judge: it has no judge.json"),
        (["--judge", "JUDGE", "--judge-size", "12"], "--judge-size 12; expected HEIGHTxWIDTH"),
        (["--judge", "JUDGE", "--judge-size", "24x12"], "--judge-size is 24x12"),
        (["--judge", "JUDGE", "--judge-mean", "1,2"], "--judge-mean 1,2; expected three numbers"),
        (["--judge", "JUDGE", "--judge-std", "0,1,1"], "expected numbers above 0"),
        (["--judge", "JUDGE", "--judge-output", "x"], "has no output 'x'"),
        (["--judge", "gone", "--judge-channels", "bgr"], "said of .onnx files alone"),
        (["--judge-size", "24x12"], "--judge-size is said of a judge; name one with --judge"),
    ],
)
def test_judges_that_cannot_be_asked_are_refused(
    people: Path,
    judge: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    complaint: str,
) -> None:
    given = [str(judge) if option == "JUDGE" else option for option in options]
    assert evaluate(people, *given) == 2
    assert complaint in capsys.readouterr().err


def test_without_onnxruntime_the_extra_is_named(
    people: Path, judge: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert evaluate(people, "--judge", judge) == 2
    complaint = capsys.readouterr().err
    assert "this needs onnxruntime" in complaint
    assert "pip install 'dgnet[onnx]'" in complaint


def test_triples_are_judged_beside_the_truth(
    people: Path, judge: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    triples = judge.parent / "triples"
    triples.mkdir()
    size = (FakePredictor.height, FakePredictor.width)
    draws = np.random.default_rng(0)
    for role, person in (("appearance", 1), ("structure", 2), ("truth", 1)):
        pixels = np.full((*size, 3), COLORS[person], np.uint8)
        pixels[: size[0] // 2] = draws.integers(0, 9, (size[0] // 2, size[1], 3))
        Image.fromarray(pixels).save(triples / f"0000_{role}_{person:04d}.png")
    out = judge.parent / "figures.json"
    options = ("--judge", judge, *PLAIN, "--truth", triples, "--json", out)
    assert evaluate(people, *options) == 0
    figures = json.loads(out.read_text())
    assert figures["judge"]["triples"]["truth_nearer_to_appearance"] == 1
    assert figures["truth"]["sharpness"]["outside"] > 0
    assert figures["truth"]["imagenet_distance"]["copy_of_structure"] > 0
    table = capsys.readouterr().out
    assert "(e) sharpness inside / outside" in table
    assert "(e) distance of ImageNet features to the truth (no LPIPS)" in table


def test_a_judge_is_measured_on_several_sets(
    people: Path, judge: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = judge.parent / "figures.json"
    command = ("evaluate", "judge", str(judge), str(people), *PLAIN, "--json", str(out))
    assert exit_code(*command) == 0
    found = json.loads(out.read_text())["retrieval"][people.name]
    assert found == {"queries": 3, "gallery": 6, "rank_1": 1, "mAP": 1}
    assert "100.0%" in capsys.readouterr().out
    # What is known of an ONNX file is not ours to write.
    assert exit_code(*command, "--update-card") == 2
    assert "is no judge" in capsys.readouterr().err


def test_figures_go_into_the_card_of_a_judge(people: Path, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    save_judge(folder, JudgeNetwork(JudgeConfig(height=32, width=16, channels=(4,), blocks=(1,))))
    command = ("evaluate", "judge", str(folder), str(people), "--device", "cpu")
    assert exit_code(*command, "--update-card") == 0
    card = json.loads((folder / "judge.json").read_text())
    assert card["metrics"]["retrieval"][people.name]["queries"] == 3


def test_a_judge_is_trained_and_can_be_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = tmp_path / "data" / "bounding_box_train", tmp_path / "run"
    data.mkdir(parents=True)
    draws = np.random.default_rng(0)
    for person in range(1, 13):
        for camera in (1, 2):
            pixels = draws.integers(0, 256, (128, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(data / f"{person:04d}_c{camera}s1_000001_00.jpg")
    command = ("train", "judge", str(data.parent), "-o", str(run), "--iterations", "2")
    assert exit_code(*command, "--data-license", "CC0", "--seed", "4") == 0
    card = json.loads((run / "checkpoint" / "judge.json").read_text())
    assert (card["training"]["iterations"], card["training"]["seed"]) == (2, 4)
    # Seven of twelve iterations are coarse, whatever their number.
    assert card["training"]["coarse_iterations"] == 1
    assert card["data"] == {"name": "data", "persons": 12, "pictures": 24, "license": "CC0"}
    trained = TrainedJudge.load(run / "checkpoint", device="cpu")
    assert trained.embed(draws.integers(0, 256, (1, 128, 64, 3), dtype=np.uint8)).shape == (1, 256)
    assert exit_code(*command) == 2
    assert "already holds a run" in capsys.readouterr().err


def test_too_few_people_for_a_judge_are_refused(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = people / "query"
    assert exit_code("train", "judge", str(few), "-o", str(tmp_path / "judge")) == 2
    assert "expected at least the 12 of a batch" in capsys.readouterr().err
    assert not (tmp_path / "judge").exists()
