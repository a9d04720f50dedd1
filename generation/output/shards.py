"""Shards on the disk: `shards/000012/` with its pictures, its part of the manifest and its hashes.

A shard is there as a whole or not at all. `shard.json` tells which positions it covers and the
sha256 of every file, so that a resumed job can tell a good shard from a damaged one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from dgnet.generation.output.packing import data_file
from dgnet.generation.output.publication import file_sha256

Row = dict[str, Any]

SHARDS_FOLDER = "shards"
PICTURES_FOLDER = "pictures"
MANIFEST_PART = "manifest.jsonl"
INDEX = "shard.json"
ALL_MADE = "all-made"
"""Beside the shards once there is none left to make: their files may be moved from then on."""


@dataclass(frozen=True, kw_only=True)
class ShardRange:
    """What one shard covers: positions `first` to `last` of the window that holds them."""

    number: int
    window: tuple[int, int]
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first


@dataclass(frozen=True, kw_only=True)
class ShardIndex:
    """What `shard.json` says."""

    range: ShardRange
    kept: int
    dropped: dict[str, int]
    """Composites by the reason why they were dropped."""
    unreadable: dict[str, str]
    """Source pictures that this shard needed and could not read, and why."""
    manifest_sha256: str
    files: dict[str, str]
    """sha256 by path below the pictures folder, and so below the output folder."""

    def to_json(self) -> dict[str, Any]:
        return {
            "number": self.range.number,
            "window": list(self.range.window),
            "first": self.range.first,
            "last": self.range.last,
            "kept": self.kept,
            "dropped": self.dropped,
            "unreadable": self.unreadable,
            "manifest_sha256": self.manifest_sha256,
            "files": self.files,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ShardIndex:
        start, stop = values["window"]
        return cls(
            range=ShardRange(
                number=values["number"],
                window=(start, stop),
                first=values["first"],
                last=values["last"],
            ),
            kept=values["kept"],
            dropped=values["dropped"],
            unreadable=values["unreadable"],
            manifest_sha256=values["manifest_sha256"],
            files=values["files"],
        )


def cut(window: tuple[int, int], shard_size: int, number: int) -> Iterator[ShardRange]:
    """The shards of a window, counted from `number`."""
    for place in range(shards_of(window, shard_size)):
        yield shard_of(window, shard_size, number, number + place)


def shards_of(window: tuple[int, int], shard_size: int) -> int:
    """How many shards a window is cut into."""
    return -(-(window[1] - window[0]) // shard_size)


def shard_of(window: tuple[int, int], shard_size: int, first: int, number: int) -> ShardRange:
    """Shard `number` of a window whose shards are counted from `first`."""
    start = window[0] + (number - first) * shard_size
    last = min(start + shard_size, window[1])
    if not window[0] <= start < last:
        raise ValueError(f"shard {number} is not within the window {window}")
    return ShardRange(number=number, window=window, first=start, last=last)


def shard_folder(directory: Path, number: int) -> Path:
    return directory / SHARDS_FOLDER / f"{number:06d}"


def write_shard(
    folder: Path, covers: ShardRange, rows: list[Row], unreadable: dict[str, str]
) -> ShardIndex:
    """Complete a shard's folder, whose pictures are there, by manifest part and index."""
    pictures = folder / PICTURES_FOLDER
    part = "".join(json.dumps(row) + "\n" for row in rows).encode()
    (folder / MANIFEST_PART).write_bytes(part)
    hashes: dict[str, str] = {}
    for row in rows:
        if row["kept"]:
            name = data_file(row["file"])
            if name not in hashes:  # of a packed file, the row has the hash of its picture only
                whole = name == row["file"]
                hashes[name] = row["sha256"] if whole else file_sha256(pictures / name)
    index = ShardIndex(
        range=covers,
        kept=sum(row["kept"] for row in rows),
        dropped=dict(sorted(Counter(row["dropped"] for row in rows if not row["kept"]).items())),
        unreadable=dict(sorted(unreadable.items())),
        manifest_sha256=hashlib.sha256(part).hexdigest(),
        files=hashes,
    )
    (folder / INDEX).write_text(json.dumps(index.to_json(), indent=1) + "\n", encoding="utf-8")
    return index


def read_index(folder: Path) -> ShardIndex | None:
    """A shard's index; None where there is none that can be read.

    It names every file, so it is read when it is needed and not kept: jobs have any number of them.
    """
    try:
        values = cast("dict[str, Any]", json.loads((folder / INDEX).read_text(encoding="utf-8")))
        return ShardIndex.from_json(values)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def sound_shard(directory: Path, covers: ShardRange) -> ShardIndex | None:
    """The index of a shard whose every file has its hash; anything else is removed."""
    folder = shard_folder(directory, covers.number)
    index = read_index(folder)
    if index is not None and index.range == covers and _has_all(folder, index):
        return index
    shutil.rmtree(folder, ignore_errors=True)
    return None


def rows_of(directory: Path, number: int) -> Iterator[Row]:
    """A shard's part of the manifest."""
    path = shard_folder(directory, number) / MANIFEST_PART
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _has_all(folder: Path, index: ShardIndex) -> bool:
    try:
        whole = file_sha256(folder / MANIFEST_PART) == index.manifest_sha256
        return whole and all(
            file_sha256(folder / PICTURES_FOLDER / name) == expected
            for name, expected in index.files.items()
        )
    except OSError:
        return False
