"""/v1/jobs/{id}/composites: looks through what a generation job made, dropped ones included.

Works as soon as the first shard is published. Whole files are fetched by `results`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlencode

import numpy as np
from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from dgnet.jobs.errors import JobExpired
from dgnet.jobs.generation.jobs import GenerationJob
from dgnet.jobs.media_types import JPEG, JSON, PNG, WEBP
from dgnet.jobs.storage import job_folder
from dgnet.jobs.views import (
    CompositeLinks,
    CompositeList,
    CompositeSummary,
    CompositeView,
    Histogram,
)
from dgnet.service.composite_index import (
    MEASURES,
    Choice,
    CompositeIndex,
    DamagedManifest,
    Measure,
    Sort,
    TooManyComposites,
    loads,
)
from dgnet.service.composite_pictures import PictureGone, composite_picture, source_picture
from dgnet.service.dependencies import AppBulk
from dgnet.service.generation_views import GenerationId
from dgnet.service.openapi import BINARY, header, problems
from dgnet.service.problems import (
    INVALID_REQUEST,
    JOB_KINDS,
    STORAGE_FAILED,
    TOO_MANY_TO_BROWSE,
    UNKNOWN_COMPOSITE,
    Problem,
)

router = APIRouter(tags=["jobs"])
MOST_AT_ONCE = 200
MOST_PERSONS = 1000
Role = Literal["composite", "appearance", "structure"]
_UNKNOWN = (
    STORAGE_FAILED,
    *(JOB_KINDS[code] for code in ("unknown-job", "job-expired", "queue-unavailable")),
)
# Positions of a plan; JSON readers hold no larger whole numbers.
Position = Annotated[int, Query(ge=0, lt=2**53)]
Whole = Annotated[int, Query(gt=-(2**53), lt=2**53)]
Bound = Annotated[float, Query(ge=-1e6, le=1e6, allow_inf_nan=False)]


async def _browsed(bulk: AppBulk, job_id: GenerationId) -> GenerationJob:
    job = await bulk.job_store.get(job_id)
    if job.state == "expired":
        raise JobExpired(f"What {job_id} made was removed after the retention time; submit it anew")
    return job


Browsed = Annotated[GenerationJob, Depends(_browsed)]


async def _index(bulk: AppBulk, job: Browsed) -> CompositeIndex:
    try:
        return await bulk.composites.of(job)
    except TooManyComposites as error:
        raise Problem(
            TOO_MANY_TO_BROWSE,
            f"{job.job_id} has more than {bulk.composites.max_composites} composites, the most "
            "that can be looked through here (DGNET_MAX_INDEX_BYTES); fetch its manifest instead.",
        ) from error
    except FileNotFoundError as error:
        raise JobExpired(f"What {job.job_id} made is no longer on the server") from error
    except DamagedManifest as error:
        raise Problem(
            STORAGE_FAILED,
            f"The manifest of {job.job_id} is damaged; submit the job anew.",
        ) from error


Index = Annotated[CompositeIndex, Depends(_index)]


@router.get(
    "/v1/jobs/{job_id}/composites",
    summary="Look through the composites",
    response_model=CompositeList,
    responses=problems(INVALID_REQUEST, TOO_MANY_TO_BROWSE, *_UNKNOWN),
)
async def list_composites(
    job: Browsed,
    index: Index,
    person: Annotated[Whole | None, Query(description="Of appearance or structure")] = None,
    camera: Annotated[Whole | None, Query(description="Of appearance or structure")] = None,
    kept: Annotated[bool | None, Query(description="Kept ones, or dropped ones")] = None,
    dropped: Annotated[
        str | None, Query(max_length=100, description="The reason, as the job's `dropped` has it")
    ] = None,
    score: Annotated[Measure | None, Query(description="What the bounds are for")] = None,
    minimum: Annotated[Bound | None, Query(description="Of `score`, itself included")] = None,
    maximum: Annotated[Bound | None, Query(description="Of `score`, itself included")] = None,
    sort: Annotated[Sort, Query(description="Those without the score come last")] = "position",
    order: Annotated[Literal["asc", "desc"], Query()] = "asc",
    after: Annotated[Position | None, Query(description="As `next` of a page has it")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_AT_ONCE)] = 50,
) -> Response:
    """Rows of the manifest. A job under way shows the shards that are published."""
    if score is None and (minimum is not None or maximum is not None):
        raise Problem(
            INVALID_REQUEST,
            f"minimum or maximum is given without score; expected one of {', '.join(MEASURES)}.",
        )
    choice = Choice(
        person=person,
        camera=camera,
        kept=kept,
        dropped=dropped,
        measure=score,
        minimum=minimum,
        maximum=maximum,
        sort=sort,
        descending=order == "desc",
        after=after,
        limit=limit,
    )
    return Response(await asyncio.to_thread(_page, job, index, choice), media_type=JSON)


@router.get(
    "/v1/jobs/{job_id}/composites/summary",
    summary="Count the composites",
    response_model=CompositeSummary,
    responses=problems(INVALID_REQUEST, TOO_MANY_TO_BROWSE, *_UNKNOWN),
)
async def summarize_composites(
    index: Index,
    bins: Annotated[int, Query(ge=1, le=200, description="Of each histogram")] = 40,
) -> CompositeSummary:
    """Persons, cameras, reasons, and a histogram of each score that was recorded."""
    return await asyncio.to_thread(_summary, index, bins)


@router.get(
    "/v1/jobs/{job_id}/composites/{position}/{role}",
    summary="Fetch a composite or one of its sources",
    response_class=Response,
    responses={
        200: {
            "description": "The picture",
            "content": {kind: {"schema": BINARY} for kind in (JPEG, PNG, WEBP)},
            "headers": {"Cache-Control": header("Pictures of a job do not change", "private")},
        },
        **problems(INVALID_REQUEST, UNKNOWN_COMPOSITE, TOO_MANY_TO_BROWSE, *_UNKNOWN),
    },
)
async def fetch_composite_picture(
    bulk: AppBulk,
    job: Browsed,
    index: Index,
    position: Annotated[int, Path(ge=0, lt=2**53)],
    role: Role,
) -> Response:
    """The composite's own file, or the real picture that gave its appearance or its structure."""
    try:
        row = index.row_of(position)
        (line,) = await asyncio.to_thread(index.lines, [row])
        values = loads(line)
        if role == "composite":
            folder = job_folder(bulk.storage.data_root, job.job_id)
            part = index.part_of(row)
            found = await asyncio.to_thread(composite_picture, folder, part, values)
        else:
            path = values[f"{role}_path"]
            found = await asyncio.to_thread(source_picture, bulk.storage, job, path)
    except KeyError as error:
        raise Problem(
            UNKNOWN_COMPOSITE, f"The job has no composite {position}, or not yet."
        ) from error
    except PictureGone as error:
        raise Problem(UNKNOWN_COMPOSITE, str(error)) from error
    headers = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"}
    return Response(found.data, media_type=found.media_type, headers=headers)


