"""`dgnet.generate` makes what the command makes, and says what came of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dgnet import generate
from dgnet.generation.local_run import Progress
from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.spec import spec_from
from tests.commands.test_cli import exit_code
from tests.generation.jobs import PERSONS, contents, save_tiny_checkpoint
from tests.model.tiny import write_people


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_people(tmp_path_factory.mktemp("data") / "people", persons=PERSONS)


def test_the_call_makes_the_files_of_the_command(
    checkpoint: Path, people: Path, tmp_path: Path
) -> None:
    values: dict[str, Any] = {"source": {"folder": str(people)}, "count": 6}
    told: list[tuple[int, int]] = []

    def hear(progress: Progress) -> None:
        told.append((progress.made, progress.planned))

    networks: dict[str, Any] = {
        "checkpoint": checkpoint, "device": "cpu", "precision": "fp32", "batch_size": 4,
    }  # fmt: skip
    made = generate(values, tmp_path / "call", progress=hear, **networks)
    assert made.counts is not None
    assert (made.counts.kept, made.counts.made, made.counts.dropped) == (6, 6, {})
    assert told[-1] == (6, 6)
    assert [row.position for row in made.rows()] == list(range(6))
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(values))
    options = ("--checkpoint", checkpoint, "--device", "cpu", "--batch-size", "4")
    assert (
        exit_code("generate", str(file), "-o", str(tmp_path / "command"), *map(str, options)) == 0
    )
    assert contents(tmp_path / "call") == contents(tmp_path / "command")
    # A spec in any of its forms is the same job; what is complete is found.
    for spec in (str(file), file, spec_from(values)):
        again = generate(spec, str(made.folder), resume=True, **networks)
        assert again.counts is not None
        assert (again.counts.made_before, again.counts.kept) == (6, 6)


def test_what_cannot_be_made_is_told(checkpoint: Path, people: Path, tmp_path: Path) -> None:
    values: dict[str, Any] = {"source": {"folder": str(people)}, "count": 6}
    with pytest.raises(GenerationError, match="no output: give one"):
        generate(values, checkpoint=checkpoint)
    with pytest.raises(GenerationError, match=r"neither of count and per_identity"):
        generate({"source": {"folder": str(people)}}, tmp_path / "out", checkpoint=checkpoint)
    with pytest.raises(GenerationError, match="for an output that is a URL"):
        generate(values, tmp_path / "out", checkpoint=checkpoint, keep_work=True)
    assert list(tmp_path.iterdir()) == []


def test_a_store_gets_the_set_and_is_asked_first(
    checkpoint: Path, people: Path, tmp_path: Path
) -> None:
    values: dict[str, Any] = {"source": {"folder": str(people)}, "count": 3}
    url = f"file://{tmp_path}/store"
    options: dict[str, Any] = {"checkpoint": checkpoint, "device": "cpu", "work": tmp_path / "work"}
    made = generate(values, url, **options)
    assert (made.url, made.folder.exists()) == (url, False)
    assert (tmp_path / "store" / "manifest.jsonl").read_text().count("\n") == 3
    assert generate(values, url, resume=True, **options).counts is None
