"""`dgnet people`: sets and sheets, and what is refused."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from dgnet.commands.cli import app, main

RENDER = ["people", "render", "--people", "2", "--pictures", "4", "--cameras", "2", "--seed", "5"]


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    code = stop.value.code
    return code if isinstance(code, int) else 0


def test_a_set_is_written_and_passes_the_check(tmp_path: Path) -> None:
    output = tmp_path / "set"
    done = CliRunner().invoke(app, [*RENDER, "--processes", "1", "-o", str(output)])
    assert done.exit_code == 0, done.output
    assert "8 pictures of 2 people" in done.output
    checked = CliRunner().invoke(app, ["data", "check", str(output)])
    assert checked.exit_code == 0
    assert "read as market1501" in checked.output


@pytest.mark.parametrize("kind", ["mixed", "people", "swaps"])
def test_sheets_have_a_place_for_every_picture(tmp_path: Path, kind: str) -> None:
    output = tmp_path / "sheet.png"
    arguments = ["people", "sheet", "-o", str(output), "--kind", kind, "--rows", "2"]
    done = CliRunner().invoke(app, [*arguments, "--columns", "2", "--cameras", "2", "--seed", "5"])
    assert done.exit_code == 0, done.output
    # Swaps have a row and a column more, for the pictures themselves.
    places = 3 if kind == "swaps" else 2
    with Image.open(output) as sheet:
        assert sheet.size == (places * 66 - 2, places * 130 - 2)


def test_a_sheet_of_truths_shows_structure_appearance_truth_and_mask(tmp_path: Path) -> None:
    output = tmp_path / "sheet.png"
    arguments = ["people", "sheet", "-o", str(output), "--kind", "truths", "--columns", "3"]
    done = CliRunner().invoke(app, [*arguments, "--recipe", "3", "--cameras", "2", "--seed", "5"])
    assert done.exit_code == 0, done.output
    with Image.open(output) as picture:
        assert picture.size == (3 * 66 - 2, 4 * 130 - 2)
        mask = np.asarray(picture)[3 * 130 :, :64]
    assert set(np.unique(mask)) == {0, 255}


def test_the_diagonal_of_a_swap_sheet_is_the_people_themselves(tmp_path: Path) -> None:
    output = tmp_path / "sheet.png"
    arguments = ["people", "sheet", "-o", str(output), "--kind", "swaps", "--rows", "2"]
    CliRunner().invoke(app, [*arguments, "--cameras", "2", "--seed", "5"])
    with Image.open(output) as picture:
        sheet = np.asarray(picture)
    for k in (1, 2):
        left, top = 66 * k, 130 * k
        on_top = sheet[:128, left : left + 64]
        assert (on_top == sheet[top : top + 128, left : left + 64]).all()
        assert (on_top == sheet[top : top + 128, :64]).all()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--pictures", "2"], "raise them, or take splits=train"),
        (["--test-people", "9"], "test people: 9, expected 1 to 2"),
        (["--truth", "3"], "true composites need two people"),
        (["--changed"], "known of true composites alone"),
        (["--recipe", "4"], "'4' is not one of '2', '3'"),
    ],
)
def test_sets_that_cannot_be_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], complaint: str
) -> None:
    output = tmp_path / "set"
    assert exit_code(*RENDER, *options, "-o", str(output)) == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert "Traceback" not in said
    assert not output.exists()


def test_a_folder_in_use_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    assert exit_code(*RENDER, "-o", str(tmp_path)) == 2
    assert "holds no rendered set" in capsys.readouterr().err


def test_a_sheet_of_no_known_format_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("people", "sheet", "-o", "sheet.txt") == 2
    assert "cannot tell the picture format" in capsys.readouterr().err


def test_broken_body_data_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dgnet.people.body import template

    broken = tmp_path / "body.npz"
    broken.write_bytes(b"nonsense")
    monkeypatch.setattr(template, "BODY_FILE", broken)
    template.template.cache_clear()
    try:
        code = exit_code("people", "sheet", "-o", str(tmp_path / "sheet.png"), "--seed", "77")
        assert code == 1
    finally:
        template.template.cache_clear()
    assert "python -m dgnet.people.assets.build" in capsys.readouterr().err


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(tmp_path: Path) -> None:
    output = tmp_path / "set"
    arguments = [*RENDER[:3], "40", *RENDER[4:], "--processes", "1", "-o", str(output)]
    process = subprocess.Popen(
        [sys.executable, "-m", "dgnet", *arguments], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not list(output.glob(".rendering/person-*.json")):
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "--resume" in said
    assert "Traceback" not in said