def _page(job: GenerationJob, index: CompositeIndex, choice: Choice) -> bytes:
    try:
        total, rows, more = index.select(choice)
    except KeyError as error:
        raise Problem(
            INVALID_REQUEST,
            f"after is {choice.after}, which is no composite of this job; expected `next` of a "
            "page, or none for the first.",
        ) from error
    address = f"/v1/jobs/{job.job_id}/composites"
    try:
        lines = index.lines(rows.tolist())
    except FileNotFoundError as error:  # the set was put together this moment
        raise JobExpired(f"The shards of {job.job_id} were put together; ask again") from error
    data = [_view(address, loads(line)) for line in lines]
    more_at = None
    if more:
        more_at = f"{address}?{urlencode(_query(replace(choice, after=data[-1].position)))}"
    page = CompositeList(data=data, total=total, next=more_at)
    return page.model_dump_json(exclude_unset=True).encode()


def _view(address: str, row: dict[str, Any]) -> CompositeView:
    place = f"{address}/{row['position']}"
    links = CompositeLinks(
        composite=f"{place}/composite" if row["kept"] else None,
        appearance=f"{place}/appearance",
        structure=f"{place}/structure",
    )
    return CompositeView.model_validate({**_encodable(row), "links": links})


def _encodable(row: dict[str, Any]) -> dict[str, Any]:
    """Names of files need be no text."""
    return {
        name: value.encode(errors="replace").decode() if isinstance(value, str) else value
        for name, value in row.items()
    }


def _query(choice: Choice) -> dict[str, str]:
    """The parameters that stand for a choice."""
    given = {
        "person": choice.person,
        "camera": choice.camera,
        "kept": None if choice.kept is None else str(choice.kept).lower(),
        "dropped": choice.dropped,
        "score": choice.measure,
        "minimum": choice.minimum,
        "maximum": choice.maximum,
        "sort": choice.sort,
        "order": "desc" if choice.descending else "asc",
        "after": choice.after,
        "limit": choice.limit,
    }
    return {name: str(value) for name, value in given.items() if value is not None}


def _summary(index: CompositeIndex, bins: int) -> CompositeSummary:
    dropped = index.dropped()
    histograms: dict[str, Histogram] = {}
    for measure in get_args(Measure):
        lowest, highest = MEASURES[measure]
        kept_values = index.values(measure, kept=True)
        dropped_values = index.values(measure, kept=False)
        found = len(kept_values) + len(dropped_values)
        if not found:
            continue
        kept_bins, dropped_bins = (
            # Rounding may lead a hair beyond the range.
            np.histogram(np.clip(values, lowest, highest), bins, (lowest, highest))[0].tolist()
            for values in (kept_values, dropped_values)
        )
        histograms[measure] = Histogram(
            lowest=lowest,
            highest=highest,
            kept=kept_bins,
            dropped=dropped_bins,
            mean=float(np.concatenate([kept_values, dropped_values]).mean()),
            missing=len(index) - found,
        )
    return CompositeSummary(
        composites=len(index),
        kept=len(index) - sum(dropped.values()),
        dropped=dropped,
        persons=index.persons()[:MOST_PERSONS],
        cameras=index.cameras(),
        scores=histograms,
    )
