"""`dgnet demo` as `make demo` runs it, on a tiny network."""

from __future__ import annotations

from pathlib import Path

from tests.processes import STOP_SECONDS, command

DEMO_SECONDS = 600.0


def test_the_demo_writes_everything_and_exits_0(checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "demo"
    with command(
        "demo", "--output", str(output), "--checkpoint", str(checkpoint), "--device", "cpu",
        "--composites", "6",
    ) as process:  # fmt: skip
        told, _ = process.communicate(timeout=DEMO_SECONDS)
        assert process.returncode == 0, told
    made = {path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file()}
    pictures = {name for name in made if name.startswith("dataset/bounding_box_train/")}
    assert len(pictures) == 6
    assert made - pictures == {
        "composite.png", "appearance-structure-composite.png", "swap-grid.png",
        "embeddings.npz", "similarities.txt", "server.log",
        "dataset/manifest.jsonl", "dataset/manifest.parquet", "dataset/job.json",
        "dataset/README.md", "dataset/card.md", "dataset/sheet.png",
        "dataset/plots/persons.png", "dataset/plots/cameras.png",
        "dataset/plots/identity_consistency.png",
    }  # fmt: skip
    assert str(output.resolve()) in told


def test_a_demo_that_cannot_start_says_why_and_exits_1(tmp_path: Path) -> None:
    nothing = str(tmp_path / "no-checkpoint")
    with command("demo", "--output", str(tmp_path), "--checkpoint", nothing) as process:
        assert process.wait(STOP_SECONDS) == 1
    assert "no-checkpoint" in (tmp_path / "server.log").read_text()
