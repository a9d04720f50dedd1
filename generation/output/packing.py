"""Packs the pictures of a shard into one file, for the layouts that have such files.

webdataset: a tar whose members come in pairs, NAME.jpg and NAME.json (the manifest row). parquet:
the manifest's columns and the picture, its bytes and its name. Afterwards `file` of a row names
both, such as `composites-000003.tar/NAME.jpg`. The same shard gives the same bytes.
"""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

from dgnet.generation.output.arrow import ManifestWriter
from dgnet.jobs.generation.manifest import Row
from dgnet.jobs.generation.spec import GenerationSpec

ENDINGS = {"webdataset": "tar", "parquet": "parquet"}


def pack(spec: GenerationSpec, rows: list[Row], folder: Path, shard: int) -> list[Row]:
    """Replace the pictures of `folder` by one file; returns the rows, which name it then."""
    ending = ENDINGS.get(spec.output.layout)
    pictures = [folder / row.written.file for row in rows if row.written]
    if ending is None or not pictures:
        return rows
    name = f"composites-{shard:06d}.{ending}"
    rows = [_packed(row, name) for row in rows]
    kept = [row for row in rows if row.kept]
    if ending == "tar":
        _write_tar(folder / name, kept, pictures)
    else:
        clothes = kept[0].appearance.clothes_told
        with ManifestWriter(folder / name, spec, pictures=True, clothes=clothes) as file:
            for row, picture in zip(kept, pictures, strict=True):
                file.write(row, picture)
    for picture in pictures:
        picture.unlink()
    return rows


def _packed(row: Row, name: str) -> Row:
    if row.written is None:
        return row
    return replace(row, written=row.written._replace(file=f"{name}/{row.written.file}"))


def _write_tar(path: Path, rows: list[Row], pictures: list[Path]) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for row, picture in zip(rows, pictures, strict=True):
            _add(tar, picture.name, picture.read_bytes())
            _add(tar, f"{picture.stem}.json", json.dumps(row.to_json(), sort_keys=True).encode())


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # with neither time nor owner
    member.size = len(data)
    member.mode = 0o644
    tar.addfile(member, io.BytesIO(data))
