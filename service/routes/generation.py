"""/v1/jobs: generation jobs are submitted, listed, followed, stopped, carried on and deleted.

What a job made is in `results`; a single job is shown by `jobs`, whose addresses swaps share.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from dgnet.jobs.contract import ModelInfo
from dgnet.jobs.errors import NoWorker
from dgnet.jobs.generation.errors import SpecError
from dgnet.jobs.generation.jobs import GenerationJob
from dgnet.jobs.generation.spec import GenerationSpec, SourceSpec, spec_from
from dgnet.jobs.media_types import EVENT_STREAM, JSON, media_type_of
from dgnet.jobs.storage import is_folder, resolve_source
from dgnet.jobs.views import GenerationList, GenerationView
from dgnet.service.dataset_store import UnknownDataset
from dgnet.service.dependencies import AppBulk, AppDependencies, Bulk, Dependencies, ModelQuery
from dgnet.service.event_stream import EventStream
from dgnet.service.generation_views import GenerationId, generation_view
from dgnet.service.json_bodies import read_json
from dgnet.service.openapi import (
    QUEUE_KINDS,
    STORAGE_KINDS,
    header,
    problems,
    request_header,
)
from dgnet.service.problems import (
    BAD_REQUEST,
    DESTINATION_REFUSED,
    INVALID_REQUEST,
    INVALID_SPEC,
    JOB_KINDS,
    TOO_MANY_FOLLOWERS,
    UNSUPPORTED_CONTENT_TYPE,
    Problem,
)

router = APIRouter(tags=["jobs"])
_FOLLOW_LATER_SECONDS = "10"
# Both numbers stay below 2**64: Redis takes no larger ones.
EVENT_ID = r"^[0-9]{1,19}-[0-9]{1,19}$"
_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")
# Time and id of a job: many may be submitted in one millisecond. Older clients have the time alone.
_CURSOR = r"^\d{1,12}(\.\d{1,9})?(-gen_[A-Za-z0-9_-]{22})?$"
_UNKNOWN = (JOB_KINDS["unknown-job"], JOB_KINDS["queue-unavailable"])


@router.post(
    "/v1/jobs",
    summary="Submit a generation job",
    status_code=202,
    response_model=GenerationView,
    responses={
        202: {
            "description": "The job, which a worker takes up",
            "headers": {"Location": header("Of the job", "/v1/jobs/gen_nW2nLr9o7m0c3Qy8sV1xZA")},
        },
        **problems(
            BAD_REQUEST,
            UNSUPPORTED_CONTENT_TYPE,
            INVALID_REQUEST,
            INVALID_SPEC,
            DESTINATION_REFUSED,
            JOB_KINDS["idempotency-conflict"],
            JOB_KINDS["job-deleted"],
            *STORAGE_KINDS,
            *QUEUE_KINDS,
        ),
    },
    openapi_extra={
        "parameters": [
            request_header(
                "Idempotency-Key",
                "The same key and spec within 24 hours give the same job again",
                "8e03978e-40d5-43dd-bc93-6894a57f9324",
            )
        ],
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": GenerationSpec.model_json_schema(),
                    "examples": {
                        "bulk": {
                            "value": {
                                "source": {"dataset": "ds_5f0c3a9e1b7d2468"},
                                "count": 100000,
                                "labels": ["appearance", "uniform"],
                                "keep": {"minimum_identity_consistency": 0.5},
                                "output": {"layout": "market1501"},
                            }
                        }
                    },
                }
            },
        },
    },
)
async def submit_job(
    request: Request,
    response: Response,
    bulk: AppBulk,
    dependencies: AppDependencies,
    model: ModelQuery = None,
) -> GenerationView:
    """The spec of `dgnet generate` as JSON; what is wrong with it is told before anything runs."""
    key = _idempotency_key(request)
    spec = await _located(bulk, _spec(request, await request.body()))
    serving = await _model_for(dependencies, model)
    if serving and (objection := serving.objection_to(spec.scene)):
        raise _invalid_field("scene", objection)
    url = spec.output.destination
    if url is not None and not bulk.storage.allows_destination(url):
        raise Problem(
            DESTINATION_REFUSED,
            "output.destination is not below a place that this server writes to; leave it out and "
            "fetch the archive, or ask the operator to name it in DGNET_JOB_DESTINATIONS.",
        )
    job, created = await bulk.job_store.submit(
        spec,
        idempotency_key=key,
        model=serving.model_version if serving else "",
        named=model,
    )
    response.headers["Location"] = f"/v1/jobs/{job.job_id}"
    if not created:
        response.headers["Idempotency-Replayed"] = "true"
    return _view(bulk, job)


@router.get(
    "/v1/jobs",
    summary="List the generation jobs",
    response_model=GenerationList,
    responses=problems(INVALID_REQUEST, JOB_KINDS["queue-unavailable"]),
)
async def list_jobs(
    bulk: AppBulk,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most jobs in the answer")] = 100,
    before: Annotated[
        str | None, Query(pattern=_CURSOR, description="As `next` of a list has it")
    ] = None,
) -> Response:
    """Newest first; `next` leads to older ones. Swaps are not listed."""
    created, _, before_id = (before or "").partition("-")
    jobs = await bulk.job_store.list(
        limit=limit, before=float(created) if created else None, before_id=before_id
    )
    more = None
    if len(jobs) == limit:
        more = f"/v1/jobs?limit={limit}&before={jobs[-1].created:.3f}-{jobs[-1].job_id}"
    page = GenerationList(data=[_view(bulk, job) for job in jobs], next=more)
    # As FastAPI would answer, without looking at every job a second time.
    return Response(page.model_dump_json(), media_type=JSON)


async def _followed(bulk: AppBulk, job_id: GenerationId) -> AsyncGenerator[GenerationJob]:
    """Whether a job is there, and room to follow it, has to be known before the stream begins. The
    place is given back when the stream has ended.
    """
    if len(bulk.followers) >= bulk.max_followers:
        raise Problem(
            TOO_MANY_FOLLOWERS,
            f"{len(bulk.followers)} requests follow jobs already, more are not taken at once "
            f"(DGNET_MAX_FOLLOWERS); ask GET /v1/jobs/{job_id} now and then instead.",
            headers={"Retry-After": _FOLLOW_LATER_SECONDS},
        )
    place = object()
    bulk.followers.add(place)
    try:
        yield await bulk.job_store.get(job_id)
    finally:
        bulk.followers.discard(place)


@router.get(
    "/v1/jobs/{job_id}/events",
    summary="Follow a generation job",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Events `state` and `progress`",
            "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
        },
        **problems(INVALID_REQUEST, TOO_MANY_FOLLOWERS, *_UNKNOWN),
    },
)
async def follow_job(
    bulk: AppBulk,
    job: Annotated[GenerationJob, Depends(_followed)],
    last_event_id: Annotated[
        str | None, Header(pattern=EVENT_ID, description="Go on after this event")
    ] = None,
) -> EventStream:
    """Server-sent events `state` and `progress`, each with the job as in GET; ends with the job."""
    return EventStream(
        bulk.job_store.events(job.job_id, after=last_event_id),
        texts=bulk.event_texts,
        show=lambda job: _view(bulk, job),
        closing=bulk.closing,
    )


@router.post(
    "/v1/jobs/{job_id}/cancel",
    summary="Cancel a generation job",
    response_model=GenerationView,
    responses=problems(*_UNKNOWN, JOB_KINDS["wrong-state"]),
)
async def cancel_job(bulk: AppBulk, job_id: GenerationId) -> GenerationView:
    """Stops within a batch; what is published stays, so that it can be resumed."""
    return _view(bulk, await bulk.job_store.cancel(job_id))


@router.post(
    "/v1/jobs/{job_id}/resume",
    summary="Resume a generation job",
    status_code=202,
    response_model=GenerationView,
    responses=problems(
        *_UNKNOWN, *(JOB_KINDS[code] for code in ("wrong-state", "job-expired", "queue-full"))
    ),
)
async def resume_job(bulk: AppBulk, job_id: GenerationId) -> GenerationView:
    """Carries on what failed or was cancelled; a job that is under way is left as it is."""
    return _view(bulk, await bulk.job_store.resume(job_id))


@router.delete(
    "/v1/jobs/{job_id}",
    summary="Delete a generation job",
    status_code=204,
    responses=problems(*_UNKNOWN, *STORAGE_KINDS),
)
async def delete_job(bulk: AppBulk, job_id: GenerationId) -> Response:
    """Cancels it and frees its storage; can be repeated."""
    await bulk.job_store.delete(job_id)
    return Response(status_code=204)


def _view(bulk: Bulk, job: GenerationJob) -> GenerationView:
    return generation_view(job, retention_seconds=bulk.storage.job_retention_seconds)


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.match(key):
        raise Problem(
            INVALID_REQUEST,
            f"Idempotency-Key is {key[:50]!r}; expected 1 to 255 visible ASCII characters.",
        )
    return key


def _spec(request: Request, body: bytes) -> GenerationSpec:
    content_type = request.headers.get("content-type", "absent")
    if media_type_of(content_type) != JSON:
        raise Problem(
            UNSUPPORTED_CONTENT_TYPE,
            f"Content-Type is {content_type[:200]!r}; expected application/json.",
        )
    values = read_json(body)
    if not isinstance(values, dict):
        raise Problem(INVALID_SPEC, "The body is no JSON object; expected the fields of a spec.")
    try:
        return spec_from(cast("dict[str, Any]", values))
    except SpecError as error:
        raise _invalid(str(error), error.problems) from error


async def _located(bulk: Bulk, spec: GenerationSpec) -> GenerationSpec:
    """The spec with a source that workers find on the volume; whatever is missing is told now."""
    source = spec.source
    if source.dataset is not None:
        try:
            record = await asyncio.to_thread(bulk.dataset_store.get, source.dataset)
        except UnknownDataset as error:
            raise _invalid_field("source.dataset", str(error)) from error
        if record.state == "unusable":
            raise _invalid_field("source.dataset", f"{record.id} is unusable: {record.error}")
        changes: dict[str, Any] = {
            "layout": source.layout or record.layout,
            "pattern": source.pattern or record.pattern,
            "junk": record.junk if source.junk is None else source.junk,
            "distractors": (
                record.distractors if source.distractors is None else source.distractors
            ),
        }
        _refuse_impossible_amount(
            spec, await asyncio.to_thread(bulk.dataset_store.report, record.id)
        )
        if record.origin == "folder":  # workers know uploads by their ids, and no records
            changes |= {"dataset": None, "folder": record.folder}
        placed = SourceSpec.model_validate({**source.model_dump(), **changes})
        return spec.model_copy(update={"source": placed})
    assert source.folder is not None
    try:
        path = await asyncio.to_thread(resolve_source, bulk.storage.data_root, source.folder)
    except ValueError as error:
        raise _invalid_field("source.folder", str(error)) from error
    if not await asyncio.to_thread(is_folder, path):
        raise _invalid_field(
            "source.folder", f"{str(source.folder)!r} is no folder below the server's data root"
        )
    return spec


def _refuse_impossible_amount(spec: GenerationSpec, report: dict[str, Any] | None) -> None:
    """What the check of the data set knows; a source that is read otherwise is the worker's."""
    source = spec.source
    others = (source.layout, source.pattern, source.junk, source.distractors)
    if report is None or "pairs" not in report or others != (None, None, None, None):
        return
    pairs = report["pairs"].get(source.split, {}).get(spec.pairing)
    if pairs is None:
        raise _invalid_field(
            "pairing",
            f"the pictures of the split {source.split} allow no pairs of the kind {spec.pairing}; "
            "choose another pairing or split",
        )
    field, asked, most, of_whom = (
        ("count", spec.count, pairs["all"], "")
        if spec.count is not None
        else ("per_identity", spec.per_identity, pairs["fewest_of_a_person"], " of a person")
    )
    if asked is not None and asked > most:
        raise _invalid_field(
            field,
            f"is {asked}, but there are only {most} pairs{of_whom} (split {source.split}, pairing "
            f"{spec.pairing}); ask for at most that many",
        )


async def _model_for(dependencies: Dependencies, wanted: str | None) -> ModelInfo | None:
    """The model that makes the job, whatever becomes the default meanwhile; None while no worker
    is ready, for a job that names none: then whoever begins it.
    """
    try:
        return await dependencies.serving_model(wanted)
    except NoWorker:
        if wanted is not None:
            raise
        return None


def _invalid_field(field: str, message: str) -> Problem:
    return _invalid(f"the spec cannot be used: {field}: {message}", ((field, message),))


def _invalid(detail: str, fields: tuple[tuple[str, str], ...]) -> Problem:
    errors = [{"field": field, "message": message} for field, message in fields]
    return Problem(INVALID_SPEC, f"{detail}.", extensions={"errors": errors})
