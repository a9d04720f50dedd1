"""Shards on the disk: `shards/000012/` with its pictures, its part of the manifest and its hashes.

A shard is there as a whole or not at all. `shard.json` tells which positions it covers and the
sha256 of every file, so that a resumed job can tell a good shard from a damaged one.

Who begins a job opens the folder of its shards, and its end takes it away in one step. No writer
makes it: one that comes late, however long it stood still, has no place for its first file.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from dgnet.files import PART, file_sha256
from dgnet.generation.output.publication import published_folder
from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.manifest import MANIFEST, Row, read_rows
from dgnet.jobs.generation.packed import data_file

SHARDS_FOLDER = "shards"
PICTURES_FOLDER = "pictures"
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
    sources: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """sha256 of every source picture that was read; more than one, or `sources.REPLACED`, if it was
    replaced meanwhile. Empty in shards of releases before this was noted."""

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
            "sources": self.sources,
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
            sources=values.get("sources", {}),
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


def open_shards(directory: Path) -> None:
    """Shards of the job may be published from now on."""
    (directory / SHARDS_FOLDER).mkdir(exist_ok=True)


def close_shards(directory: Path) -> None:
    """Remove all shards; for everybody who still writes they are gone at once."""
    with suppress(FileNotFoundError):
        aside = directory / f".{SHARDS_FOLDER}-{secrets.token_hex(4)}{PART}"
        (directory / SHARDS_FOLDER).rename(aside)
    for left in directory.glob(f".{SHARDS_FOLDER}-*{PART}"):  # by a killed process, too
        for _ in range(2):  # a file that was just being made may have hindered the first
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def published_shard(directory: Path, number: int) -> Generator[Path]:
    """A folder to fill, which becomes the shard; GenerationError if shards are closed."""
    try:
        with published_folder(shard_folder(directory, number)) as folder:
            yield folder
    except FileNotFoundError as error:
        if (directory / SHARDS_FOLDER).is_dir():
            raise
        raise GenerationError(
            f"{directory} takes no shards any more: its set is complete, or somebody removed "
            f"{SHARDS_FOLDER}/; if the job is not done, resume it"
        ) from error


def write_shard(
    folder: Path,
    covers: ShardRange,
    rows: list[Row],
    unreadable: dict[str, str],
    sources: dict[str, list[str]],
) -> ShardIndex:
    """Complete a shard's folder, whose pictures are there, by manifest part and index."""
    pictures = folder / PICTURES_FOLDER
    part = "".join(row.to_line() for row in rows).encode()
    (folder / MANIFEST).write_bytes(part)
    hashes: dict[str, str] = {}
    for row in rows:
        if row.written is not None:
            name = data_file(row.written.file)
            if name not in hashes:  # of a packed file, the row has the hash of its picture only
                whole = name == row.written.file
                hashes[name] = row.written.sha256 if whole else file_sha256(pictures / name)
    index = ShardIndex(
        range=covers,
        kept=sum(row.kept for row in rows),
        dropped=dict(sorted(Counter(row.dropped for row in rows if row.dropped).items())),
        unreadable=dict(sorted(unreadable.items())),
        manifest_sha256=hashlib.sha256(part).hexdigest(),
        files=hashes,
        sources=sources,
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
    """The index of a shard whose every file has its hash; whoever makes another one replaces it."""
    folder = shard_folder(directory, covers.number)
    index = read_index(folder)
    if index is not None and index.range == covers and _has_all(folder, index):
        return index
    return None


def rows_of(directory: Path, number: int) -> Iterator[Row]:
    """A shard's part of the manifest."""
    return read_rows(shard_folder(directory, number) / MANIFEST)


def _has_all(folder: Path, index: ShardIndex) -> bool:
    try:
        whole = file_sha256(folder / MANIFEST) == index.manifest_sha256
        return whole and all(
            file_sha256(folder / PICTURES_FOLDER / name) == expected
            for name, expected in index.files.items()
        )
    except OSError:
        return False
