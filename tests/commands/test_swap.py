"""`dgnet swap` on this machine, with a predictor that can be computed by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgnet.arrays import Pixels
from dgnet.commands.cli import main
from tests.commands.conftest import PaintPicture
from tests.commands.fakes import FakePredictor

WIDTH, HEIGHT = FakePredictor.width, FakePredictor.height

pytestmark = pytest.mark.usefixtures("fake_predictor")


def swap(*arguments: str | Path) -> int | str | None:
    with pytest.raises(SystemExit) as stop:
        main(["swap", *map(str, arguments)])
    return stop.value.code


def pixels(path: Path) -> Pixels:
    return np.asarray(Image.open(path).convert("RGB"))


def colors(path: Path) -> set[tuple[int, ...]]:
    return {tuple(map(int, color)) for color in pixels(path).reshape(-1, 3)}


def test_two_pictures_give_one_composite(paint: PaintPicture, tmp_path: Path) -> None:
    red, blue = paint("red.png", (200, 0, 0)), paint("blue.png", (0, 0, 100))
    out = tmp_path / "new" / "out.png"
    assert swap("--appearance", red, "--structure", blue, "-o", out) == 0
    assert pixels(out).shape == (HEIGHT, WIDTH, 3)
    assert colors(out) == {(100, 0, 50)}


def test_folders_give_a_grid_with_every_pair(paint: PaintPicture, tmp_path: Path) -> None:
    for name, level in (("1", 40), ("2", 80)):
        paint(f"appearances/{name}.png", (level, 0, 0))
    for name, level in (("1", 20), ("2", 60), ("3", 100)):
        paint(f"structures/{name}.png", (0, level, 0))
    (tmp_path / "structures" / "notes.txt").write_text("not a picture")
    out = tmp_path / "out.png"
    arguments = ["--appearance", tmp_path / "appearances", "--structure", tmp_path / "structures"]
    assert swap(*arguments, "-o", out) == 0
    sources = {(40, 0, 0), (80, 0, 0), (0, 20, 0), (0, 60, 0), (0, 100, 0)}
    composites = {(red, green, 0) for red in (20, 40) for green in (10, 30, 50)}
    assert colors(out) == sources | composites | {(255, 255, 255)}


def test_interpolation_walks_from_one_appearance_to_the_other(
    paint: PaintPicture, tmp_path: Path
) -> None:
    first, last = paint("first.png", (0, 0, 0)), paint("last.png", (160, 0, 0))
    structure, out = paint("structure.png", (0, 0, 80)), tmp_path / "out.png"
    assert (
        swap(
            "--appearance", first, "--appearance", last, "--structure", structure,
            "--interpolate", "5", "-o", out,
        )
        == 0
    )  # fmt: skip
    steps = {(red, 0, 40) for red in (0, 20, 40, 60, 80)}
    assert colors(out) == steps | {(0, 0, 0), (160, 0, 0), (0, 0, 80), (255, 255, 255)}


def test_appearances_of_one_person_give_one_composite(paint: PaintPicture, tmp_path: Path) -> None:
    paint("worn/1.png", (200, 0, 0))
    paint("worn/2.png", (0, 80, 0))
    blue, out = paint("blue.png", (0, 0, 100)), tmp_path / "out.png"
    worn = ("--appearance", tmp_path / "worn", "--same-person")
    assert swap(*worn, "--structure", blue, "-o", out) == 0
    # Their mean is (100, 40, 0), and the fake goes halfway there.
    assert colors(out) == {(50, 20, 50)}


def test_the_clothes_below_the_waist_may_be_of_another(paint: PaintPicture, tmp_path: Path) -> None:
    red, green = paint("red.png", (200, 0, 0)), paint("green.png", (0, 80, 0))
    blue, out = paint("blue.png", (0, 0, 100)), tmp_path / "out.png"
    assert swap("--appearance", red, "--lower", green, "--structure", blue, "-o", out) == 0
    found = pixels(out)
    assert {tuple(map(int, color)) for color in found[:15].reshape(-1, 3)} == {(100, 0, 50)}
    assert {tuple(map(int, color)) for color in found[17:].reshape(-1, 3)} == {(0, 40, 50)}


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (("--interpolate", "3"), "--interpolate goes between two persons"),
        (("--server", "http://127.0.0.1:9"), "--same-person works on this machine only"),
    ],
)
def test_one_person_is_joined_here_and_not_walked(
    paint: PaintPicture,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    complaint: str,
) -> None:
    for name in ("1", "2"):
        paint(f"worn/{name}.png", (0, 0, 0))
    blue = paint("blue.png", (0, 0, 100))
    worn = ("--appearance", tmp_path / "worn", "--same-person")
    assert swap(*worn, "--structure", blue, "-o", tmp_path / "out.png", *more) == 2
    assert complaint in capsys.readouterr().err


def test_too_many_appearances_of_one_person_are_refused(
    paint: PaintPicture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in range(17):
        paint(f"worn/{name}.png", (0, 0, 0))
    blue = paint("blue.png", (0, 0, 100))
    worn = ("--appearance", tmp_path / "worn", "--same-person")
    assert swap(*worn, "--structure", blue, "-o", tmp_path / "out.png") == 2
    assert "at most 16 are taken" in capsys.readouterr().err


def test_interpolation_needs_two_appearances(
    paint: PaintPicture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    red, out = paint("red.png", (200, 0, 0)), tmp_path / "out.png"
    code = swap("--appearance", red, "--structure", red, "--interpolate", "3", "-o", out)
    assert code == 2
    assert "1 were given" in capsys.readouterr().err


def test_a_damaged_picture_is_named_and_nothing_is_written(
    paint: PaintPicture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    red, bad, out = paint("red.png", (200, 0, 0)), tmp_path / "bad.png", tmp_path / "out.png"
    bad.write_bytes(red.read_bytes()[:40])
    assert swap("--appearance", red, "--structure", bad, "-o", out) == 2
    assert str(bad) in capsys.readouterr().err
    assert not out.exists()


def test_an_unknown_picture_format_is_refused_before_any_work(
    paint: PaintPicture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    red = paint("red.png", (200, 0, 0))
    assert swap("--appearance", red, "--structure", red, "-o", tmp_path / "out.gif") == 2
    assert ".png, .jpg, .jpeg, .webp" in capsys.readouterr().err


def test_an_empty_folder_is_refused(
    paint: PaintPicture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    red = paint("red.png", (200, 0, 0))
    code = swap("--appearance", tmp_path / "empty", "--structure", red, "-o", tmp_path / "out.png")
    assert code == 2
    assert "holds no picture" in capsys.readouterr().err
