"""/v1/datasets: archives that become data sets, folders that are one already."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from dgnet.jobs.dataset_names import dataset_root, is_wanted
from dgnet.jobs.media_types import ARCHIVES, FORM, JSON, media_type_of
from dgnet.jobs.storage import dataset_folder, resolve_below
from dgnet.jobs.views import DatasetList, DatasetView, FolderRequest
from dgnet.layouts import LayoutName
from dgnet.service.archives import (
    ArchiveError,
    ArchiveTooLarge,
    NotAnArchive,
    UnpackLimits,
    unpack,
)
from dgnet.service.dataset_checks import checked
from dgnet.service.dataset_store import DatasetRecord, Reading, UnknownDataset
from dgnet.service.dependencies import AppBulk, AppDependencies, Bulk, Dependencies
from dgnet.service.json_bodies import read_model, require_small
from dgnet.service.middleware.body_limit import give_up_a_slow_upload
from dgnet.service.negotiation import parse_prefer
from dgnet.service.openapi import (
    BINARY,
    QUEUE_KINDS,
    STORAGE_KINDS,
    header,
    problems,
    request_header,
)
from dgnet.service.problems import (
    ARCHIVE_TOO_LARGE,
    BAD_ARCHIVE,
    BAD_REQUEST,
    DATASET_IN_USE,
    INVALID_REQUEST,
    JOB_KINDS,
    MISSING_PART,
    NOT_AN_ARCHIVE,
    OVERLOADED,
    UNKNOWN_DATASET,
    UNSUPPORTED_CONTENT_TYPE,
    UNUSABLE_DATASET,
    UPLOAD_STALLED,
    Problem,
    ProblemKind,
)
from dgnet.service.settings import ServiceSettings
from dgnet.service.uploads import (
    ARCHIVE_PART,
    check_free_space,
    is_upload,
    receive_archive,
    storage_problems,
    to_the_end,
)

router = APIRouter(tags=["data sets"])
_BUSY_RETRY_SECONDS = "30"


@router.post(
    "/v1/datasets",
    summary="Upload a data set, or register a folder",
    status_code=201,
    response_model=DatasetView,
    responses={
        201: {
            "description": "The data set; `report` is null if the check takes longer than the wait",
            "headers": {"Location": header("Of the data set", "/v1/datasets/ds_5f0c3a9e1b7d2468")},
        },
        **problems(
            BAD_REQUEST,
            UPLOAD_STALLED,
            ARCHIVE_TOO_LARGE,
            UNSUPPORTED_CONTENT_TYPE,
            NOT_AN_ARCHIVE,
            INVALID_REQUEST,
            MISSING_PART,
            BAD_ARCHIVE,
            UNUSABLE_DATASET,
            *STORAGE_KINDS,
            *QUEUE_KINDS,
        ),
    },
    openapi_extra={
        "parameters": [
            request_header(
                "Prefer", "respond-async, or wait=N: seconds to wait for the check", "wait=60"
            )
        ],
        "requestBody": {
            "required": True,
            "content": {
                **{media_type: {"schema": BINARY} for media_type in ARCHIVES},
                FORM: {
                    "schema": {
                        "type": "object",
                        "required": [ARCHIVE_PART],
                        "properties": {ARCHIVE_PART: BINARY},
                    }
                },
                JSON: {"schema": FolderRequest.model_json_schema()},
            },
        },
    },
)
async def create_dataset(
    request: Request,
    response: Response,
    dependencies: AppDependencies,
    bulk: AppBulk,
    layout: Annotated[
        LayoutName | None, Query(description="Of an upload; found out from names if absent")
    ] = None,
    pattern: Annotated[
        str | None, Query(max_length=1000, description="Of an upload, for the layout `pattern`")
    ] = None,
    name: Annotated[
        str | None, Query(max_length=200, description="Of an upload: what people call it")
    ] = None,
    junk: Annotated[
        list[str] | None,
        Query(max_length=100, description="Of an upload: what it calls junk, `none` for nobody"),
    ] = None,
    distractors: Annotated[
        list[str] | None,
        Query(max_length=100, description="Of an upload: what it calls distractors, or `none`"),
    ] = None,
) -> DatasetView:
    """Archives are streamed to the disk, unpacked within limits and checked by a worker."""
    content_type = request.headers.get("content-type")
    if is_upload(content_type):
        await (
            dependencies.any_ready_model()
        )  # nobody sends gigabytes for an answer that nobody can give
        record = await _uploaded(
            request, dependencies, bulk, _reading(layout, pattern, junk, distractors), name
        )
    elif media_type_of(content_type) == JSON:
        body = await request.body()
        require_small(body)
        wanted = _folder_request(body)
        record = await _registered(bulk, wanted)
    else:
        raise Problem(
            UNSUPPORTED_CONTENT_TYPE,
            f"Content-Type is {(content_type or 'absent')[:200]!r}; expected an archive "
            f"({', '.join(ARCHIVES)}), {FORM} or application/json.",
        )
    record, report = await _checked(
        dependencies, bulk, record, _wait_seconds(request, dependencies.settings)
    )
    if record.state == "unusable":
        await asyncio.to_thread(bulk.dataset_store.remove, record)
        told = (record.error or "").removesuffix(".")
        raise Problem(UNUSABLE_DATASET, f"{told}. Nothing was kept of this request.")
    response.headers["Location"] = f"/v1/datasets/{record.id}"
    return _view(record, report)


@router.get(
    "/v1/datasets",
    summary="List the data sets",
    response_model=DatasetList,
    responses=problems(),
)
async def list_datasets(bulk: AppBulk) -> DatasetList:
    """All of them, newest first, without their reports."""
    records = await asyncio.to_thread(bulk.dataset_store.all)
    return DatasetList(data=[_view(record, None) for record in records])


@router.get(
    "/v1/datasets/{dataset_id}",
    summary="Show a data set",
    response_model=DatasetView,
    responses=problems(UNKNOWN_DATASET),
)
async def show_dataset(
    dependencies: AppDependencies, bulk: AppBulk, response: Response, dataset_id: str
) -> DatasetView:
    """Has its report as soon as the check is done; asks for the check if nobody has yet."""
    record = await _known(bulk, dataset_id)
    record, report = await _checked(dependencies, bulk, record, wait_seconds=0)
    response.headers["Cache-Control"] = "no-store"
    return _view(record, report)


@router.delete(
    "/v1/datasets/{dataset_id}",
    summary="Delete a data set",
    status_code=204,
    responses=problems(
        UNKNOWN_DATASET, DATASET_IN_USE, JOB_KINDS["queue-unavailable"], *STORAGE_KINDS
    ),
)
async def delete_dataset(bulk: AppBulk, dataset_id: str) -> Response:
    """Removes the pictures of an upload; a registered folder is only forgotten."""
    record = await _known(bulk, dataset_id)
    for job in await bulk.job_store.unfinished():
        if await asyncio.to_thread(_takes_from, bulk.storage.data_root, job.spec, record):
            raise Problem(
                DATASET_IN_USE,
                f"Job {job.job_id} takes its pictures from {record.id}; wait for it, or cancel it.",
            )
    await asyncio.to_thread(bulk.dataset_store.remove, record)
    return Response(status_code=204)


def _reading(
    layout: str | None,
    pattern: str | None,
    junk: Sequence[str] | None,
    distractors: Sequence[str] | None,
) -> Reading:
    return Reading(
        layout=layout,
        pattern=pattern,
        junk=None if junk is None else tuple(junk),
        distractors=None if distractors is None else tuple(distractors),
    )


def _takes_from(data_root: Path, spec: Mapping[str, Any], record: DatasetRecord) -> bool:
    """Whether a job's source and a data set share a file: by real paths, since a folder has any
    number of names.
    """
    source = spec.get("source", {})  # {}: a damaged record
    if source.get("dataset") == record.id:
        return True
    try:
        named = source.get("folder") or dataset_folder(Path(), source.get("dataset", ""))
        used = resolve_below(data_root, named)
        own = resolve_below(data_root, record.folder)
    except ValueError:  # nothing below the data root, or nothing that can be followed
        return False
    return used.is_relative_to(own) or own.is_relative_to(used)


async def _uploaded(
    request: Request,
    dependencies: Dependencies,
    bulk: Bulk,
    reading: Reading,
    name: str | None,
) -> DatasetRecord:
    settings = dependencies.settings
    if bulk.upload_slots.locked() and not give_up_a_slow_upload(request.scope):
        raise Problem(
            OVERLOADED,
            f"{settings.max_uploads} uploads are under way, more are not taken at once.",
            headers={"Retry-After": _BUSY_RETRY_SECONDS},
        )
    stop = threading.Event()
    async with bulk.upload_slots, _incoming(bulk) as folder:
        archive, pictures = folder / "archive", folder / "pictures"
        await receive_archive(request, archive, settings)

        def unpack_and_adopt() -> DatasetRecord:
            pictures.mkdir()
            room = UnpackLimits(
                max_bytes=settings.max_unpacked_bytes,
                max_ratio=settings.max_unpack_ratio,
                max_members=settings.max_archive_members,
                max_depth=settings.max_archive_depth,
            )
            with storage_problems():
                unpacked = unpack(
                    archive,
                    pictures,
                    room,
                    wanted=is_wanted,
                    stopped=stop.is_set,
                    before_writing=lambda size_bytes: check_free_space(
                        folder, settings.min_free_bytes, size_bytes
                    ),
                )
                if not unpacked.files:
                    raise ArchiveError(
                        f"The archive has no picture ({unpacked.ignored} other files)."
                    )
                return bulk.dataset_store.adopt(
                    dataset_root(pictures), reading, unpacked, name=name
                )

        try:
            return await to_the_end(unpack_and_adopt, stop=stop.set)
        except ArchiveError as error:
            raise Problem(_kind_of(error), str(error)) from error


def _kind_of(error: ArchiveError) -> ProblemKind:
    if isinstance(error, NotAnArchive):
        return NOT_AN_ARCHIVE
    return ARCHIVE_TOO_LARGE if isinstance(error, ArchiveTooLarge) else BAD_ARCHIVE


@asynccontextmanager
async def _incoming(bulk: Bulk) -> AsyncGenerator[Path]:
    """Made and removed in threads: a hundred thousand files take a while to go."""
    manager = bulk.dataset_store.incoming()
    folder = await asyncio.to_thread(manager.__enter__)
    try:
        yield folder
    finally:
        await to_the_end(lambda: manager.__exit__(None, None, None))


def _folder_request(body: bytes) -> FolderRequest:
    expected = "'folder' and optionally 'name', 'layout', 'pattern', 'junk', 'distractors'"
    return read_model(FolderRequest, body, expected=expected)


async def _registered(bulk: Bulk, wanted: FolderRequest) -> DatasetRecord:
    try:
        reading = _reading(wanted.layout, wanted.pattern, wanted.junk, wanted.distractors)
        return await asyncio.to_thread(
            bulk.dataset_store.register, wanted.folder, reading, name=wanted.name
        )
    except ValueError as error:
        raise Problem(INVALID_REQUEST, f"folder: {error}.") from error


def _wait_seconds(request: Request, settings: ServiceSettings) -> float:
    preference = parse_prefer(request.headers.getlist("prefer"))
    if preference.respond_async:
        return 0
    if preference.wait_seconds is not None:
        return min(preference.wait_seconds, settings.max_wait_seconds)
    return settings.request_timeout_seconds


async def _known(bulk: Bulk, dataset_id: str) -> DatasetRecord:
    try:
        return await asyncio.to_thread(bulk.dataset_store.get, dataset_id)
    except UnknownDataset as error:
        raise Problem(UNKNOWN_DATASET, str(error)) from error


async def _checked(
    dependencies: Dependencies, bulk: Bulk, record: DatasetRecord, wait_seconds: float
) -> tuple[DatasetRecord, dict[str, Any] | None]:
    try:
        return await checked(dependencies, bulk, record, wait_seconds=wait_seconds)
    except UnknownDataset as error:  # deleted while it was checked
        raise Problem(UNKNOWN_DATASET, str(error)) from error


def _view(record: DatasetRecord, report: dict[str, Any] | None) -> DatasetView:
    fields = record.model_dump(exclude={"check_job"})
    return DatasetView(**fields, report=report)
