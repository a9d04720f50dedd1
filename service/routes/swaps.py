"""POST /v1/swaps: the clothes of one person on the pose and scene of another."""

from __future__ import annotations

import time
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from dgnet.jobs.contract import Scene, SwapJob, SwapResult
from dgnet.jobs.errors import JobFailed, WaitTimeout
from dgnet.jobs.media_types import COMPOSITES, FORM, WEBP
from dgnet.jobs.views import JobView
from dgnet.service.answers import composite_response, job_accepted, job_path
from dgnet.service.dependencies import AppDependencies, ModelQuery
from dgnet.service.forms import FormPart, parse_form
from dgnet.service.negotiation import negotiate, parse_prefer
from dgnet.service.openapi import (
    BINARY,
    PICTURE_TYPES,
    QUEUE_KINDS,
    RESULT_HEADERS,
    composite_content,
    header,
    problems,
    request_header,
)
from dgnet.service.picture_pool import Source
from dgnet.service.problems import (
    ANIMATED_PICTURE,
    BAD_REQUEST,
    DAMAGED_PICTURE,
    INVALID_REQUEST,
    MISSING_PART,
    NOT_A_PICTURE,
    NOT_ACCEPTABLE,
    PICTURE_DIMENSIONS,
    PICTURE_TOO_LARGE,
    TOO_MANY_PICTURES,
    UNKNOWN_MODEL,
    UNSUPPORTED_CONTENT_TYPE,
    Problem,
)
from dgnet.service.routes.plain import PlainRoute

router = APIRouter(tags=["swaps"], route_class=PlainRoute)
ROLES = ("appearance", "structure")
OPTIONS = {"scene": "keep or generate", "model": "an id or version"}
SceneQuery = Annotated[
    Scene | None,
    Query(
        description="What no swap changes: `keep` passes on the structure picture's own pixels, "
        "`generate` none of them. Kept if absent, where the model can; a model that cannot refuses "
        "`keep`."
    ),
]


@router.post(
    "/v1/swaps",
    summary="Swap the clothes of two people",
    response_class=Response,
    responses={
        200: {
            "description": "The composite, at the model's size unless resized",
            "content": composite_content(),
            "headers": RESULT_HEADERS,
        },
        202: {
            "description": "Preferred asynchronous, or the preferred wait ran out; the job goes on",
            "model": JobView,
            "headers": {
                "Location": header("Where the job is", "/v1/jobs/0b3c"),
                "Preference-Applied": header("What Prefer achieved", "respond-async"),
            },
        },
        **problems(
            BAD_REQUEST,
            UNKNOWN_MODEL,
            NOT_ACCEPTABLE,
            PICTURE_TOO_LARGE,
            TOO_MANY_PICTURES,
            UNSUPPORTED_CONTENT_TYPE,
            NOT_A_PICTURE,
            INVALID_REQUEST,
            MISSING_PART,
            DAMAGED_PICTURE,
            PICTURE_DIMENSIONS,
            ANIMATED_PICTURE,
            *QUEUE_KINDS,
        ),
    },
    openapi_extra={
        "parameters": [
            request_header("Accept", "Format of the composite; image/png if absent", WEBP),
            request_header(
                "Prefer",
                "`respond-async` answers 202 at once; `wait=N` answers 202 after N seconds "
                "without a result. Without either, a worker that is too slow gives 504.",
                "wait=5",
            ),
        ],
        "requestBody": {
            "required": True,
            "content": {
                FORM: {
                    "schema": {
                        "type": "object",
                        "required": list(ROLES),
                        "properties": {
                            "appearance": {**BINARY, "description": "Who gives the clothes"},
                            "structure": {**BINARY, "description": "Who gives pose and scene"},
                        },
                    },
                    "encoding": {role: {"contentType": PICTURE_TYPES} for role in ROLES},
                }
            },
        },
    },
)
async def create_swap(
    request: Request,
    dependencies: AppDependencies,
    resize: Annotated[
        Literal["structure"] | None,
        Query(description="Gives the composite the size of the structure picture"),
    ] = None,
    scene: SceneQuery = None,
    model: ModelQuery = None,
) -> Response:
    """Two pictures in, one composite out."""
    media_type = negotiate(request.headers.get("accept"), COMPOSITES)
    preference = parse_prefer(request.headers.getlist("prefer"))
    serving = await dependencies.serving_model(model)
    if objection := serving.objection_to(scene):
        raise Problem(INVALID_REQUEST, f"{objection}.")
    body = await request.body()
    started = time.perf_counter()
    parts = parse_form(
        request.headers.get("content-type"), body, max_parts=dependencies.settings.max_pictures
    )
    refuse_options(parts)
    sources = [_source(parts, role) for role in ROLES]
    appearance, structure = await dependencies.picture_pool.prepare_or_refuse(sources, serving)
    decode_seconds = time.perf_counter() - started
    size = (structure.original_width, structure.original_height) if resize == "structure" else None

    job_id = await dependencies.jobs.submit(
        SwapJob(appearance_image=appearance.pixels, structure_image=structure.pixels, scene=scene),
        model=serving.model_version,
    )
    if preference.respond_async and preference.wait_seconds is None:
        return job_accepted(job_id, size, applied="respond-async")
    wait_seconds = dependencies.settings.request_timeout_seconds
    if preference.wait_seconds is not None:
        wait_seconds = min(float(preference.wait_seconds), dependencies.settings.max_wait_seconds)
    try:
        result = await dependencies.jobs.wait(job_id, timeout_seconds=wait_seconds)
    except WaitTimeout as error:
        if preference.allows_202:
            applied = "respond-async" if preference.respond_async else f"wait={wait_seconds:g}"
            return job_accepted(job_id, size, applied=applied)
        raise Problem.from_job_error(error, extensions={"job": job_path(job_id, size)}) from error
    if not isinstance(result, SwapResult):
        raise JobFailed("The worker answered a swap with something else; ask its operator.")
    return await composite_response(
        dependencies, result, media_type, size=size, decode_seconds=decode_seconds
    )


def _source(parts: list[FormPart], role: str) -> Source:
    """The one part of this name; absent, doubled or empty parts are refused by name."""
    matching = [part for part in parts if part.name == role]
    if not matching:
        arrived = ", ".join(sorted({repr(part.name) for part in parts})) or "none"
        raise Problem(
            MISSING_PART,
            f"The form has no part {role!r} (parts that arrived: {arrived[:200]}); "
            "expected one picture 'appearance' and one picture 'structure'.",
        )
    if len(matching) > 1:
        raise Problem(
            TOO_MANY_PICTURES, f"The form has {len(matching)} parts {role!r}; expected one."
        )
    return source_of(matching[0])


def refuse_options(parts: list[FormPart]) -> None:
    """Options in the form must not be passed over in silence."""
    for part in parts:
        if part.name in OPTIONS:
            raise Problem(
                INVALID_REQUEST,
                f"The form has a part {part.name!r}; expected it in the address: "
                f"POST /v1/swaps?{part.name}={OPTIONS[part.name]}.",
            )


def source_of(part: FormPart, number: int | None = None) -> Source:
    """A part's picture, named by its role, perhaps its number there, and the client's file name."""
    words = [part.name, "picture", *([] if number is None else [str(number)])]
    if part.filename:
        words.append(repr(part.filename[:100]))
    return Source(part.content, " ".join(words))
