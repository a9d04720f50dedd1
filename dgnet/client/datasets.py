"""Data sets of a server: upload, register, look at, delete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from dgnet.client.connection import Connection, DGNetError, ReportProgress
from dgnet.jobs.dataset_names import is_wanted
from dgnet.jobs.media_types import ANY_BYTES
from dgnet.jobs.tarball import file_range, files_below, tar_range, tar_size
from dgnet.paths import local_path

Dataset = dict[str, Any]
"""What GET /v1/datasets/{id} answers."""


class Datasets:
    """Part of `DGNetClient`; every method raises DGNetError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def upload(
        self,
        source: str | Path,
        *,
        name: str | None = None,
        layout: str | None = None,
        pattern: str | None = None,
        junk: Sequence[str] | None = None,
        distractors: Sequence[str] | None = None,
        progress: ReportProgress = lambda sent, total: None,
    ) -> Dataset:
        """A zip, tar or gzipped tar, or a folder, of which the pictures are sent."""
        source = local_path(source)
        if source.is_dir():
            size_bytes = tar_size(_pictures_below(source))
            chunks = tar_range(_pictures_below(source), 0, size_bytes)
        else:
            size_bytes = source.stat().st_size
            chunks = file_range(source, 0, size_bytes)
        given = {
            "name": name,
            "layout": layout,
            "pattern": pattern,
            "junk": junk,
            "distractors": distractors,
        }
        return self._connection.json(
            "POST",
            "/v1/datasets",
            params={name: value for name, value in given.items() if value is not None},
            headers={
                "Content-Type": ANY_BYTES,
                "Content-Length": str(size_bytes),
            },
            content=_counted(chunks, size_bytes, progress),
        )

    def register(
        self,
        folder: str,
        *,
        name: str | None = None,
        layout: str | None = None,
        pattern: str | None = None,
        junk: Sequence[str] | None = None,
        distractors: Sequence[str] | None = None,
    ) -> Dataset:
        """A folder below the server's data root."""
        body = {
            "folder": folder,
            "name": name,
            "layout": layout,
            "pattern": pattern,
            "junk": junk,
            "distractors": distractors,
        }
        return self._connection.json("POST", "/v1/datasets", json=body)

    def list(self) -> list[Dataset]:
        """All of them, newest first, without reports."""
        return self._connection.json("GET", "/v1/datasets")["data"]

    def get(self, dataset_id: str) -> Dataset:
        """The data set, with its report once the check is done."""
        return self._connection.json("GET", f"/v1/datasets/{quote(dataset_id, safe='')}")

    def delete(self, dataset_id: str) -> None:
        """Remove an upload, forget a folder."""
        self._connection.request("DELETE", f"/v1/datasets/{quote(dataset_id, safe='')}")


def _pictures_below(folder: Path) -> Any:
    return files_below(folder, lambda name: is_wanted(PurePosixPath(name)))


def _counted(chunks: Iterator[bytes], total: int, progress: ReportProgress) -> Iterator[bytes]:
    sent = 0
    try:
        for chunk in chunks:
            yield chunk
            sent += len(chunk)
            progress(sent, total)
    except (OSError, ValueError) as error:
        raise DGNetError(f"the data set cannot be read: {error}") from error
