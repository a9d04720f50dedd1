"""The script of the first day with a GPU, rehearsed on the CPU with numbers that mean nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu_table import NOT_MEASURED, rows
from dgnet.model.checkpoints import DEFAULT_CHECKPOINT, load_checkpoint

ROOT = Path(__file__).parents[2]
DAY = ROOT / "benchmarks" / "gpu_day.sh"
PIECE_BYTES = 15_000_000


def day(out: Path, *steps: str, learn: Path | None = None) -> subprocess.CompletedProcess[str]:
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "REHEARSAL": "1", "PATH": programs, "TESTS": "takes_the_card"}
    if learn is not None:
        environment["LEARN"] = str(learn)
    return subprocess.run(
        [str(DAY), str(out), *steps], env=environment, capture_output=True, text=True
    )


def measured(out: Path) -> set[str]:
    return {name for name, value in rows(out) if value != NOT_MEASURED}


@pytest.mark.slow
def test_steps_stand_alone_and_leave_figures_in_a_table_first_and_last(tmp_path: Path) -> None:
    done = day(tmp_path / "out", "facts", "tests", "composites", "generation")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("| What | Found |") == 2
    assert done.stdout.split("| What | Found |")[1].count(NOT_MEASURED) == len(rows(tmp_path))
    assert measured(tmp_path / "out") == {
        "machine", "tests/gpu", "composites/s in bulk, small, eager",
        "ms of one swap, small, eager", "composites/s to the disk, threads 1",
    }  # fmt: skip
    assert (tmp_path / "out" / "table.md").read_text() in done.stdout
    assert "see " not in done.stdout  # no step failed


def test_what_fails_is_said_and_the_next_step_begins(tmp_path: Path) -> None:
    fails, learns = tmp_path / "fails.sh", tmp_path / "learns.sh"
    fails.write_text("#!/bin/sh\necho no luck >&2; exit 3\n")
    # What a training leaves: the weights that ship.
    learns.write_text(f'#!/bin/sh\nmkdir -p "$1" && cp -r "{DEFAULT_CHECKPOINT}" "$1/detail"\n')
    for script in (fails, learns):
        script.chmod(0o755)
    out = tmp_path / "out"
    done = day(out, "learn", "weights", learn=fails)
    assert "learn ended with 3 after" in done.stdout
    assert "no weights in" in done.stderr
    assert (out / "learn.log").read_text() == "no luck\n"
    done = day(out, "learn", "weights", learn=learns)
    assert "ended with" not in done.stdout.split("| What | Found |")[-1]
    pieces = sorted(out.glob("weights.tar.*"))
    assert len(pieces) > 1
    assert max(piece.stat().st_size for piece in pieces) <= PIECE_BYTES
    whole = b"".join(piece.read_bytes() for piece in pieces)
    subprocess.run(["tar", "x", "-C", str(tmp_path)], input=whole, check=True)
    assert load_checkpoint(tmp_path / "weights").metadata.config.preset == "small"


def test_an_unknown_step_is_refused_before_any_begins(tmp_path: Path) -> None:
    done = day(tmp_path, "facts", "dance")
    assert done.returncode == 2
    assert "there is no step dance" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_no_command_may_take_more_than_ten_minutes() -> None:
    text = DAY.read_text()
    assert " seconds=600\n" in text
    commands = [line for line in text.splitlines() if "python -m" in line and line[0] == " "]
    assert [line for line in commands if "measured " not in line and "printf" not in line] == []


def test_the_table_has_a_place_in_the_docs_for_every_figure(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    section = page.split("## On a GPU: not measured", 1)[1].split("\n## ", 1)[0]
    assert [name for name, _ in rows(tmp_path) if f"| {name} |" not in section] == []


def test_half_written_figures_count_as_none(tmp_path: Path) -> None:
    (tmp_path / "composites-small.json").write_text(json.dumps({"rows": []})[:5])
    assert measured(tmp_path) == set()
