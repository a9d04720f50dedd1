"""Data sets of a server: upload, register, look at, delete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from dgnet.client.connection import Connection, ReportProgress, no_report
from dgnet.client.errors import DGNetError
from dgnet.jobs.dataset_names import is_wanted
from dgnet.jobs.media_types import ANY_BYTES
from dgnet.jobs.tarball import file_range, files_below, tar_range, tar_size
from dgnet.jobs.views import DatasetList, DatasetView
from dgnet.paths import local_path


class AsyncDatasets:
    """Part of `AsyncClient`; every method raises DGNetError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def upload(
        self,
        source: str | Path,
        *,
        name: str | None = None,
        layout: str | None = None,
        pattern: str | None = None,
        junk: Sequence[str] | None = None,
        distractors: Sequence[str] | None = None,
        progress: ReportProgress = no_report,
    ) -> DatasetView:
        """A zip, tar or gzipped tar, or a folder, of which the pictures are sent."""
        size_bytes, chunks = await self._connection.wire.aside(lambda: _body(local_path(source)))
        given = {
            "name": name,
            "layout": layout,
            "pattern": pattern,
            "junk": junk,
            "distractors": distractors,
        }
        return await self._connection.model(
            DatasetView,
            "POST",
            "/v1/datasets",
            params={name: value for name, value in given.items() if value is not None},
            headers={
                "Content-Type": ANY_BYTES,
                "Content-Length": str(size_bytes),
            },
            content=_counted(chunks, size_bytes, progress),
        )

    async def register(
        self,
        folder: str,
        *,
        name: str | None = None,
        layout: str | None = None,
        pattern: str | None = None,
        junk: Sequence[str] | None = None,
        distractors: Sequence[str] | None = None,
    ) -> DatasetView:
        """A folder below the server's data root."""
        body = {
            "folder": folder,
            "name": name,
            "layout": layout,
            "pattern": pattern,
            "junk": junk,
            "distractors": distractors,
        }
        return await self._connection.model(DatasetView, "POST", "/v1/datasets", json=body)

    async def list(self) -> list[DatasetView]:
        """All of them, newest first, without reports."""
        return (await self._connection.model(DatasetList, "GET", "/v1/datasets")).data

    async def get(self, dataset_id: str) -> DatasetView:
        """The data set, with its report once the check is done."""
        return await self._connection.model(DatasetView, "GET", _address(dataset_id))

    async def delete(self, dataset_id: str) -> None:
        """Remove an upload, forget a folder."""
        await self._connection.request("DELETE", _address(dataset_id))


def _address(dataset_id: str) -> str:
    return f"/v1/datasets/{quote(dataset_id, safe='')}"


def _body(source: Path) -> tuple[int, Iterator[bytes]]:
    """How many bytes are to be sent, and the bytes."""
    if source.is_dir():
        size_bytes = tar_size(_pictures_below(source))
        return size_bytes, tar_range(_pictures_below(source), 0, size_bytes)
    size_bytes = source.stat().st_size
    return size_bytes, file_range(source, 0, size_bytes)


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
