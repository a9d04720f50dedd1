"""Composites of a job as its manifest has them, few enough to be checked by eye."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# position, appearance (person, camera), structure (person, camera), identity consistency, dropped
FEW: tuple[tuple[int, tuple[int, int], tuple[int, int], float | None, str | None], ...] = (
    (0, (1, 1), (2, 2), 0.5, None),
    (1, (1, 1), (3, 3), 0.9, None),
    (2, (2, 2), (1, 1), 0.1, "low_identity_consistency"),
    (3, (2, 2), (3, 3), 0.5, None),
    (4, (3, 3), (1, 1), None, "unreadable_picture"),
    (5, (3, 3), (2, 2), 0.7, None),
)


def row(number: int) -> dict[str, Any]:
    position, appearance, structure, score, dropped = FEW[number]
    kept = dropped is None
    name = f"bounding_box_train/{appearance[0]:04d}_c{structure[1]}s9_{position:09d}_99.jpg"
    return {
        "position": position,
        "file": name if kept else None,
        "sha256": "0" * 64 if kept else None,
        "bytes": 7 if kept else None,
        "appearance_path": f"{appearance[0]:04d}_c{appearance[1]}s1_000000_00.jpg",
        "appearance_person": appearance[0],
        "appearance_camera": appearance[1],
        "structure_path": f"{structure[0]:04d}_c{structure[1]}s1_000000_00.jpg",
        "structure_person": structure[0],
        "structure_camera": structure[1],
        "scene": "generate" if kept else None,
        "kept_share": 0.0 if kept else None,
        "labels": {"appearance": appearance[0]},
        "scores": {} if score is None else {"identity_consistency": score},
        "kept": kept,
        "dropped": dropped,
    }


def lines(*numbers: int) -> bytes:
    return "".join(json.dumps(row(number)) + "\n" for number in numbers).encode()


def write_shard(job: Path, shard: int, *numbers: int) -> None:
    """As workers publish it: the rows, and a picture of each that is kept."""
    folder = job / "shards" / f"{shard:06d}"
    folder.mkdir(parents=True)
    (folder / "manifest.jsonl").write_bytes(lines(*numbers))
    _write_pictures(folder / "pictures", numbers)


def write_set(job: Path) -> None:
    """As a job that is done leaves it."""
    job.mkdir(parents=True, exist_ok=True)
    (job / "manifest.jsonl").write_bytes(lines(*range(len(FEW))))
    _write_pictures(job, range(len(FEW)))


def _write_pictures(folder: Path, numbers: Any) -> None:
    for number in numbers:
        if (file := row(number)["file"]) is not None:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(b"\xff\xd8picture")
