"""`dgnet evaluate retrieval` on four people of one color each; the fake embeds the mean color."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.commands.conftest import Color, PaintPicture
from tests.commands.fakes import FakePredictor
from tests.commands.test_cli import exit_code

pytestmark = pytest.mark.usefixtures("fake_predictor")

RED, GREEN, LIME = (200, 40, 40), (40, 200, 40), (120, 200, 40)

PEOPLE: dict[str, Color] = {
    "query/0001_c1s1_000001_00.png": RED,
    "query/0002_c1s1_000001_00.png": GREEN,
    "bounding_box_test/-1_c3s1_000001_00.png": GREEN,
    "bounding_box_test/0000_c3s1_000001_00.png": GREEN,
    "bounding_box_test/0001_c1s1_000002_00.png": RED,
    "bounding_box_test/0001_c2s1_000001_00.png": RED,
    "bounding_box_test/0002_c2s1_000001_00.png": LIME,
    "gt_bbox/0002_c1s1_000001_00.png": LIME,
}


@pytest.fixture
def people(paint: PaintPicture, tmp_path: Path) -> Path:
    for name, color in PEOPLE.items():
        paint(name, color)
    return tmp_path


@pytest.fixture
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out")


def evaluate(people: Path, *arguments: str | Path) -> int | str | None:
    return exit_code("evaluate", "retrieval", str(people), "--device", "cpu", *map(str, arguments))


def test_table_json_and_picture_tell_the_same_story(
    people: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = evaluate(people, "--json", out / "figures.json", "--picture", out / "ranked.png")
    assert code == 0
    printed = capsys.readouterr()
    assert "2 queries of 2 persons, 5 gallery pictures (1 distractors, 1 junk)" in printed.out
    # Person 1 is found at once, person 2 behind the distractor of its color.
    figures = json.loads((out / "figures.json").read_text())
    assert figures["model_version"] == FakePredictor.model_version
    result = figures["result"]
    assert result["dgnet_convention"] == {
        "rank_1": 0.5,
        "rank_5": 1,
        "rank_10": 1,
        "mAP": pytest.approx((1 + 1 / 4) / 2),
    }
    assert result["torchreid_convention"]["mAP"] == pytest.approx((1 + 1 / 2) / 2)
    assert result["mINP"] == pytest.approx((1 + 1 / 2) / 2)
    assert figures["config"] == {"multi_query": False, "rerank": None, "fine_weight": None}
    assert figures["data"]["layout"] == "market1501"
    rows = [[cell.strip() for cell in row.split("|")] for row in printed.out.splitlines()]
    assert [
        "",
        "all 2 queries",
        "trapezoid (DG-Net)",
        "50.00%",
        "100.00%",
        "100.00%",
        "62.50%",
        "",
    ] in rows
    assert [
        "",
        "2 with a match",
        "step (torchreid)",
        "50.00%",
        "100.00%",
        "100.00%",
        "75.00%",
        "",
    ] in rows
    with Image.open(out / "ranked.png") as picture:
        assert picture.format == "PNG"
        assert picture.size == (852, 4 + 2 * 156)


def test_multi_query_searches_with_all_pictures_of_a_person_under_a_camera(
    people: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(people, "--multi-query", "--json", out / "figures.json") == 0
    figures = json.loads((out / "figures.json").read_text())
    # The other picture of person 2 has the color of the one to be found.
    assert figures["result"]["dgnet_convention"]["mAP"] == 1
    assert "1 of 2 queries have no multi_query picture" in capsys.readouterr().err


def test_multi_query_without_such_pictures_is_wrong_input(
    people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (people / "gt_bbox" / "0002_c1s1_000001_00.png").unlink()
    (people / "gt_bbox").rmdir()
    assert evaluate(people, "--multi-query") == 2
    assert "it has no multi_query pictures" in capsys.readouterr().err


def test_reranking_is_kept_in_the_json(people: Path, out: Path) -> None:
    assert evaluate(people, "--rerank", "--json", out / "figures.json") == 0
    figures = json.loads((out / "figures.json").read_text())
    assert figures["config"]["rerank"] == {"k1": 20, "k2": 6, "original_weight": 0.3}
    assert figures["result"]["queries"] == 2


def test_the_cache_saves_embedding_again_and_says_when_it_is_broken(
    people: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("--cache", out / "cache", "--json", out / "figures.json")
    assert evaluate(people, *command) == 0
    first = json.loads((out / "figures.json").read_text())["result"]
    files = sorted((out / "cache").iterdir())
    assert len(files) == 2  # query and gallery

    def unable(self: FakePredictor, images: object) -> object:
        raise AssertionError("embedded although the cache has everything")

    with monkeypatch.context() as patch:
        patch.setattr(FakePredictor, "embed", unable)
        assert evaluate(people, *command) == 0
    assert json.loads((out / "figures.json").read_text())["result"] == first
    files[0].write_bytes(b"broken")
    capsys.readouterr()
    assert evaluate(people, *command) == 0
    assert f"note: {files[0]} was broken" in capsys.readouterr().err
    assert json.loads((out / "figures.json").read_text())["result"] == first


def test_a_pattern_reads_other_names(
    paint: PaintPicture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, color in {
        "query/anna-1.png": RED,
        "query/bert-1.png": GREEN,
        "gallery/anna-2.png": RED,
        "gallery/bert-2.png": GREEN,
    }.items():
        paint(name, color)
    assert evaluate(tmp_path, "--pattern", r"(?P<person>[a-z]+)-(?P<camera>\d)") == 0
    assert "mINP 100.00%" in capsys.readouterr().out


def test_pictures_that_all_look_alike_are_told(
    paint: PaintPicture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in PEOPLE:
        paint(name, RED)
    assert evaluate(tmp_path) == 2
    assert "all embeddings are the same" in capsys.readouterr().err


def test_matches_under_one_camera_are_told(
    paint: PaintPicture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paint("query/0001_c1s1_000001_00.png", RED)
    paint("bounding_box_test/0001_c1s1_000002_00.png", GREEN)
    assert evaluate(tmp_path) == 2
    assert "under the query's own camera" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--picture", "ranked.jpg"], "expected a name ending in .png"),
        (["--fine-weight", "1"], "embeddings have 3 values; expected an even number"),
        (["--fine-weight", "-1"], "fine-weight"),
        (["--pattern", "("], "is no regular expression"),
        (["--layout", "unknown"], "unknown"),
    ],
    ids=str,
)
def test_wrong_input_exits_2_and_says_why(
    arguments: list[str], line: str, people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(people, *arguments) == 2
    assert line in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_wrong_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(tmp_path / "gone") == 2
    assert "no such folder" in capsys.readouterr().err


def test_a_fake_that_cannot_tell_people_apart_is_at_chance(
    paint: PaintPicture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    for person in range(1, 41):
        for folder, camera in (("query", 1), ("bounding_box_test", 2)):
            red, green, blue = random.integers(0, 256, 3).tolist()
            paint(f"{folder}/{person:04d}_c{camera}s1_000001_00.png", (red, green, blue))
    assert evaluate(tmp_path) == 0
    assert "is what a random order reaches (2.5%)" in capsys.readouterr().err


def test_a_query_numbered_0_finds_nobody_among_distractors(
    people: Path, paint: PaintPicture, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paint("query/0000_c1s1_000001_00.png", GREEN)
    assert evaluate(people, "--json", out / "a.json", "--picture", out / "a.png") == 0
    printed = capsys.readouterr()
    assert "2 queries of 2 persons" in printed.out
    assert "1 of 3 queries are of junk or distractors" in printed.err
    assert evaluate(people, "--distractors", "none", "--json", out / "b.json") == 0
    printed = capsys.readouterr()
    assert "3 queries of 3 persons, 5 gallery pictures (0 distractors, 1 junk)" in printed.out
    assert json.loads((out / "b.json").read_text())["result"]["torchreid_convention"]["rank_1"] == (
        pytest.approx(2 / 3)
    )
