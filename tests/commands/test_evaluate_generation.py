"""`dgnet evaluate generation`: figures, sentences about what is left out, and exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dgnet.arrays import Floats, Pixels
from dgnet.commands import local
from dgnet.jobs.generation.manifest import Origin, Row, Written
from tests.commands.conftest import Color, PaintPicture
from tests.commands.fakes import FakePredictor
from tests.commands.test_cli import exit_code

SAMPLE_PEOPLE = Path(__file__).parents[2] / "dgnet" / "samples" / "people"

LOAD_PREDICTOR = local.load_predictor

COLORS: dict[int, Color] = {1: (200, 40, 40), 2: (40, 200, 40), 3: (40, 40, 200)}


class JudgingPredictor(FakePredictor):
    """The fake with a discriminator that likes red."""

    device = torch.device("cpu")
    has_discriminator = True

    def realism(self, images: Pixels) -> Floats:
        return images[..., 0].mean(axis=(1, 2), dtype=np.float32)


class UnjudgingPredictor(JudgingPredictor):
    has_discriminator = False


def load_judging(
    checkpoint: Path | None, *, device: str, precision: str, scene: str | None = None
) -> FakePredictor:
    """Stands for `dgnet.commands.local.load_predictor`."""
    return JudgingPredictor()


def load_unjudging(
    checkpoint: Path | None, *, device: str, precision: str, scene: str | None = None
) -> FakePredictor:
    """Stands for `dgnet.commands.local.load_predictor`."""
    return UnjudgingPredictor()


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The fake computes, and no weights of FID or LPIPS are at hand."""
    monkeypatch.setattr(local, "load_predictor", load_judging)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path_factory.mktemp("torch")))


@pytest.fixture
def people(paint: PaintPicture, tmp_path: Path) -> Path:
    for person, (red, green, blue) in COLORS.items():
        for camera in (1, 2):
            for folder, camera_id, color in (
                ("query", camera, (red + camera, green, blue + 2 * camera)),
                ("bounding_box_test", camera + 2, (blue + 2 * camera, green, red + camera)),
            ):
                paint(f"{folder}/{person:04d}_c{camera_id}s1_000001_00.png", color)
    return tmp_path


@pytest.fixture
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out")


def evaluate(people: Path, *arguments: str | Path) -> int | str | None:
    return exit_code("evaluate", "generation", str(people), "--device", "cpu", *map(str, arguments))


def test_table_json_and_notes_tell_the_same_story(
    people: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(people, "--composites", "20", "--json", out / "figures.json") == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(
        "20 composites made, scene generated, 12 of 12 real pictures of 3 persons"
    )
    figures = json.loads((out / "figures.json").read_text())
    assert figures["model_version"] == FakePredictor.model_version
    assert figures["data"]["layout"] == "market1501"
    assert figures["config"]["composites"] == 20
    frechet = figures["embedding_frechet"]
    assert (frechet["composites"], frechet["real"], frechet["size"]) == (20, 12, 6)
    assert f"{frechet['distance']:.4g}" in printed.out
    assert figures["fid"] is None
    assert figures["realism"]["composites"]["count"] == 20
    assert "FID" not in printed.out
    left_out = figures["left_out"]
    assert [sentence.split()[0] for sentence in left_out] == ["FID", "LPIPS"]
    assert all(f"note: {sentence}" in printed.err for sentence in left_out)
    assert "--inception-weights FILE" in printed.err
    assert "--alexnet-weights FILE" in printed.err


def test_a_checkpoint_without_discriminator_gives_the_other_figures(
    people: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local, "load_predictor", load_unjudging)
    assert evaluate(people, "--composites", "6") == 0
    printed = capsys.readouterr()
    assert "realism is left out" in printed.err
    assert "discriminator" not in printed.out


def test_a_split_and_a_folder_of_composites_can_be_chosen(
    people: Path, out: Path, paint: PaintPicture, capsys: pytest.CaptureFixture[str]
) -> None:
    for person in (1, 2):
        for shot in (1, 2):
            Image.new("RGB", (16, 32), (50 * person, 40 * shot, 9)).save(
                out / f"{person:04d}_c1s1_00000{shot}_00.png"
            )
    figures = out / "figures.json"
    assert evaluate(people, "--split", "query", "--generated", out, "--json", figures) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"4 composites from {out.name}, 6 of 6 real pictures")
    assert "identity consistency is left out" in printed.err
    found = json.loads(figures.read_text())
    assert found["identity"] is None
    assert found["data"]["split"] == "query"


