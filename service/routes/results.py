"""What a generation job made: manifest, contact sheet, single files, and all of it as one tar."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.convertors import Convertor, register_url_convertor
from starlette.responses import Response

from dgnet.jobs.errors import JobExpired
from dgnet.jobs.generation.manifest import MANIFEST, MANIFEST_TABLE, SHEET
from dgnet.jobs.media_types import ANY_BYTES, BY_ENDING, JSON_LINES, PARQUET, PNG, TAR
from dgnet.jobs.storage import is_file, is_folder, job_folder, resolve_below
from dgnet.jobs.tarball import files_below, tar_range, tar_size
from dgnet.service.dependencies import AppBulk
from dgnet.service.generation_views import GenerationId
from dgnet.service.negotiation import negotiate
from dgnet.service.openapi import BINARY, Responses, header, problems, request_header
from dgnet.service.problems import (
    JOB_KINDS,
    NOT_ACCEPTABLE,
    RANGE_NOT_SATISFIABLE,
    RESULT_NOT_READY,
    UNKNOWN_FILE,
    Problem,
    ProblemKind,
)
from dgnet.service.ranges import file_response, ranged_response


class _Anything(Convertor[str]):
    """As `path`, which ends at a line break; names of persons, and so of files, may hold one."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("anything", _Anything())
router = APIRouter(tags=["jobs"])

MANIFESTS: Final = {PARQUET: MANIFEST_TABLE, JSON_LINES: MANIFEST}


async def _finished_folder(bulk: AppBulk, job_id: GenerationId) -> Path:
    """The folder of a job that is done; 404, 409 or 410 for any other."""
    job = await bulk.job_store.get(job_id)
    if job.state == "expired":
        raise JobExpired(f"What {job_id} made was removed after the retention time; submit it anew")
    if job.state != "done":
        raise Problem(
            RESULT_NOT_READY,
            f"The job is {job.state}; there is nothing to fetch until GET /v1/jobs/{job_id} says "
            "'done'.",
        )
    folder = job_folder(bulk.storage.data_root, job_id)
    if not await asyncio.to_thread(is_folder, folder):
        raise JobExpired(f"What {job_id} made is no longer on the server; submit it anew")
    return folder


Finished = Annotated[Path, Depends(_finished_folder)]


def _described(description: str, *media_types: str, more: Sequence[ProblemKind] = ()) -> Responses:
    content = {media_type: {"schema": BINARY} for media_type in media_types}
    return {
        200: {
            "description": description,
            "content": content,
            "headers": {"ETag": header("For If-Range", '"18b2f1-2f00"')},
        },
        206: {"description": "The range that was asked for", "content": content},
        **problems(
            RESULT_NOT_READY,
            RANGE_NOT_SATISFIABLE,
            *(JOB_KINDS[code] for code in ("unknown-job", "job-expired", "queue-unavailable")),
            *more,
        ),
    }


_RANGE = request_header("Range", "One range of bytes", "bytes=1048576-")


@router.get(
    "/v1/jobs/{job_id}/manifest",
    summary="Fetch the manifest",
    response_class=Response,
    responses=_described("A row for each composite", *MANIFESTS, more=(NOT_ACCEPTABLE,)),
    openapi_extra={
        "parameters": [_RANGE, request_header("Accept", f"{PARQUET} if absent", JSON_LINES)]
    },
)
async def fetch_manifest(request: Request, job_id: GenerationId, folder: Finished) -> Response:
    """As a Parquet table or as JSON lines; docs/generation.md names the columns."""
    media_type = negotiate(request.headers.get("accept"), list(MANIFESTS))
    name = MANIFESTS[media_type]
    response = await _file(request, folder / name, media_type, f"{job_id}.{name}")
    response.headers["Vary"] = "Accept"
    return response


@router.get(
    "/v1/jobs/{job_id}/preview",
    summary="Fetch the contact sheet",
    response_class=Response,
    responses=_described("Composites with their sources", PNG, more=(UNKNOWN_FILE,)),
    openapi_extra={"parameters": [_RANGE]},
)
async def fetch_preview(request: Request, job_id: GenerationId, folder: Finished) -> Response:
    """Up to 32 composites, each behind its appearance and its structure; none if none was kept."""
    return await _file(request, folder / SHEET, PNG, f"{job_id}.png")


@router.get(
    "/v1/jobs/{job_id}/archive",
    summary="Fetch the data set",
    response_class=Response,
    responses=_described("Everything that the job made, as a tar", TAR),
    openapi_extra={"parameters": [_RANGE]},
)
async def fetch_archive(request: Request, job_id: GenerationId, folder: Finished) -> Response:
    """Made while it is sent; a range goes on where a download broke off."""
    size_bytes = await asyncio.to_thread(lambda: tar_size(files_below(folder)))
    return ranged_response(
        request,
        size_bytes=size_bytes,
        etag=f'"{job_id}-{size_bytes:x}"',
        media_type=TAR,
        filename=f"{job_id}.tar",
        read=lambda start, stop: tar_range(files_below(folder), start, stop),
    )


@router.get(
    "/v1/jobs/{job_id}/files/{path:anything}",
    summary="Fetch one file",
    response_class=Response,
    responses=_described("The file", ANY_BYTES, more=(UNKNOWN_FILE,)),
    openapi_extra={"parameters": [_RANGE]},
)
async def fetch_file(
    request: Request, job_id: GenerationId, path: str, folder: Finished
) -> Response:
    """Any file of the data set by its path, as the manifest and the archive have it."""
    hidden = any(part.startswith(".") for part in path.split("/"))
    try:
        target = await asyncio.to_thread(resolve_below, folder, path)
    except ValueError:
        target = None
    if hidden or target is None:
        raise _unknown_file(path)
    media_type = BY_ENDING.get(target.suffix, ANY_BYTES)
    return await _file(request, target, media_type, target.name)


async def _file(request: Request, path: Path, media_type: str, filename: str) -> Response:
    if not await asyncio.to_thread(is_file, path):
        raise _unknown_file(path.name)
    return await asyncio.to_thread(
        partial(file_response, request, path, media_type=media_type, filename=filename)
    )


def _unknown_file(name: str) -> Problem:
    return Problem(
        UNKNOWN_FILE, f"The job made no file {name[:200]!r}; its manifest names those it made."
    )
