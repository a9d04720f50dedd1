"""Brings a complete set from a URL into a folder: each picture has the sha256 of the manifest.

What is there already and right is not fetched again, so that calling again carries on what was
killed, and mends a set of which something was lost. The manifest takes its place last, as when a
set is made: where it is, the set is whole.

A store may hold anything. Names lead nowhere but below the folder, a picture ends where the
manifest says that it does, and nothing that was fetched is unpacked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from dgnet.files import PART, file_sha256, replaced_file, write_file
from dgnet.generation.output.folder import differences
from dgnet.generation.output.plots import PLOTS_FOLDER
from dgnet.generation.output.publication import locked, remove_unpublished
from dgnet.generation.output.shards import SHARDS_FOLDER
from dgnet.generation.upload.store import Store
from dgnet.generation.upload.uploading import FILES_AHEAD, THREADS, open_store
from dgnet.jobs.generation.errors import GenerationError, UploadError
from dgnet.jobs.generation.manifest import (
    CARD,
    JOB_FILE,
    MANIFEST,
    MANIFEST_TABLE,
    README,
    SHEET,
    Written,
)
from dgnet.jobs.generation.packed import data_file, packed_pictures
from dgnet.paths import local_path

PICTURES_AHEAD = 100_000
"""In files that wait for being fetched: a packed one may hold 65,536."""

LINE_BYTES = 2**20
"""Of one row; those that were ever written have some hundreds."""

DESCRIPTIONS = (README, CARD, SHEET, MANIFEST_TABLE)


@dataclass(kw_only=True)
class PullProgress:
    """How far it is; the numbers grow while it runs."""

    files: int
    """Of which each holds a picture or many."""
    done: int = 0
    fetched: int = 0
    """Of those done, the ones that were not there already."""
    bytes_fetched: int = 0


Report = Callable[[PullProgress], None]


def pull(
    url: str,
    folder: str | Path,
    *,
    threads: int = THREADS,
    report: Report = lambda progress: None,
) -> PullProgress:
    """Fetch the set at the URL into an empty or new folder, or one that holds a part of it.

    Raises GenerationError where there is no complete set, or where the folder holds something
    else; UploadError where the store fails, or what it gives is not what the manifest says: calling
    again carries on.
    """
    folder = local_path(folder)
    store = open_store(url)
    job = store.read(JOB_FILE)
    if job is None:
        raise GenerationError(f"{store.url} holds no set of dgnet: it has no {JOB_FILE}")
    if not store.has(MANIFEST):
        raise GenerationError(
            f"the set at {store.url} is not complete: it has no {MANIFEST}, which comes last"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        remove_unpublished(folder, f"*{PART}")
        _take_folder(folder, job)
        with replaced_file(folder / MANIFEST, durable=True) as manifest:
            store.fetch(MANIFEST, manifest)
            progress = PullProgress(files=sum(1 for _ in _files(manifest)))
            for name in [*DESCRIPTIONS, *_plots(store)]:
                if store.has(name):
                    with replaced_file(folder / name, make_parents=True) as part:
                        store.fetch(name, part)
            _fetch_all(store, folder, manifest, threads, progress, report)
    return progress


def _fetch_all(
    store: Store,
    folder: Path,
    manifest: Path,
    threads: int,
    progress: PullProgress,
    report: Report,
) -> None:
    waiting: deque[tuple[Future[int], int]] = deque()
    pictures_ahead = 0
    pool = ThreadPoolExecutor(threads, "dgnet-pull")

    def settle() -> int:
        future, pictures = waiting.popleft()
        fetched = future.result()
        progress.done += 1
        progress.fetched += fetched > 0
        progress.bytes_fetched += fetched
        report(progress)
        return pictures

    try:
        for file in _files(manifest):
            waiting.append((pool.submit(_fetch, store, folder, file), len(file.pictures)))
            pictures_ahead += len(file.pictures)
            while len(waiting) > FILES_AHEAD * threads or pictures_ahead > PICTURES_AHEAD:
                pictures_ahead -= settle()
        while waiting:
            settle()
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, kw_only=True)
class _File:
    """A file on disk, and the pictures in it: itself, or those that are packed."""

    name: str
    pictures: list[Written]

    @property
    def is_packed(self) -> bool:
        return self.name != self.pictures[0].file

    def is_whole(self, path: Path) -> bool:
        """Whether the file at the path is this one: each picture of the manifest, and no other."""
        if not self.is_packed:
            (picture,) = self.pictures
            return path.stat().st_size == picture.bytes and file_sha256(path) == picture.sha256
        expected = {picture.file.partition("/")[2]: picture.sha256 for picture in self.pictures}
        try:
            for name, data in packed_pictures(path, self.name):
                if expected.pop(name, None) != hashlib.sha256(data).hexdigest():
                    return False
        except Exception:  # whatever tarfile and pyarrow raise for what is no such file
            return False
        return not expected


def _fetch(store: Store, folder: Path, file: _File) -> int:
    """How many bytes were fetched: 0 where the file was there."""
    path = folder / file.name
    if not path.parent.resolve().is_relative_to(folder.resolve()):
        raise GenerationError(f"{path.parent} leads out of {folder}; remove that link")
    if path.is_file() and file.is_whole(path):
        return 0
    most_bytes = None if file.is_packed else file.pictures[0].bytes
    with replaced_file(path, make_parents=True) as part:
        fetched = store.fetch(file.name, part, most_bytes=most_bytes)
        if not file.is_whole(part):
            raise UploadError(
                f"{store.shown(file.name)} is not what the manifest says: its sha256 differs. "
                "Pull again; if that does not help, push the set anew from where it was made"
            )
    return fetched


def _files(manifest: Path) -> Iterator[_File]:
    """Rows of a packed file lie together, as they were written."""
    current: _File | None = None
    for picture in _pictures(manifest):
        name = data_file(picture.file)
        if current is not None and current.name == name and current.is_packed:
            current.pictures.append(picture)
            continue
        if current is not None:
            yield current
        current = _File(name=name, pictures=[picture])
    if current is not None:
        yield current


def _pictures(manifest: Path) -> Iterator[Written]:
    with manifest.open("rb") as file:
        number = 0
        while line := file.readline(LINE_BYTES):
            number += 1
            try:
                row: Any = json.loads(line)
                kept: object = row["kept"]
                picture = Written(row["file"], row["sha256"], row["bytes"])
            except (ValueError, TypeError, KeyError) as error:
                raise GenerationError(
                    f"line {number} of the {MANIFEST} that was fetched is no row of a manifest "
                    f"({type(error).__name__})"
                ) from None
            if kept:
                yield checked_picture(picture, f"line {number} of the {MANIFEST} that was fetched")


def checked_picture(picture: Written, line: str) -> Written:
    """The same; GenerationError where a manifest's `line` names what can be no picture of a set."""
    name, sha256, size = cast("tuple[object, object, object]", picture)
    if not (
        isinstance(name, str)
        and is_below(name)
        and isinstance(sha256, str)
        and re.fullmatch(r"[0-9a-f]{64}", sha256)
        and isinstance(size, int)
        and size >= 0
    ):
        raise GenerationError(
            f"{line} names {str(name)[:200]!r}, which is no picture of a set; nothing was written "
            "for it"
        )
    return picture


