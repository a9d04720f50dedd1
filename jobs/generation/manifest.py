"""What a finished set says of itself: its files, and the manifest's row for each composite.

The manifest is written twice, as JSON lines and as a Parquet table, with the same columns in the
same order (docs/generation.md). Labels and scores are those that the spec asked for. Light: pyarrow
is imported where a schema is asked for, so that the front end has the names without it.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict, cast

from dgnet.jobs.contract import Scene

MANIFEST = "manifest.jsonl"
MANIFEST_TABLE = "manifest.parquet"
CARD = "card.md"
README = "README.md"
"""The card once more, behind what Hugging Face's hub and `datasets` read of a set."""
SHEET = "sheet.png"
JOB_FILE = "job.json"

Score = Literal[
    "identity_consistency", "teacher_confidence", "realism_percentile", "judge_similarity"
]
SCORES: dict[Score, tuple[int, int]] = {
    "identity_consistency": (-1, 1),
    "teacher_confidence": (0, 1),
    "realism_percentile": (0, 100),
    "judge_similarity": (-1, 1),
}
"""Lowest and highest value of each score, and so of its filter `minimum_...`; in this order they
are compared.
"""

PICTURE_COLUMN = "image"
PICTURE_METADATA = {
    "huggingface": json.dumps({"info": {"features": {PICTURE_COLUMN: {"_type": "Image"}}}})
}
"""Tells Hugging Face's `datasets` to decode the column, a struct of `bytes` and `path`."""

ClassProbability = TypedDict("ClassProbability", {"class": int, "probability": float})


class TwoLabels(TypedDict):
    """Shares of the two persons; they sum to 1."""

    appearance: float
    structure: float


class Labels(TypedDict, total=False):
    """Those that the spec asked for."""

    appearance: int
    """Person."""
    structure: int
    """Person."""
    teacher_top_k: list[ClassProbability]
    """Most probable first."""
    uniform: float
    """Probability of each class."""
    two_labels: TwoLabels


class Origin(NamedTuple):
    """The picture that gave a composite its appearance, or the one that gave its structure."""

    path: str
    """Below the source folder, with forward slashes."""
    person: int
    camera: int | None
    """None where it is not known."""
    clothes: str | None = None
    clothes_told: bool = False
    """Whether the data set tells anybody's clothes: only then is there a column of them."""

    def columns(self, role: Literal["appearance", "structure"]) -> dict[str, str | int | None]:
        columns: dict[str, str | int | None] = {
            f"{role}_path": self.path,
            f"{role}_person": self.person,
            f"{role}_camera": self.camera,
        }
        if self.clothes_told:
            columns[f"{role}_clothes"] = self.clothes
        return columns

    @classmethod
    def of(cls, row: dict[str, Any], role: Literal["appearance", "structure"]) -> Origin:
        return cls(
            path=row[f"{role}_path"],
            person=row[f"{role}_person"],
            camera=row[f"{role}_camera"],
            clothes=row.get(f"{role}_clothes"),
            clothes_told=f"{role}_clothes" in row,
        )


class Written(NamedTuple):
    """A composite's picture."""

    file: str
    """Below the output folder, with forward slashes; in a packed file `PACKED/NAME`."""
    sha256: str
    """Of the picture, packed or not."""
    bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One composite that was made or tried."""

    position: int
    """In the plan."""
    written: Written | None
    """None where it was dropped."""
    appearance: Origin
    structure: Origin
    labels: Labels
    scores: dict[Score, float]
    """Those that the spec filters by."""
    dropped: str | None
    """Why; None where it was kept."""
    scene: Scene | None = None
    """What became of it; None where nothing was made, and in rows of releases that did not note
    it."""
    kept_share: float | None = None
    """Share of the pixels that equal the structure picture's, as the network saw and composed them;
    0 where the scene was generated, None as above."""

    @property
    def kept(self) -> bool:
        return self.written is not None

    def to_json(self) -> dict[str, object]:
        """The columns in their order."""
        file, sha256, size_bytes = self.written or (None, None, None)
        return {
            "position": self.position,
            "file": file,
            "sha256": sha256,
            "bytes": size_bytes,
            **self.appearance.columns("appearance"),
            **self.structure.columns("structure"),
            "scene": self.scene,
            "kept_share": self.kept_share,
            "labels": self.labels,
            "scores": self.scores,
            "kept": self.kept,
            "dropped": self.dropped,
        }

    def to_line(self) -> str:
        """Of `MANIFEST`."""
        return json.dumps(self.to_json()) + "\n"

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Row:
        """KeyError where a column is missing that every release wrote."""
        written = Written(values["file"], values["sha256"], values["bytes"])
        return cls(
            position=values["position"],
            written=written if values["kept"] else None,
            appearance=Origin.of(values, "appearance"),
            structure=Origin.of(values, "structure"),
            labels=values["labels"],
            scores=values["scores"],
            dropped=values["dropped"],
            scene=values.get("scene"),
            kept_share=values.get("kept_share"),
        )


def read_rows(path: Path) -> Iterator[Row]:
    """Rows of JSON lines, one in memory at a time."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield Row.from_json(cast("dict[str, Any]", json.loads(line)))


def schema(
    labels: Collection[str], scores: Collection[Score], *, pictures: bool, clothes: bool
) -> Any:
    """pyarrow's schema of the columns: `clothes` where the source tells them, and in a packed file
    that holds the `pictures` themselves `PICTURE_COLUMN`.
    """
    arrow: Any = importlib.import_module("pyarrow")
    number, text, real = arrow.int64(), arrow.string(), arrow.float64()
    columns: list[Any] = [
        ("position", number),
        ("file", text),
        ("sha256", text),
        ("bytes", number),
    ]
    for role in ("appearance", "structure"):
        columns += [
            (f"{role}_path", text),
            (f"{role}_person", number),
            (f"{role}_camera", number),
            *([(f"{role}_clothes", text)] if clothes else []),
        ]
    columns += [("scene", text), ("kept_share", real)]
    kinds: dict[str, Any] = {
        "appearance": number,
        "structure": number,
        "teacher_top_k": arrow.list_(arrow.struct([("class", number), ("probability", real)])),
        "uniform": real,
        "two_labels": arrow.struct([("appearance", real), ("structure", real)]),
    }
    wanted = [(name, kind) for name, kind in kinds.items() if name in labels]
    # Parquet has no struct without fields.
    columns += [("labels", arrow.struct(wanted))] if wanted else []
    columns += [("scores", arrow.struct([(name, real) for name in scores]))] if scores else []
    columns += [("kept", arrow.bool_()), ("dropped", text)]
    if not pictures:
        return arrow.schema(columns)
    picture = arrow.struct([("bytes", arrow.binary()), ("path", text)])
    return arrow.schema([*columns, (PICTURE_COLUMN, picture)], metadata=PICTURE_METADATA)
