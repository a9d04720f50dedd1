"""GET /v1/jobs/{id} for jobs of both kinds, and the result of a swap that nobody waited for.

Ids tell the kinds apart: those of generation jobs begin with gen_.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from dgnet.jobs.contract import EmbedResult, JobStatus, SwapResult
from dgnet.jobs.errors import ERRORS_BY_CODE, JobFailed, UnknownJob
from dgnet.jobs.generation.records import is_job_id
from dgnet.jobs.media_types import COMPOSITES, WEBP
from dgnet.jobs.views import GenerationView, JobView, ProblemSummary
from dgnet.service.answers import composite_response, job_path
from dgnet.service.dependencies import AppDependencies
from dgnet.service.generation_views import generation_view
from dgnet.service.negotiation import negotiate
from dgnet.service.openapi import RESULT_HEADERS, composite_content, problems, request_header
from dgnet.service.problems import (
    INVALID_REQUEST,
    JOB_KINDS,
    NOT_ACCEPTABLE,
    RESULT_NOT_READY,
    Problem,
)
from dgnet.service.settings import ServiceSettings

router = APIRouter(tags=["jobs"])
_UNKNOWN = (
    *(JOB_KINDS[code] for code in ("unknown-job", "result-expired", "queue-unavailable")),
    INVALID_REQUEST,
)

Side = Annotated[
    int | None, Query(ge=1, description="Wished pixels of the composite; give both or neither")
]


@router.get(
    "/v1/jobs/{job_id}",
    summary="Show a job",
    response_model=JobView | GenerationView,
    responses=problems(*_UNKNOWN),
)
async def show_job(
    response: Response,
    dependencies: AppDependencies,
    job_id: str,
    width: Side = None,
    height: Side = None,
) -> JobView | GenerationView:
    """State of a swap, with the address of its composite once it is done; or of a generation job,
    with its counts and the addresses of what it made.
    """
    if is_job_id(job_id) and dependencies.bulk is not None:
        response.headers["Cache-Control"] = "no-store"
        job = await dependencies.bulk.job_store.get(job_id)
        retention_seconds = dependencies.bulk.storage.job_retention_seconds
        return generation_view(job, retention_seconds=retention_seconds)
    size = _size(width, height, dependencies.settings)
    status = await dependencies.jobs.status(job_id)
    response.headers["Cache-Control"] = "no-store"
    error = _failure(status)
    if isinstance(status.result, SwapResult | EmbedResult):
        response.headers["X-Model-Version"] = status.result.model_version
    if status.kind in ("dataset-check", "grid"):
        where = "GET /v1/datasets has its report" if status.kind != "grid" else "it is not kept"
        raise UnknownJob(f"Job {job_id[:100]!r} is a {status.kind}: {where}.")
    return JobView(
        id=job_id,
        kind=status.kind,
        state=status.state,
        result=job_path(job_id, size, leaf="/result") if status.state == "done" else None,
        error=ProblemSummary(**error.summary()) if error else None,
    )


@router.get(
    "/v1/jobs/{job_id}/result",
    summary="Fetch the composite of a job",
    response_class=Response,
    responses={
        200: {
            "description": "The composite",
            "content": composite_content(),
            "headers": RESULT_HEADERS,
        },
        **problems(
            NOT_ACCEPTABLE,
            RESULT_NOT_READY,
            *_UNKNOWN,
            *(JOB_KINDS[code] for code in ("job-failed", "bad-job", "poison-job")),
        ),
    },
    openapi_extra={
        "parameters": [
            request_header("Accept", "Format of the composite; image/png if absent", WEBP)
        ]
    },
)
async def fetch_result(
    request: Request,
    dependencies: AppDependencies,
    job_id: str,
    width: Side = None,
    height: Side = None,
) -> Response:
    """The composite in the negotiated format; 409 while the job is not done."""
    media_type = negotiate(request.headers.get("accept"), COMPOSITES)
    size = _size(width, height, dependencies.settings)
    status = await dependencies.jobs.status(job_id)
    error = _failure(status)
    if error is not None:
        raise error
    if status.kind != "swap":
        raise UnknownJob(f"Job {job_id[:100]!r} is not a swap, so it has no composite.")
    if not isinstance(status.result, SwapResult):
        raise Problem(
            RESULT_NOT_READY,
            f"The job is {status.state}; try again until GET {job_path(job_id, None)} says 'done'.",
            headers={"Retry-After": "1"},
        )
    return await composite_response(dependencies, status.result, media_type, size=size)


def _size(
    width: int | None, height: int | None, settings: ServiceSettings
) -> tuple[int, int] | None:
    """The wished size of the composite, bounded like a picture that arrives."""
    if width is None and height is None:
        return None
    if width is None or height is None:
        raise Problem(INVALID_REQUEST, "width and height belong together; give both or neither.")
    if max(width, height) > settings.max_picture_side or (
        width * height > settings.max_picture_pixels
    ):
        raise Problem(
            INVALID_REQUEST,
            f"width x height is {width} x {height}; at most {settings.max_picture_pixels} pixels "
            f"and {settings.max_picture_side} a side are possible.",
        )
    return width, height


def _failure(status: JobStatus) -> Problem | None:
    """Why the job failed, if it did."""
    if status.state != "failed":
        return None
    error_class = ERRORS_BY_CODE.get(status.error_code or "", JobFailed)
    return Problem.from_job_error(error_class(status.error_message or "The job failed."))
