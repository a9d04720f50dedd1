"""`torchrun -m dgnet train`: the command as several processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dgnet.model.checkpoints import load_teacher
from dgnet.model.training.state import saved_iterations
from tests.commands.test_training_commands import ON_CPU, TINY
from tests.model.tiny import write_people
from tests.processes import command

pytestmark = pytest.mark.slow

TORCHRUN = ("--standalone", "--nproc-per-node", "2", "-m", "dgnet")


def trained_by_two(people: Path, run: Path, *more: str) -> tuple[int, str]:
    """Exit code and what the processes printed."""
    arguments = ("train", "teacher", str(people), "-o", str(run), "--height", "64", "--width", "48")
    every = ("--checkpoint-every", "1", "--log-every", "1")
    with command(
        *(*TORCHRUN, *arguments, *every, *TINY, *ON_CPU, *more), module="torch.distributed.run"
    ) as process:
        said, _ = process.communicate()
    return process.returncode, said


def test_two_processes_train_resume_and_write_once(tmp_path: Path) -> None:
    people, run = write_people(tmp_path / "people"), tmp_path / "run"
    schedule = ("--batch-size", "4", "--iterations", "2")
    code, said = trained_by_two(people, run, *schedule)
    assert code == 0
    assert [line.split(":")[0] for line in said.splitlines()[:2]] == ["1", "2"]
    assert said.count("wrote ") == 1
    assert saved_iterations(run) == 2
    load_teacher(run / "checkpoint")
    code, said = trained_by_two(people, run, *schedule, "--resume")
    assert (code, said.count("wrote ")) == (0, 1)


def test_a_batch_that_cannot_be_shared_ends_all_processes_with_the_reason(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    people = write_people(tmp_path / "people")
    code, _ = trained_by_two(people, tmp_path / "run", "--batch-size", "5", "--iterations", "2")
    assert code != 0
    assert "batch_size is 5, of all 2 processes together" in capfd.readouterr().err