def test_a_set_of_our_own_tells_what_its_composites_were_made_of(
    people: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each composite is a copy of its appearance picture: as similar to it as can be."""
    (out / "job.json").write_text('{"spec": {"source": {"split": "query"}}}')
    (out / "bounding_box_train").mkdir()
    lines: list[str] = []
    for person in (1, 2, 3):
        for camera in (1, 2):
            source = f"query/{person:04d}_c{camera}s1_000001_00.png"
            other = f"query/{person % 3 + 1:04d}_c{camera}s1_000001_00.png"
            name = f"bounding_box_train/{person:04d}_c{camera}s9_00000000{camera}_99.png"
            shutil.copy(people / source, out / name)
            row = Row(
                position=len(lines), written=Written(name, "", 1), labels={}, scores={},
                appearance=Origin(source, person, camera), dropped=None,
                structure=Origin(other, person % 3 + 1, camera),
            )  # fmt: skip
            lines.append(row.to_line())
    (out / "manifest.jsonl").write_text("".join(lines))
    figures = out / "figures.json"
    assert evaluate(people, "--generated", out, "--json", figures) == 0
    assert "note: measured on query, which the set was made of" in capsys.readouterr().err
    found = json.loads(figures.read_text())
    assert found["data"]["split"] == "query"
    assert found["identity"]["to_appearance"]["mean"] == pytest.approx(1)
    assert found["identity"]["to_appearance"]["count"] == 6
    assert found["identity"]["nearer_to_appearance"] == 1
    assert not any("identity consistency" in sentence for sentence in found["left_out"])
    assert evaluate(people, "--split", "gallery", "--generated", out, "--json", figures) == 0
    assert json.loads(figures.read_text())["data"]["split"] == "gallery"
    (people / "query" / "0001_c1s1_000001_00.png").rename(people / "gone.png")
    assert evaluate(people, "--generated", out, "--json", figures) == 0
    assert json.loads(figures.read_text())["identity"] is None
    (out / "job.json").write_text("{}")
    assert evaluate(people, "--generated", out) == 2
    assert "cannot be understood (KeyError" in capsys.readouterr().err


def test_errors_against_true_composites_stand_beside_those_of_copies(
    people: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for role, level in (("appearance", 100), ("structure", 0), ("truth", 80)):
        picture = np.full((32, 16, 3), level, dtype=np.uint8)
        picture[:8] = 10  # scenery that nobody changes
        Image.fromarray(picture).save(out / f"0000_{role}_0001.png")
    assert evaluate(people, "--composites", "6", "--truth", out, "--json", out / "f.json") == 0
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in capsys.readouterr().out.splitlines()
    ]
    # Composite: halfway from the structure, 0 and 10, to the appearance's mean, 77.5: 38 and 43.
    assert ["changed region, ratio", f"{42 / 80:.3f}", "1.000", "0.250"] in rows
    assert ["outside of it, levels", "33.00", "0.00", "0.00"] in rows
    mean = ["mean absolute error, levels", f"{(42 * 3 + 33) / 4:.2f}", "60.00", "15.00"]
    assert mean in rows
    assert json.loads((out / "f.json").read_text())["truth"]["triples"] == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--inception-weights", "gone.pth"], "gone.pth cannot be read"),
        (["--alexnet-weights", __file__], "LPIPS with other weights would be another figure"),
        (["--generated", "made", "--truth", "triples"], "give one of them"),
        (["--generated", "gone"], "no such folder"),
        (["--truth", "gone"], "no such folder"),
        (["--split", "train"], "it has no train pictures"),
        (["--composites", "1"], "composites"),
        (["--layout", "unknown"], "unknown"),
    ],
    ids=str,
)
def test_wrong_input_exits_2_and_says_why(
    arguments: list[str], line: str, people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(people, *arguments) == 2
    assert line in capsys.readouterr().err


def test_the_weights_that_ship_on_the_sample_people(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local, "load_predictor", LOAD_PREDICTOR)
    assert evaluate(SAMPLE_PEOPLE, "--composites", "12", "--json", out / "figures.json") == 0
    figures = json.loads((out / "figures.json").read_text())
    assert figures["embedding_frechet"]["dimensions"] == 1024
    assert (
        figures["identity"]["to_appearance"]["mean"] > figures["identity"]["to_structure"]["mean"]
    )
    assert figures["realism"]["real"]["count"] == 24
    assert "warning: Fréchet distance of embeddings: equal sets of 12" in capsys.readouterr().err
