"""The picture of a manifest's row: a file of its own, or packed with others.

Layouts that pack have tars, or Parquet files with the pictures in a column; `file` of a row then
names both, such as `composites-000003.tar/NAME.jpg`. Light: pyarrow is imported for Parquet alone.
"""

from __future__ import annotations

import importlib
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dgnet.jobs.generation.manifest import PICTURE_COLUMN

_ROWS_AT_ONCE = 512


def read_packed(directory: Path, file: str) -> bytes:
    """The picture that a manifest calls `file`, packed or not; FileNotFoundError if it is gone."""
    packed, _, name = file.partition("/")
    if packed.endswith(".tar"):
        with tarfile.open(directory / packed) as tar:
            try:
                member = tar.extractfile(name)
            except KeyError as error:
                raise FileNotFoundError(f"{packed} holds no picture {name}") from error
            assert member is not None
            return member.read()
    if packed.endswith(".parquet"):
        for found, data in _of_parquet(directory / packed):
            if found == file:
                return data
        raise FileNotFoundError(f"{directory / packed} holds no picture {file}")
    return (directory / file).read_bytes()


def data_file(file: str) -> str:
    """The file on disk that holds what a manifest calls `file`."""
    packed = file.partition("/")[0]
    return packed if packed.endswith((".tar", ".parquet")) else file


def packed_pictures(path: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each picture in a packed file, one or a batch of them in memory at a time;
    its own `name` tells the kind.
    """
    if name.endswith(".parquet"):
        for file, data in _of_parquet(path):
            yield file.partition("/")[2], data
        return
    with tarfile.open(path, "r:") as tar:
        for member in tar:
            if member.isfile() and not member.name.endswith(".json"):
                file = tar.extractfile(member)
                assert file is not None
                yield member.name, file.read()


def _of_parquet(path: Path) -> Iterator[tuple[str, bytes]]:
    """What the manifest calls each picture of a Parquet file, and its bytes."""
    parquet: Any = importlib.import_module("pyarrow.parquet")
    with parquet.ParquetFile(path) as table:
        for batch in table.iter_batches(_ROWS_AT_ONCE, columns=["file", PICTURE_COLUMN]):
            for row in batch.to_pylist():
                yield row["file"], row[PICTURE_COLUMN]["bytes"]
