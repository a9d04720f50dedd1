"""`dgnet generate`: options, exit codes, and a job that is killed."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from tests.commands.test_cli import exit_code
from tests.generation.jobs import PERSONS, contents, manifest, save_tiny_checkpoint
from tests.model.tiny import write_people

PATIENCE_SECONDS = 300.0


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture
def people(tmp_path: Path) -> Path:
    return write_people(tmp_path / "people", persons=PERSONS)


def generate(checkpoint: Path, *arguments: str | Path) -> int | str | None:
    options = ("--checkpoint", checkpoint, "--device", "cpu", "--batch-size", "4")
    return exit_code("generate", *map(str, (*arguments, *options)))


def test_options_alone_make_a_data_set(
    people: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert generate(checkpoint, people, "--per-identity", "2", "--label", "uniform", "-o", out) == 0
    printed = capsys.readouterr().out
    assert f"10 of 10 composites kept, in {out}" in printed
    assert "decode" in printed
    assert [row["labels"] for row in manifest(out)] == [{"uniform": 0.2}] * 10


def test_options_win_over_the_spec_file(
    people: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"source: {{folder: {people}}}\ncount: 100\npairing: same_camera\n")
    out = tmp_path / "out"
    assert generate(checkpoint, spec, "--per-identity", "1", "--format", "png", "-o", out) == 0
    rows = manifest(out)
    assert len(rows) == 5
    assert all(row["appearance_camera"] == row["structure_camera"] for row in rows)
    assert all(row["file"].endswith(".png") for row in rows)
    # The folder that a spec names and the one on the command line are the same job.
    assert generate(
        checkpoint, spec, people, "--per-identity", "1", "--format", "png", "-o", out, "--resume"
    ) == 0  # fmt: skip
    assert "5 of them were made by an earlier run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "neither of count and per_identity given"),
        (["--count", "1000"], "has only 180 pairs"),
        (["--count", "1", "--label", "nobody"], "labels.0"),
        (["--count", "1", "--quality", "0"], "output.quality"),
        (["--count", "1", "--split", "query"], "it has no query pictures"),
        (["--count", "1", "--pairing", "same"], "same"),
        (["another.json", "more.json"], "got 2 spec files and 1 folders"),
        (["gone.yaml"], "cannot read the spec gone.yaml"),
    ],
    ids=str,
)
def test_wrong_input_exits_2_and_says_why(
    people: Path,
    checkpoint: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert generate(checkpoint, people, *arguments, "-o", tmp_path / "out") == 2
    assert message in capsys.readouterr().err


def test_a_job_that_keeps_nothing_is_a_failure(
    people: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    nothing = ("--count", "4", "--minimum-teacher-confidence", "1")
    assert generate(checkpoint, people, *nothing, "-o", out) == 1
    assert "no composite was kept" in capsys.readouterr().err
    assert [row["dropped"] for row in manifest(out)] == ["low_teacher_confidence"] * 4


@contextmanager
def started(checkpoint: Path, people: Path, out: Path, *more: str) -> Generator[Popen[str]]:
    """The command as a process of its own; killed if it still runs at the end."""
    command = [
        sys.executable, "-m", "dgnet", "generate", str(people), "--count", "100", "-o", str(out),
        "--shard-size", "5", "--checkpoint", str(checkpoint), "--device", "cpu",
        "--batch-size", "4", *more,
    ]  # fmt: skip
    with Popen(command, stdout=PIPE, stderr=PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def wait_for_shards(process: Popen[str], out: Path, count: int) -> None:
    """Until so many are published; the process must still be running then."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while len(list((out / "shards").glob("[0-9]*"))) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up_at
        time.sleep(0.002)


@pytest.mark.slow
def test_a_killed_job_ends_with_the_same_files(
    people: Path, checkpoint: Path, tmp_path: Path
) -> None:
    same = ("--count", "100", "--shard-size", "5")
    assert generate(checkpoint, people, *same, "-o", tmp_path / "undisturbed") == 0
    out = tmp_path / "out"
    with started(checkpoint, people, out) as process:
        wait_for_shards(process, out, 3)
        process.kill()
    with started(checkpoint, people, out, "--resume") as process:
        wait_for_shards(process, out, 11)
        process.kill()
    with started(checkpoint, people, out, "--resume") as process:
        told, complaints = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, complaints
    assert "of them were made by an earlier run" in told
    assert contents(out) == contents(tmp_path / "undisturbed")


def test_an_interrupted_job_says_how_to_go_on(
    people: Path, checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with started(checkpoint, people, out) as process:
        wait_for_shards(process, out, 2)
        # Not SIGINT, which whatever a shell started in the background inherits as ignored.
        process.terminate()
        _, complaints = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert "shards that are done are kept: run the same command with --resume" in complaints
    assert json.loads((out / "job.json").read_text())["spec"]["count"] == 100
    assert not [path for path in (out / "shards").iterdir() if path.name.startswith(".")]
