"""Brings a complete set to a URL, a store of fsspec: every file verified, the manifest last.

`job.json` takes the place before any picture is made, so that a bucket that is missing or closed is
seen at once. Files go in parallel; each that arrived whole is noted in a ledger beside them, so
that a delivery that was killed sends only what is missing. Where the manifest is, the set is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from worker.generation.assembly import MANIFEST
from worker.generation.claim import JOB_FILE, job_file
from worker.generation.errors import DeliveryError, GenerationError
from worker.generation.publication import locked
from worker.generation.shards import SHARDS_FOLDER
from worker.generation.store import Fingerprint, Store

THREADS = 16
"""Files on their way at once: an object of some kilobytes is all waiting."""

FILES_AHEAD = 4
"""A thread: files that wait for being sent."""


@dataclass(kw_only=True)
class Delivery:
    """How far it is; the numbers grow while it runs."""

    files: int
    done: int = 0
    sent: int = 0
    """Of those done, the ones that were not there already."""
    bytes_sent: int = 0


Report = Callable[[Delivery], None]


def claim_destination(url: str, identity: dict[str, Any], *, resume: bool) -> bool:
    """Take an empty place for a job, or check that it is this job's; whether its set is complete.

    Raises GenerationError where something else is, or where `resume` is needed, and DeliveryError
    where the store does not let us in.
    """
    store = Store(url)
    held = store.read(JOB_FILE)
    if held is None:
        if not store.is_empty():
            raise GenerationError(
                f"{url} is not empty and holds no generation job; expected an empty or new place"
            )
        store.write(JOB_FILE, job_file(identity))
        return False
    if not _same_json(held, job_file(identity)):
        raise GenerationError(
            f"{url} holds another generation job, whose {JOB_FILE} differs; choose another place"
        )
    if not resume:
        raise GenerationError(
            f"{url} holds this generation job already: carry it on with --resume, or choose "
            "another place"
        )
    return store.has(MANIFEST)


def deliver(
    folder: Path, url: str, *, threads: int = THREADS, report: Report = lambda delivery: None
) -> Delivery:
    """Put a complete job's files to the URL; what arrived by an earlier call is not sent again.

    Raises GenerationError for a folder that is not complete, DeliveryError where the store fails;
    calling again carries on.
    """
    if not (folder / MANIFEST).exists():
        raise GenerationError(f"{folder} holds no complete set: it has no {MANIFEST}")
    store = Store(url)
    with locked(folder), UploadLedger(folder, store.url) as ledger:
        delivery = Delivery(files=sum(1 for _ in _files(folder)))
        names = (name for name in _files(folder) if name != MANIFEST)

        def bring(name: str) -> int:
            return _bring(store, ledger, folder / name, name)

        pool = ThreadPoolExecutor(threads, "dgnet-deliver")
        try:
            waiting: deque[Future[int]] = deque()
            for name in names:
                waiting.append(pool.submit(bring, name))
                if len(waiting) > FILES_AHEAD * threads:
                    _count(delivery, waiting.popleft().result(), report)
            while waiting:
                _count(delivery, waiting.popleft().result(), report)
        finally:
            pool.shutdown(cancel_futures=True)
        _count(delivery, bring(MANIFEST), report)
    return delivery


class UploadLedger:
    """Which files have arrived at one URL, by name and sha256: lines beside the files themselves.

    It survives kills; a line that was cut off counts as not written, and its file is sent again.
    """

    def __init__(self, folder: Path, url: str) -> None:
        digest = hashlib.sha256(url.encode()).hexdigest()[:16]
        path = folder / f".delivered-{digest}.jsonl"
        self._arrived = dict(_entries(path))
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8")
        self._file.write("\n")  # ends a line that was cut off

    def __enter__(self) -> UploadLedger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def has(self, name: str, sha256: str) -> bool:
        return self._arrived.get(name) == sha256

    def add(self, name: str, sha256: str) -> None:
        with self._lock:
            self._file.write(json.dumps([name, sha256]) + "\n")
            self._file.flush()


def _bring(store: Store, ledger: UploadLedger, path: Path, name: str) -> int:
    """Bytes sent, 0 where the file is there already."""
    expected = Fingerprint.of(path)
    if ledger.has(name, expected.sha256) and store.holds(name, expected, arrived_before=True):
        return 0
    store.put(path, name)
    if not store.holds(name, expected):
        raise DeliveryError(f"{store.url}/{name} is not what was sent; deliver it again")
    ledger.add(name, expected.sha256)
    return expected.size


def _count(delivery: Delivery, sent_bytes: int, report: Report) -> None:
    delivery.done += 1
    delivery.sent += sent_bytes > 0
    delivery.bytes_sent += sent_bytes
    report(delivery)


def _files(folder: Path) -> Iterator[str]:
    """What is delivered: everything but hidden files and left-over shards."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != SHARDS_FOLDER)
        for name in sorted(names):
            if not name.startswith("."):
                yield (Path(parent) / name).relative_to(folder).as_posix()


def _entries(path: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            name, sha256 = cast("tuple[str, str]", json.loads(line))
        except ValueError:
            continue
        yield name, sha256


def _same_json(one: bytes, other: bytes) -> bool:
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False
