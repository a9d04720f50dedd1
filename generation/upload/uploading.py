"""Brings a complete set to a URL, a store of fsspec: every file verified, the manifest last.

`job.json` takes the place before any picture is made, so that a bucket that is missing or closed is
seen at once. Files go in parallel, in an order that never changes; each that arrived whole, with
all before it, is noted in a log beside them, so that an upload that was killed and is begun again
sends only what is missing. Where the manifest is, the set is whole.

Names are read from the manifest and the log as they are needed: memory does not grow with the
set, of whose files there may be millions in one folder.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from dgnet.generation.output.assembly import read_manifest
from dgnet.generation.output.folder import differences, job_file
from dgnet.generation.output.plots import PLOTS_FOLDER
from dgnet.generation.output.publication import locked
from dgnet.generation.upload.hub import HubStore, is_on_hub
from dgnet.generation.upload.store import FileDigests, Store
from dgnet.jobs.generation.errors import GenerationError, UploadError
from dgnet.jobs.generation.manifest import (
    CARD,
    JOB_FILE,
    MANIFEST,
    MANIFEST_TABLE,
    README,
    SHEET,
)
from dgnet.jobs.generation.packed import data_file
from dgnet.paths import local_path

THREADS = 16
"""Files on their way at once: an object of some kilobytes is all waiting."""

FILES_AHEAD = 4
"""A thread: files that wait for being sent."""


@dataclass(kw_only=True)
class UploadProgress:
    """How far it is; the numbers grow while it runs."""

    files: int
    done: int = 0
    sent: int = 0
    """Of those done, the ones that were not there already."""
    bytes_sent: int = 0


Report = Callable[[UploadProgress], None]


def take_destination(url: str, identity: dict[str, Any], *, resume: bool) -> bool:
    """Take an empty place for a job, or check that it is this job's; whether its set is complete.

    Raises GenerationError where something else is, or where `resume` is needed, and UploadError
    where the store does not let us in.
    """
    store = open_store(url)
    held = store.read(JOB_FILE)
    if held is None:
        if not store.is_empty():
            raise GenerationError(
                f"{url} is not empty and holds no generation job; expected an empty or new place"
            )
        store.write(JOB_FILE, job_file(identity))
        return False
    if not _is_of(held, identity):
        raise GenerationError(
            f"{url} holds another generation job, whose {JOB_FILE} differs; choose another place"
        )
    if not resume:
        raise GenerationError(
            f"{url} holds this generation job already: carry it on with --resume, or choose "
            "another place"
        )
    return store.has(MANIFEST)


def upload(
    folder: str | Path, url: str, *, threads: int = THREADS, report: Report = lambda progress: None
) -> UploadProgress:
    """Put a complete job's files to the URL; what arrived by an earlier call is not sent again.

    Raises GenerationError for a folder that is not complete, UploadError where the store fails;
    calling again carries on. Files that were on their way then may be sent again.
    """
    folder = local_path(folder)
    if not (folder / MANIFEST).exists():
        raise GenerationError(f"{folder} holds no complete set: it has no {MANIFEST}")
    store = open_store(url)
    if isinstance(store, HubStore):
        return _commit(folder, store, report)
    with locked(folder), UploadLog(folder, store.url) as log:
        progress = UploadProgress(files=1 + sum(1 for _ in _all_but_the_manifest(folder)))
        waiting: deque[Future[_Uploaded]] = deque()

        def start(name: str) -> Future[_Uploaded]:
            return pool.submit(_upload_file, store, folder, name, log.arrived(name))

        def settle() -> None:
            uploaded = waiting.popleft().result()
            log.add(uploaded.name, uploaded.sha256)
            progress.done += 1
            progress.sent += uploaded.sent_bytes > 0
            progress.bytes_sent += uploaded.sent_bytes
            report(progress)

        pool = ThreadPoolExecutor(threads, "dgnet-upload")
        try:
            for name in _all_but_the_manifest(folder):
                waiting.append(start(name))
                if len(waiting) > FILES_AHEAD * threads:
                    settle()
            while waiting:
                settle()
            waiting.append(start(MANIFEST))
            settle()
        finally:
            pool.shutdown(cancel_futures=True)
    return progress


def open_store(url: str) -> Store:
    """As its scheme asks for."""
    return HubStore(url) if is_on_hub(url) else Store(url)


def _commit(folder: Path, store: HubStore, report: Report) -> UploadProgress:
    """To the hub, many files at once."""
    with locked(folder):
        names = list(_all_but_the_manifest(folder))
        progress = UploadProgress(files=1 + len(names))

        def count(name: str, sent_bytes: int) -> None:
            progress.done += 1
            progress.sent += sent_bytes > 0
            progress.bytes_sent += sent_bytes
            report(progress)

        store.send(folder, names, count)
        store.send(folder, [MANIFEST], count)
    return progress


class UploadLog:
    """Which files have arrived at one URL: name and sha256 of each, line by line beside the files.

    It is written and asked in the order of upload. It survives kills; a line that was cut off or
    is of another file ends what counts as written.
    """

    def __init__(self, folder: Path, url: str) -> None:
        digest = hashlib.sha256(url.encode()).hexdigest()[:16]
        self._file = (folder / f".delivered-{digest}.jsonl").open("a+b")
        self._file.seek(0)
        self._known = 0
        self._added = 0
        self._is_read = False

    def __enter__(self) -> UploadLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def arrived(self, name: str) -> str | None:
        """sha256 of what arrived of the file that is next; None where nothing is known to have."""
        if self._is_read:
            return None
        end = self._file.tell()
        entry = _entry(self._file.readline())
        if entry is not None and entry[0] == name:
            self._known += 1
            return entry[1]
        self._file.truncate(end)
        self._is_read = True
        return None

    def add(self, name: str, sha256: str) -> None:
        """The file that is next has arrived."""
        self._added += 1
        if self._added > self._known:  # all that was known has been read by now
            self._file.write(json.dumps([name, sha256]).encode() + b"\n")
            self._file.flush()


@dataclass(frozen=True, kw_only=True)
class _Uploaded:
    name: str
    sha256: str
    sent_bytes: int
    """0 where it was there already."""


def _upload_file(store: Store, folder: Path, name: str, arrived: str | None) -> _Uploaded:
    """`arrived` is the sha256 of what arrived by an earlier call."""
    try:
        expected = FileDigests.of(folder / name)
    except FileNotFoundError as error:
        raise GenerationError(
            f"{name} is gone from {folder}: somebody removed it; remove the folder and generate "
            "anew"
        ) from error
    sent_bytes = 0
    if arrived != expected.sha256 or not store.holds(name, expected, arrived_before=True):
        store.put(folder / name, name)
        if not store.holds(name, expected):
            raise UploadError(f"{store.url}/{name} is not what was sent; upload it again")
        sent_bytes = expected.size
    return _Uploaded(name=name, sha256=expected.sha256, sent_bytes=sent_bytes)


def _all_but_the_manifest(folder: Path) -> Iterator[str]:
    """Files of a complete set: those that describe it, then those that the manifest names."""
    described = [folder / name for name in (JOB_FILE, README, CARD, SHEET, MANIFEST_TABLE)]
    described += sorted((folder / PLOTS_FOLDER).glob("*.png"))
    for path in described:
        if path.exists():  # there is no sheet where nothing was kept
            yield path.relative_to(folder).as_posix()
    before = ""
    for row in read_manifest(folder):
        name = data_file(row.written.file) if row.written else before
        if name != before:  # a packed file holds the pictures of many rows
            yield name
        before = name


def _entry(line: bytes) -> tuple[str, str] | None:
    try:
        name, sha256 = cast("tuple[str, str]", json.loads(line))
    except (ValueError, TypeError):
        return None
    return (name, sha256) if line.endswith(b"\n") else None


def _is_of(held: bytes, identity: dict[str, Any]) -> bool:
    """Whether a job file is the one of this job."""
    try:
        before: object = json.loads(held)
    except ValueError:
        return False
    return isinstance(before, dict) and not differences(
        cast("dict[str, Any]", before), json.loads(job_file(identity))
    )
