"""The data sets that the front end knows: a small record for each, beside the pictures.

DATA_ROOT/datasets/ID is an uploaded set, ID.json its record or that of a registered folder, and
ID.report.json what the check said. Records are files because they must outlive Redis. What is not
complete has a hidden name and a lock that ends with its process, so that whatever a killed process
left behind can be told from what another one is receiving. Synchronous: run it in a thread.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from dgnet.files import write_file
from dgnet.jobs.storage import dataset_folder, is_folder, resolve_source
from dgnet.service.archives import Unpacked

_log = logging.getLogger(__name__)

DatasetState = Literal["unchecked", "checking", "ready", "unusable"]
ID_PREFIX = "ds_"
UPLOAD_SUFFIX = ".upload"
REMOVED_SUFFIX = ".removed"


class UnknownDataset(Exception):
    """No data set has this id; `str(error)` is safe to show."""


class Reading(BaseModel):
    """What whoever brings a data set says about how it is read; docs/data.md."""

    model_config = ConfigDict(frozen=True)

    layout: str | None = None
    pattern: str | None = None
    junk: tuple[str, ...] | None = None
    distractors: tuple[str, ...] | None = None


class DatasetRecord(Reading):
    """What is kept of a data set."""

    id: str
    name: str | None = None
    """What people call it."""
    origin: Literal["upload", "folder"]
    folder: str
    """Below the data root, with forward slashes."""
    created: datetime
    files: int | None
    """Of an upload: how many were kept."""
    size_bytes: int | None
    ignored: int | None
    """Of an upload: files that are no pictures."""
    state: DatasetState = "unchecked"
    check_job: str | None = None
    """Job of the queue that looks at the pictures."""
    error: str | None = None
    """Why the set is unusable."""


class DatasetStore:
    """All records below one data root."""

    def __init__(self, data_root: Path) -> None:
        self._data_root = data_root
        self._folder = data_root / "datasets"

    @property
    def folder(self) -> Path:
        """Where uploads and records lie."""
        return self._folder

    def get(self, dataset_id: str) -> DatasetRecord:
        """Raises UnknownDataset."""
        try:
            return DatasetRecord.model_validate_json(self._record_file(dataset_id).read_bytes())
        except (FileNotFoundError, ValueError) as error:
            if isinstance(error, ValidationError):
                raise  # a damaged record is not an unknown one
            raise UnknownDataset(
                f"No data set has the id {dataset_id[:100]!r}; GET /v1/datasets lists all."
            ) from error

    def all(self) -> list[DatasetRecord]:
        """Newest first; one whose record is damaged must not hide the others."""
        records: list[DatasetRecord] = []
        for path in self._folder.glob(f"{ID_PREFIX}*.json"):
            if path.name.endswith(".report.json"):
                continue
            try:
                records.append(DatasetRecord.model_validate_json(path.read_bytes()))
            except FileNotFoundError:
                pass  # deleted meanwhile
            except ValidationError as error:
                _log.error("the record of %s is damaged: %s", path.stem, error)
        return sorted(records, key=lambda record: (record.created, record.id), reverse=True)

    def put(self, record: DatasetRecord) -> None:
        """Create or replace a record."""
        text = record.model_dump_json(indent=1)
        write_file(self._record_file(record.id), text.encode(), durable=True)

    def update(self, dataset_id: str, **changes: Any) -> DatasetRecord:
        """Change fields of a record that is there; raises UnknownDataset if it is not any more."""
        with self._alone():
            return self._changed(dataset_id, changes)

    def report(self, dataset_id: str) -> dict[str, Any] | None:
        """What the check said of a set, if it has been made."""
        try:
            return json.loads(self._report_file(dataset_id).read_bytes())
        except FileNotFoundError:
            return None

    def put_report(self, dataset_id: str, report: dict[str, Any]) -> DatasetRecord:
        """The check is done; raises UnknownDataset if the set was deleted meanwhile."""
        with self._alone():
            self.get(dataset_id)
            write_file(self._report_file(dataset_id), json.dumps(report).encode(), durable=True)
            return self._changed(dataset_id, {"state": "ready", "check_job": None})

    def _changed(self, dataset_id: str, changes: dict[str, Any]) -> DatasetRecord:
        changed = self.get(dataset_id).model_copy(update=changes)
        self.put(changed)
        return changed

    @contextmanager
    def _alone(self) -> Generator[None]:
        """Nobody else changes or removes a record meanwhile: what is deleted stays deleted."""
        try:
            descriptor = os.open(self._folder, os.O_RDONLY)
        except FileNotFoundError as error:
            raise UnknownDataset("There is no data set; GET /v1/datasets lists all.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def register(self, folder: str, reading: Reading, *, name: str | None = None) -> DatasetRecord:
        """A record of a folder below the data root; ValueError with a message that is safe."""
        path = resolve_source(self._data_root, folder)
        if not is_folder(path):
            raise ValueError(f"{folder!r} is no folder below the data root")
        root = self._data_root.resolve()
        record = DatasetRecord(
            id=_new_id(),
            name=name,
            origin="folder",
            folder=path.relative_to(root).as_posix(),
            **dict(reading),
            created=datetime.now(UTC),
            files=None,
            size_bytes=None,
            ignored=None,
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        self.put(record)
        return record

    @contextmanager
    def incoming(self) -> Generator[Path]:
        """A hidden folder to receive an upload in; whatever is in it at the end is removed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        folder, descriptor = self._locked_folder()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)

    def _locked_folder(self) -> tuple[Path, int]:
        """A new hidden folder and the descriptor that locks it: `sweep` may be faster once."""
        while True:
            folder = self._folder / f".{_new_id()}{UPLOAD_SUFFIX}"
            folder.mkdir()
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(folder, os.O_RDONLY)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if folder.exists():
                    return folder, descriptor
                os.close(descriptor)

    def adopt(
        self, pictures: Path, reading: Reading, unpacked: Unpacked, *, name: str | None = None
    ) -> DatasetRecord:
        """Make a folder of pictures, complete and on the same volume, a data set of its own."""
        dataset_id = _new_id()
        record = DatasetRecord(
            id=dataset_id,
            name=name,
            origin="upload",
            folder=f"{self._folder.name}/{dataset_id}",
            **dict(reading),
            created=datetime.now(UTC),
            files=unpacked.files,
            size_bytes=unpacked.size_bytes,
            ignored=unpacked.ignored,
        )
        # In this order a crash in between leaves a record that can be deleted, no lost pictures.
        self.put(record)
        pictures.rename(dataset_folder(self._data_root, dataset_id))
        return record

    def remove(self, record: DatasetRecord) -> None:
        """Forget a set; an upload's pictures go with it. Can be repeated after a crash."""
        if record.origin == "upload":
            removed = self._folder / f".{record.id}{REMOVED_SUFFIX}"
            with contextlib.suppress(FileNotFoundError):
                dataset_folder(self._data_root, record.id).rename(removed)
            shutil.rmtree(removed, ignore_errors=True)
        with self._alone():
            self._report_file(record.id).unlink(missing_ok=True)
            self._record_file(record.id).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what killed processes left behind."""
        if not self._folder.is_dir():
            return
        for entry in self._folder.iterdir():
            if entry.name.startswith(".") and entry.name.endswith((UPLOAD_SUFFIX, REMOVED_SUFFIX)):
                _remove_unless_locked(entry)

    def _record_file(self, dataset_id: str) -> Path:
        return dataset_folder(self._data_root, dataset_id).with_suffix(".json")

    def _report_file(self, dataset_id: str) -> Path:
        return dataset_folder(self._data_root, dataset_id).with_suffix(".report.json")


def _new_id() -> str:
    return ID_PREFIX + secrets.token_hex(8)


def _remove_unless_locked(folder: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)
