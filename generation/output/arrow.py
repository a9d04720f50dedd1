"""Parquet: the manifest, and shards that hold the pictures themselves.

pyarrow ships no types, so it is kept within this file. The same rows always give the same bytes
with one version of pyarrow.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from dgnet.jobs.generation.spec import GenerationSpec

Row = dict[str, Any]

PICTURE_COLUMN = "image"
PICTURE_METADATA = {
    "huggingface": json.dumps({"info": {"features": {PICTURE_COLUMN: {"_type": "Image"}}}})
}
"""Tells Hugging Face's `datasets` to decode the column, a struct of `bytes` and `path`."""

ROWS_A_GROUP = 8192
PICTURES_A_GROUP = 256
ROWS_AT_ONCE = 512
"""A row of a manifest takes some 3 KB as a dict and a tenth of that as a part of a group."""


def require_pyarrow() -> None:
    """Raises ImportError here, not after hours, where pyarrow is not installed."""
    importlib.import_module("pyarrow.parquet")


class ManifestWriter:
    """Collects rows into a Parquet file, a row group at a time."""

    def __init__(
        self, path: Path, spec: GenerationSpec, *, pictures: bool = False, clothes: bool = False
    ) -> None:
        self._pyarrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
        self._schema = manifest_schema(spec, pictures=pictures, clothes=clothes)
        self._limit = PICTURES_A_GROUP if pictures else ROWS_A_GROUP
        self._file: Any = parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[Row] = []
        self._group: list[Any] = []
        """Tables."""

    def __enter__(self) -> ManifestWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._pack()
            self._flush()
        self._file.close()

    def write(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) >= min(ROWS_AT_ONCE, self._limit):
            self._pack()
            if sum(map(len, self._group)) >= self._limit:
                self._flush()

    def _pack(self) -> None:
        if self._rows:
            self._group.append(self._pyarrow.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []

    def _flush(self) -> None:
        if self._group:
            self._file.write_table(self._pyarrow.concat_tables(self._group))
            self._group = []


def manifest_schema(spec: GenerationSpec, *, pictures: bool = False, clothes: bool = False) -> Any:
    """Columns of the manifest; labels and scores have those that the spec asks for, `clothes` are
    there where the source tells them.
    """
    arrow: Any = importlib.import_module("pyarrow")
    columns: list[Any] = [
        ("position", arrow.int64()),
        ("file", arrow.string()),
        ("sha256", arrow.string()),
        ("bytes", arrow.int64()),
    ]
    for role in ("appearance", "structure"):
        columns += [
            (f"{role}_path", arrow.string()),
            (f"{role}_person", arrow.int64()),
            (f"{role}_camera", arrow.int64()),
            *([(f"{role}_clothes", arrow.string())] if clothes else []),
        ]
    probability = arrow.float64()
    kinds: dict[str, Any] = {
        "appearance": arrow.int64(),
        "structure": arrow.int64(),
        "teacher_top_k": arrow.list_(
            arrow.struct([("class", arrow.int64()), ("probability", probability)])
        ),
        "uniform": probability,
        "two_labels": arrow.struct([("appearance", probability), ("structure", probability)]),
    }
    wanted = [label if isinstance(label, str) else "teacher_top_k" for label in spec.labels]
    labels = [(name, kind) for name, kind in kinds.items() if name in wanted]
    scores = [
        (name.removeprefix("minimum_"), arrow.float64())
        for name, minimum in spec.keep
        if name.startswith("minimum_") and minimum is not None
    ]
    # Parquet has no struct without fields.
    columns += [("labels", arrow.struct(labels))] if labels else []
    columns += [("scores", arrow.struct(scores))] if scores else []
    columns += [("kept", arrow.bool_()), ("dropped", arrow.string())]
    if not pictures:
        return arrow.schema(columns)
    picture = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    return arrow.schema([*columns, (PICTURE_COLUMN, picture)], metadata=PICTURE_METADATA)


def read_rows(path: Path, columns: Iterable[str] | None = None) -> Iterator[Row]:
    """Rows of a Parquet file, a batch in memory at a time."""
    parquet: Any = importlib.import_module("pyarrow.parquet")
    wanted = None if columns is None else list(columns)
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=wanted):
            yield from batch.to_pylist()
