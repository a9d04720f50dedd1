"""A training process that is killed again and again ends where an undisturbed one ends."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from dgnet.model.checkpoints import read_metadata
from dgnet.model.training.state import saved_iterations
from tests.commands.test_training_commands import ON_CPU, TINY
from tests.model.tiny import write_dataset
from tests.processes import command

pytestmark = pytest.mark.slow

ITERATIONS = 6
SCHEDULE = [
    *("--iterations", str(ITERATIONS), "--batch-size", "2", "--checkpoint-every", "1"),
    *("--log-every", "1", "--seed", "3"),
]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("people"))


def teacher(people: Path, run: Path) -> list[str]:
    sizes = ("--height", "64", "--width", "48", "--validate", str(people))
    return ["train", "teacher", str(people), "-o", str(run), *sizes, *SCHEDULE, *TINY, *ON_CPU]


def joint(people: Path, run: Path, checkpoint: Path) -> list[str]:
    named = ("--teacher", str(checkpoint), "--start", "teacher", "--set", "warmup_start=1")
    return ["train", "joint", str(people), "-o", str(run), *named, *SCHEDULE, *ON_CPU]


def finished(arguments: list[str], run: Path, dies_at: int = 0) -> str | None:
    """What a process said that came to its end; None if it was killed on the way."""
    more = ["--resume"] if saved_iterations(run) else []
    with command(
        str(run), str(dies_at), *arguments, *more, module="tests.commands.dies_at"
    ) as process:
        said, _ = process.communicate()
    if process.returncode == -signal.SIGKILL:
        return None
    assert process.returncode == 0, said
    return said


def killed_from_outside(arguments: list[str], run: Path, after: int) -> None:
    """SIGKILL while the process works on what follows its line number `after`."""
    more = ["--resume"] if saved_iterations(run) else []
    with command(*arguments, *more) as process:
        assert process.stdout is not None
        for _ in range(after):
            assert process.stdout.readline()
        process.kill()
    assert process.returncode == -signal.SIGKILL


def outcome(run: Path) -> tuple[str, list[str]]:
    states = sorted(path.name for path in (run / "state").iterdir())
    return read_metadata(run / "checkpoint").sha256, states


def test_a_run_killed_at_any_file_it_touches_ends_as_if_undisturbed(
    people: Path, tmp_path: Path
) -> None:
    """With validation: a kill may also fall between the best checkpoint and the state."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    said = finished(teacher(people, whole), whole)
    assert said is not None
    touches = int(said.split()[-1])
    # Every process gets a few files further than the one before did in its own count.
    draws, kills = random.Random(5), 0
    while finished(teacher(people, broken), broken, draws.randint(2, touches // 2)) is None:
        kills += 1
        assert kills < 20, "no process gets anywhere"
    assert kills >= 2
    assert outcome(broken) == outcome(whole)
    best = [read_metadata(run / "best") for run in (whole, broken)]
    assert best[0].sha256 == best[1].sha256
    assert best[0].metrics == best[1].metrics


def test_joint_training_killed_from_outside_ends_as_if_undisturbed(
    people: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "teacher"
    assert finished(teacher(people, labels), labels) is not None
    checkpoint = labels / "checkpoint"
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert finished(joint(people, whole, checkpoint), whole) is not None
    for after in (1, 2):
        killed_from_outside(joint(people, broken, checkpoint), broken, after)
    assert finished(joint(people, broken, checkpoint), broken) is not None
    assert outcome(broken) == outcome(whole)
