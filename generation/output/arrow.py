"""Parquet: the manifest, and shards that hold the pictures themselves.

pyarrow ships no types, so it is kept within this file and the schema. The same rows always give the
same bytes with one version of pyarrow.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import TracebackType
from typing import Any

from dgnet.jobs.generation.manifest import PICTURE_COLUMN, Row, schema
from dgnet.jobs.generation.spec import GenerationSpec

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
        self._schema = schema(
            spec.label_names, spec.wanted_scores, pictures=pictures, clothes=clothes
        )
        self._limit = PICTURES_A_GROUP if pictures else ROWS_A_GROUP
        self._file: Any = parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[dict[str, object]] = []
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

    def write(self, row: Row, picture: Path | None = None) -> None:
        """With its `picture` where the file holds pictures."""
        columns = row.to_json()
        if picture is not None:
            columns[PICTURE_COLUMN] = {"bytes": picture.read_bytes(), "path": picture.name}
        self._rows.append(columns)
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
