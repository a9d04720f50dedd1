"""Packs the pictures of a shard into one file, for the layouts that have such files.

webdataset: a tar whose members come in pairs, NAME.jpg and NAME.json (the manifest row). parquet:
the manifest's columns and the picture, its bytes and its name. Afterwards `file` of a row names
both, such as `composites-000003.tar/NAME.jpg`. The same shard gives the same bytes.
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from dgnet.generation.output.arrow import PICTURE_COLUMN, ManifestWriter, read_rows
from dgnet.jobs.generation.spec import GenerationSpec

Row = dict[str, Any]

ENDINGS = {"webdataset": "tar", "parquet": "parquet"}


def pack(spec: GenerationSpec, rows: list[Row], folder: Path, shard: int) -> None:
    """Replace the pictures of `folder` by one file; rows that have a picture are told its name."""
    ending = ENDINGS.get(spec.output.layout)
    kept = [row for row in rows if row["kept"]]
    if ending is None or not kept:
        return
    name = f"composites-{shard:06d}.{ending}"
    pictures = [folder / row["file"] for row in kept]
    for row in kept:
        row["file"] = f"{name}/{row['file']}"
    if ending == "tar":
        _write_tar(folder / name, kept, pictures)
    else:
        with ManifestWriter(
            folder / name, spec, pictures=True, clothes="appearance_clothes" in kept[0]
        ) as file:
            for row, picture in zip(kept, pictures, strict=True):
                image = {"bytes": picture.read_bytes(), "path": picture.name}
                file.write({**row, PICTURE_COLUMN: image})
    for picture in pictures:
        picture.unlink()


def read_packed(directory: Path, file: str) -> bytes:
    """The picture that a manifest calls `file`, packed or not."""
    packed, _, name = file.partition("/")
    if packed.endswith(".tar"):
        with tarfile.open(directory / packed) as tar:
            member = tar.extractfile(name)
            assert member is not None
            return member.read()
    if packed.endswith(".parquet"):
        rows = read_rows(directory / packed, ["file", PICTURE_COLUMN])
        return next(row[PICTURE_COLUMN]["bytes"] for row in rows if row["file"] == file)
    return (directory / file).read_bytes()


def data_file(file: str) -> str:
    """The file on disk that holds what a manifest calls `file`."""
    packed = file.partition("/")[0]
    return packed if packed.endswith((".tar", ".parquet")) else file


def _write_tar(path: Path, rows: list[Row], pictures: list[Path]) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for row, picture in zip(rows, pictures, strict=True):
            _add(tar, picture.name, picture.read_bytes())
            _add(tar, f"{picture.stem}.json", json.dumps(row, sort_keys=True).encode())


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # with neither time nor owner
    member.size = len(data)
    member.mode = 0o644
    tar.addfile(member, io.BytesIO(data))
