"""Generation jobs of a server: submit, follow, stop, carry on, and fetch what they made.

Following and downloading outlast broken connections and servers that restart, up to a time without
any progress.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from httpx_sse import EventSource

from dgnet.client.connection import Connection, DGNetError, ReportProgress
from dgnet.files import replaced_file
from dgnet.jobs.generation.jobs import FINAL_STATES
from dgnet.jobs.media_types import EVENT_STREAM, JSON_LINES, PARQUET, PNG
from dgnet.paths import local_path

Job = dict[str, Any]
"""What GET /v1/jobs/{id} answers."""

PATIENCE_SECONDS: Final = 300.0
_COMPOSITES_AT_ONCE: Final = 200
_RETRY_SECONDS: Final = 2.0


class Jobs:
    """Part of `DGNetClient`; every method raises DGNetError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def submit(self, spec: dict[str, Any], *, idempotency_key: str | None = None) -> Job:
        """Submit a job; `spec` as in docs/generation.md, a key makes it safe to submit again."""
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        return self._connection.json("POST", "/v1/jobs", json=spec, headers=headers)

    def get(self, job_id: str) -> Job:
        return self._connection.json("GET", _address(job_id))

    def list(self, *, limit: int | None = None) -> Iterator[Job]:
        """Newest first, page by page as they are asked for."""
        address: str | None = "/v1/jobs"
        if limit is not None:
            address += "?" + urlencode({"limit": min(limit, 1000)})
        given = 0
        while address:
            page = self._connection.json("GET", address)
            for job in page["data"]:
                if limit is not None and given == limit:
                    return
                given += 1
                yield job
            address = page["next"]

    def cancel(self, job_id: str) -> Job:
        return self._connection.json("POST", _address(job_id, "/cancel"))

    def resume(self, job_id: str) -> Job:
        return self._connection.json("POST", _address(job_id, "/resume"))

    def delete(self, job_id: str) -> None:
        """Cancel it and free its storage."""
        self._connection.request("DELETE", _address(job_id))

    def composites(
        self, job_id: str, *, limit: int | None = None, **choice: str | float | bool
    ) -> Iterator[dict[str, Any]]:
        """Rows of the manifest, with the addresses of their pictures, page by page as they are
        asked for; dropped ones, too. `choice` is what GET /v1/jobs/{id}/composites takes: person,
        camera, kept, dropped, score with minimum and maximum, sort and order.
        """
        given = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in choice.items()
        }
        given["limit"] = str(min(limit or _COMPOSITES_AT_ONCE, _COMPOSITES_AT_ONCE))
        address: str | None = f"{_address(job_id, '/composites')}?{urlencode(given)}"
        got = 0
        while address:
            page = self._connection.json("GET", address)
            for row in page["data"]:
                if limit is not None and got == limit:
                    return
                got += 1
                yield row
            address = page["next"]

    def follow(self, job_id: str, *, patience_seconds: float = PATIENCE_SECONDS) -> Iterator[Job]:
        """The job whenever something happens to it; the last one is at its end. Others may be too,
        if it was resumed afterwards.

        Comes back with `Last-Event-ID` if the connection breaks or the server restarts, and raises
        once nothing could be heard for `patience_seconds`.
        """
        last_id: str | None = None
        last: Job | None = None
        patience = _Patience(patience_seconds)
        while True:
            headers = {"Accept": EVENT_STREAM}
            if last_id is not None:
                headers["Last-Event-ID"] = last_id
            retry_seconds, heard = _RETRY_SECONDS, False
            try:
                with self._connection.stream(_address(job_id, "/events"), headers=headers) as reply:
                    for event in EventSource(reply).iter_sse():
                        patience.renew()
                        if event.retry is not None:
                            retry_seconds = event.retry / 1000
                        if not event.data:  # a comment that keeps the connection open
                            continue
                        told: Job = json.loads(event.data)
                        last_id, last, heard = event.id, told, True
                        yield told
                # The server ends a stream at the job's end, and anywhere when it stops. The end
                # may be one that was resumed; of a job at its end nothing is heard where the
                # events are forgotten. The record has the last word.
                told_of_an_end = last is not None and last["state"] in FINAL_STATES
                if told_of_an_end or not heard:
                    job = self.get(job_id)
                    if job["state"] in FINAL_STATES:
                        if job != last:
                            yield job
                        return
            except DGNetError as error:
                patience.bear(error)
                retry_seconds = error.retry_after_seconds or retry_seconds
            time.sleep(retry_seconds)

    def download_archive(
        self, job_id: str, target: str | Path, *, progress: ReportProgress = lambda got, total: None
    ) -> None:
        """The whole set as a tar."""
        self._download(_address(job_id, "/archive"), local_path(target), "*/*", progress)

    def download_manifest(
        self, job_id: str, target: str | Path, *, progress: ReportProgress = lambda got, total: None
    ) -> None:
        """JSON lines where the name ends in .jsonl, else Parquet."""
        target = local_path(target)
        json_lines = target.suffix == ".jsonl"
        accept = JSON_LINES if json_lines else PARQUET
        self._download(_address(job_id, "/manifest"), target, accept, progress)

    def download_preview(
        self, job_id: str, target: str | Path, *, progress: ReportProgress = lambda got, total: None
    ) -> None:
        """The contact sheet, a PNG."""
        self._download(_address(job_id, "/preview"), local_path(target), PNG, progress)

    def _download(self, address: str, target: Path, accept: str, progress: ReportProgress) -> None:
        """`target` appears when it is complete; a download that breaks off goes on."""
        patience = _Patience(PATIENCE_SECONDS)
        etag: str | None = None
        with replaced_file(target, make_parents=True) as part, part.open("xb") as file:
            while True:
                headers = {"Accept": accept, "Accept-Encoding": "identity"}
                if etag is not None and file.tell():
                    headers |= {"Range": f"bytes={file.tell()}-", "If-Range": etag}
                try:
                    with self._connection.stream(address, headers=headers) as reply:
                        if reply.status_code == 200:
                            file.seek(0)
                            file.truncate()
                        etag = reply.headers.get("etag")
                        total = file.tell() + int(reply.headers["content-length"])
                        for chunk in reply.iter_raw():
                            patience.renew()
                            file.write(chunk)
                            progress(file.tell(), total)
                except DGNetError as error:
                    patience.bear(error)
                    time.sleep(error.retry_after_seconds or _RETRY_SECONDS)
                else:
                    break


class _Patience:
    """How long failures are borne; renewed by whatever arrives."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.renew()

    def renew(self) -> None:
        self._until = time.monotonic() + self._seconds

    def bear(self, error: DGNetError) -> None:
        """Raises the error if it will not pass or has lasted too long."""
        if not error.may_pass or time.monotonic() > self._until:
            raise error


def _address(job_id: str, leaf: str = "") -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}{leaf}"