def is_below(name: str) -> bool:
    """Whether a manifest may call a picture so: a path below the set, in no place that is taken."""
    parts = name.split("/")
    return (
        len(name) <= 1000
        and all(part and not part.startswith(".") for part in parts)
        and not any(char in name for char in "\\\0")
        and parts[0] not in {JOB_FILE, MANIFEST, *DESCRIPTIONS, PLOTS_FOLDER, SHARDS_FOLDER}
    )


def _plots(store: Store) -> list[str]:
    names = [name for name in store.names(PLOTS_FOLDER) if re.fullmatch(r"\w+\.png", name)]
    return [f"{PLOTS_FOLDER}/{name}" for name in sorted(names)]


def _take_folder(folder: Path, job: bytes) -> None:
    """Refuse a folder that holds anything but this set or a part of it."""
    try:
        fetched: object = json.loads(job)
    except ValueError:
        fetched = None
    if not isinstance(fetched, dict):
        raise GenerationError(f"the {JOB_FILE} at the URL is damaged: it is no JSON object")
    path = folder / JOB_FILE
    if not path.exists():
        if others := sorted(entry.name for entry in folder.iterdir()):
            raise GenerationError(
                f"{folder} is not empty (it has {others[0]}) and holds no set; expected an empty "
                "or a new folder"
            )
        write_file(path, job, durable=True)
        return
    try:
        before: object = json.loads(path.read_bytes())
    except ValueError:
        before = None
    wanted = cast("dict[str, Any]", fetched)
    if not isinstance(before, dict) or differences(cast("dict[str, Any]", before), wanted):
        raise GenerationError(
            f"{folder} holds another set: its {JOB_FILE} differs; choose another folder"
        )
    if (folder / SHARDS_FOLDER).exists():
        raise GenerationError(
            f"{folder} holds this set while it is being made; carry that on with dgnet generate "
            "--resume, or choose another folder"
        )
