"""Generation jobs of a server: submit, follow, stop, carry on, and fetch what they made.

Following and downloading outlast broken connections and servers that restart, up to a time without
any progress.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

from dgnet.client.connection import Connection, ReportProgress, no_report
from dgnet.client.errors import DGNetError, JobFailed
from dgnet.files import replaced_file
from dgnet.jobs.generation.jobs import FINAL_STATES
from dgnet.jobs.generation.spec import GenerationSpec
from dgnet.jobs.media_types import EVENT_STREAM, JSON_LINES, PARQUET, PNG
from dgnet.jobs.views import CompositeList, CompositeView, GenerationList, GenerationView
from dgnet.paths import local_path

Page = TypeVar("Page", GenerationList, CompositeList)

PATIENCE_SECONDS: Final = 300.0
_COMPOSITES_AT_ONCE: Final = 200
_RETRY_SECONDS: Final = 2.0
_NOT_READY: Final = "result-not-ready"


class AsyncJobs:
    """Part of `AsyncClient`; every method raises DGNetError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def submit(
        self,
        spec: GenerationSpec | Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        model: str | None = None,
    ) -> GenerationView:
        """Submit a job; `spec` as in docs/generation.md, a key makes it safe to submit again.
        `model` is the id or version of one that the server has, its default one if absent.
        """
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        body = spec.to_json() if isinstance(spec, GenerationSpec) else dict(spec)
        return await self._connection.model(
            GenerationView,
            "POST",
            "/v1/jobs",
            params={} if model is None else {"model": model},
            json=body,
            headers=headers,
        )

    async def get(self, job_id: str) -> GenerationView:
        """The job as it is now."""
        return await self._connection.model(GenerationView, "GET", _address(job_id))

    async def list(self, *, limit: int | None = None) -> AsyncGenerator[GenerationView]:
        """Newest first, page by page as they are asked for."""
        first = "/v1/jobs"
        if limit is not None:
            first += "?" + urlencode({"limit": min(limit, 1000)})
        async for page in self._pages(GenerationList, first, limit):
            for job in page.data:
                yield job

    async def cancel(self, job_id: str) -> GenerationView:
        """Stop it within a batch; what is published stays."""
        return await self._connection.model(GenerationView, "POST", _address(job_id, "/cancel"))

    async def resume(self, job_id: str) -> GenerationView:
        """Carry on a job that failed or was cancelled."""
        return await self._connection.model(GenerationView, "POST", _address(job_id, "/resume"))

    async def delete(self, job_id: str) -> None:
        """Cancel it and free its storage."""
        await self._connection.request("DELETE", _address(job_id))

    async def composites(
        self, job_id: str, *, limit: int | None = None, **choice: str | float | bool
    ) -> AsyncGenerator[CompositeView]:
        """Rows of the manifest, with the addresses of their pictures, page by page as they are
        asked for; dropped ones, too. `choice` is what GET /v1/jobs/{id}/composites takes: person,
        camera, kept, dropped, score with minimum and maximum, sort and order.
        """
        asked = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in choice.items()
        }
        asked["limit"] = str(min(limit or _COMPOSITES_AT_ONCE, _COMPOSITES_AT_ONCE))
        first = f"{_address(job_id, '/composites')}?{urlencode(asked)}"
        async for page in self._pages(CompositeList, first, limit):
            for row in page.data:
                yield row

    async def wait(
        self, job_id: str, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> GenerationView:
        """The job when it is done; JobFailed, which says why, where it ends otherwise."""
        last: GenerationView | None = None
        async with aclosing(self.follow(job_id, patience_seconds=patience_seconds)) as jobs:
            async for job in jobs:
                last = job
        assert last is not None  # the last one is at its end
        if last.state != "done":
            raise JobFailed(last)
        return last

    async def follow(
        self, job_id: str, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> AsyncGenerator[GenerationView]:
        """The job whenever something happens to it; the last one is at its end. Others may be too,
        if it was resumed afterwards.

        Comes back with `Last-Event-ID` if the connection breaks or the server restarts, and raises
        once nothing could be heard for `patience_seconds`.
        """
        last_id: str | None = None
        last: GenerationView | None = None
        patience = _Patience(patience_seconds)
        while True:
            headers = {"Accept": EVENT_STREAM}
            if last_id is not None:
                headers["Last-Event-ID"] = last_id
            retry_seconds, heard = _RETRY_SECONDS, False
            try:
                events = _address(job_id, "/events")
                async with self._connection.stream(events, headers=headers) as reply:
                    async for event in reply.events():
                        patience.renew()
                        if event.retry is not None:
                            retry_seconds = event.retry / 1000
                        if not event.data:  # a comment that keeps the connection open
                            continue
                        told = self._connection.read(GenerationView, event.data)
                        last_id, last, heard = event.id, told, True
                        yield told
                # The server ends a stream at the job's end, and anywhere when it stops. The end
                # may be one that was resumed; of a job at its end nothing is heard where the
                # events are forgotten. The record has the last word.
                told_of_an_end = last is not None and last.state in FINAL_STATES
                if told_of_an_end or not heard:
                    job = await self.get(job_id)
                    if job.state in FINAL_STATES:
                        if job != last:
                            yield job
                        return
            except DGNetError as error:
                patience.bear(error)
                retry_seconds = error.retry_after_seconds or retry_seconds
            await self._connection.wire.sleep(retry_seconds)

    async def download_archive(
        self, job_id: str, target: str | Path, *, progress: ReportProgress = no_report
    ) -> None:
        """The whole set as a tar; JobFailed, which says why, where the job ended without one."""
        await self._download(job_id, "/archive", local_path(target), "*/*", progress)

    async def download_manifest(
        self, job_id: str, target: str | Path, *, progress: ReportProgress = no_report
    ) -> None:
        """JSON lines where the name ends in .jsonl, else Parquet."""
        target = local_path(target)
        json_lines = target.suffix == ".jsonl"
        accept = JSON_LINES if json_lines else PARQUET
        await self._download(job_id, "/manifest", target, accept, progress)

    async def download_preview(
        self, job_id: str, target: str | Path, *, progress: ReportProgress = no_report
    ) -> None:
        """The contact sheet, a PNG."""
        await self._download(job_id, "/preview", local_path(target), PNG, progress)

    async def _pages(
        self, kind: type[Page], address: str | None, limit: int | None
    ) -> AsyncGenerator[Page]:
        """Of a list, as they are asked for, with `limit` items together."""
        left = limit
        while address and left != 0:
            page = await self._connection.model(kind, "GET", address)
            if left is not None:
                del page.data[left:]
                left -= len(page.data)
            yield page
            address = page.next

    async def _download(
        self, job_id: str, leaf: str, target: Path, accept: str, progress: ReportProgress
    ) -> None:
        """`target` appears when it is complete; a download that breaks off goes on."""
        patience = _Patience(PATIENCE_SECONDS)
        etag: str | None = None
        wire = self._connection.wire
        with replaced_file(target, make_parents=True) as part, part.open("xb") as file:
            while True:
                headers = {"Accept": accept, "Accept-Encoding": "identity"}
                if etag is not None and file.tell():
                    headers |= {"Range": f"bytes={file.tell()}-", "If-Range": etag}
                try:
                    address = _address(job_id, leaf)
                    async with self._connection.stream(address, headers=headers) as reply:
                        if reply.response.status_code == 200:
                            file.seek(0)
                            file.truncate()
                        etag = reply.response.headers.get("etag")
                        total = file.tell() + int(reply.response.headers["content-length"])
                        async for chunk in reply.chunks():
                            patience.renew()
                            await wire.aside(lambda chunk=chunk: file.write(chunk))
                            progress(file.tell(), total)
                except DGNetError as error:
                    await self._raise_if_ended(job_id, error)
                    patience.bear(error)
                    await wire.sleep(error.retry_after_seconds or _RETRY_SECONDS)
                else:
                    break

    async def _raise_if_ended(self, job_id: str, error: DGNetError) -> None:
        """There is no result yet, and there will be none: why is known to the job."""
        if error.code == _NOT_READY:
            job = await self.get(job_id)
            if job.state in FINAL_STATES and job.state != "done":
                raise JobFailed(job) from error


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
