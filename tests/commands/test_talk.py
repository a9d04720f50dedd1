"""What commands say besides their answers: progress without a terminal, quiet, examples."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dgnet.commands import progress
from dgnet.commands.examples import EXAMPLES
from dgnet.commands.talk import first_named, set_quiet
from tests.commands.test_server_mode import PICTURES, run
from tests.house.commands_in_words import commands_in, parse
from tests.house.test_docs import COMMANDS


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_every_help_ends_with_examples_that_are_right(names: tuple[str, ...]) -> None:
    command = " ".join(names)
    examples = EXAMPLES[command]
    assert COMMANDS[names].epilog == "\n\n".join(("Examples:", *examples))
    for example in examples:
        assert example.startswith(f"dgnet {command}")
        (words,) = commands_in(example)
        parse(words)


def test_there_are_no_examples_of_commands_that_are_not() -> None:
    assert {" ".join(names) for names in COMMANDS} == set(EXAMPLES)


def test_progress_without_a_terminal_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    for _ in progress.track(range(2000), "Swapping"):
        now[0] += 0.1  # 200 seconds
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"Swapping: 1\d\d of 2,000(, 3 min left)?", lines[0])
    assert lines[-1] == "Swapping: 2,000 of 2,000"
    assert len(lines) == 14
    assert not any("\r" in line or "\x1b" in line for line in lines)
    list(progress.track(range(3), "Swapping"))  # what is done soon is not told
    set_quiet(True)
    for _ in progress.track(range(2000), "Swapping"):
        now[0] += 0.1
    set_quiet(False)
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("fake_predictor")
def test_quiet_says_nothing_and_json_is_for_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("swap", "--appearance", PICTURES[0], "--structure", PICTURES[1])
    assert run(*words, "-o", tmp_path / "a.png", "-q") == 0
    assert capsys.readouterr() == ("", "")
    assert run(*words, "-o", tmp_path / "b.png", "--json") == 0
    expected = {"files": [str(tmp_path / "b.png")], "height": 32, "width": 16}
    assert json.loads(capsys.readouterr().out) == expected
    assert run("embed", *PICTURES, "-o", tmp_path / "e.npz", "--json") == 0
    assert json.loads(capsys.readouterr().out)["pictures"] == len(PICTURES)


@pytest.mark.usefixtures("fake_predictor")
def test_a_folder_gets_single_files_and_nothing_is_overwritten_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["swap", "--structure", PICTURES[2], "--structure", PICTURES[3]]
    words += ["--appearance", PICTURES[0], "--appearance", PICTURES[1]]
    out = tmp_path / "composites"
    assert run(*words, "-o", out) == 0
    names = {f"{a.stem}_on_{s.stem}.png" for a in PICTURES[:2] for s in PICTURES[2:4]}
    assert {path.name for path in out.iterdir()} == names
    one = out / f"{PICTURES[1].stem}_on_{PICTURES[2].stem}.png"
    alone = tmp_path / "alone.png"
    single = ("swap", "--appearance", PICTURES[1], "--structure", PICTURES[2])
    assert run(*single, "-o", alone) == 0
    assert one.read_bytes() == alone.read_bytes()
    capsys.readouterr()
    one.write_bytes(b"mine")
    assert run(*single, "-o", out) == 2
    assert f"{one} is there already: choose another name, or --overwrite" in capsys.readouterr().err
    assert one.read_bytes() == b"mine"
    assert run(*single, "-o", alone) == 2
    assert run(*single, "-o", out, "--overwrite") == 0
    assert one.read_bytes() == alone.read_bytes()
    assert run(*single, "-o", out, "--format", "jpg") == 0
    assert one.with_suffix(".jpg").is_file()
    walk = tmp_path / "walk"
    assert run(*words, "-o", walk, "--interpolate", "3") == 0
    assert len(list(walk.iterdir())) == 3 * 2
    twin = tmp_path / PICTURES[0].name
    twin.write_bytes(PICTURES[1].read_bytes())
    assert run(*words, "--appearance", twin, "-o", tmp_path / "twins") == 2
    assert "two composites would be called" in capsys.readouterr().err


MAIN = "from dgnet.commands.cli import main\nmain([])"


@pytest.mark.parametrize(
    ("typed", "expected"), [("dgnet jo", "jobs"), ("dgnet swap --interp", "--interpolate")]
)
def test_the_shell_completes_commands_and_options(typed: str, expected: str) -> None:
    words = typed.split()
    done = subprocess.run(
        [sys.executable, "-c", "import sys\nsys.argv[0] = 'dgnet'\n" + MAIN],
        capture_output=True, text=True,
        env=os.environ | {
            "_DGNET_COMPLETE": "complete_bash", "COMP_WORDS": typed,
            "COMP_CWORD": str(len(words) - 1),
        },
    )  # fmt: skip
    assert done.stdout.split() == [expected], done.stderr


def test_many_are_named_by_the_first_and_their_number() -> None:
    assert first_named([1, 2, 3], most=3) == "1, 2, 3"
    assert first_named(["a", "b", "c", "d"], most=2) == "a, b and 2 more"
