"""Two processes of torchrun learn what one learns of the same batches."""

from __future__ import annotations

from pathlib import Path

import pytest

from dgnet.model.tensor_files import read_tensors
from tests.model.tiny import length, write_people, write_triples
from tests.processes import command

pytestmark = pytest.mark.slow

TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")
RUNS = "tests.model.training.parallel_runs"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("data")
    return write_people(folder / "people"), write_triples(folder / "truth")


def lines(*arguments: str, module: str) -> list[str]:
    """What a run printed."""
    with command(*arguments, module=module) as process:
        said, _ = process.communicate()
    assert process.returncode == 0, said
    return said.splitlines()


@pytest.mark.parametrize(("kind", "accumulate"), [("teacher", "1"), ("joint", "2")])
def test_two_processes_learn_what_one_does_of_the_same_batches(
    tmp_path: Path, folders: tuple[Path, Path], kind: str, accumulate: str
) -> None:
    """In joint training each process also computes its half in two micro-batches."""
    data = [str(folder) for folder in folders]
    alone, both = tmp_path / "alone", tmp_path / "both"
    printed = lines(kind, str(alone), *data, "1", module=RUNS)
    first, *rest = TORCHRUN
    printed_by_two = lines(*rest, RUNS, kind, str(both), *data, accumulate, module=first)
    assert len(printed) == len(printed_by_two)  # the second process is silent

    first_state, expected, found = (
        read_tensors(run / "state" / name / "state.safetensors")
        for run, name in ((alone, "000001"), (alone, "000003"), (both, "000003"))
    )
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        if not name.startswith("network."):
            continue
        moved = length(tensor - first_state[name])
        apart = length(tensor - found[name])
        # What no loss depends on hardly moves, by rounding alone.
        assert apart <= 0.01 * moved + 1e-6, f"{name}: {apart} apart, moved {moved}"
    states = [sorted(path.name for path in (run / "state").iterdir()) for run in (alone, both)]
    assert states == [["000001", "000002", "000003"]] * 2
