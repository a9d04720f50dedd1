"""POST /v1/embeddings: pictures in, unit vectors out, as a form or in the OpenAI style."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from dgnet.arrays import Floats
from dgnet.jobs.contract import EmbedJob, EmbedResult, ModelInfo
from dgnet.jobs.errors import JobFailed
from dgnet.jobs.media_types import FORM, JSON, NPY, media_type_of
from dgnet.jobs.views import EmbeddingsRequest, EmbeddingsView
from dgnet.service.answers import result_headers
from dgnet.service.dependencies import AppDependencies, Dependencies, ModelQuery
from dgnet.service.encoding import encode_npy
from dgnet.service.forms import parse_form
from dgnet.service.json_bodies import read_model
from dgnet.service.negotiation import negotiate
from dgnet.service.openapi import (
    BINARY,
    QUEUE_KINDS,
    RESULT_HEADERS,
    npy_content,
    problems,
    request_header,
)
from dgnet.service.picture_pool import Source
from dgnet.service.pictures import PreparedPicture
from dgnet.service.problems import (
    ANIMATED_PICTURE,
    BAD_REQUEST,
    DAMAGED_PICTURE,
    INVALID_REQUEST,
    MISSING_PART,
    NO_USABLE_PICTURE,
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

router = APIRouter(tags=["embeddings"], route_class=PlainRoute)
OFFERED = (JSON, NPY)
FILES_PART = "files"
EncodingFormat = Literal["float", "base64"]


@router.post(
    "/v1/embeddings",
    summary="Embed pictures of people",
    response_class=Response,
    responses={
        200: {
            "description": (
                "Embeddings in the order of the pictures; the dot product of two is their "
                "similarity. As .npy: (N, D) float32, with `?partial=true` rows of NaN for the "
                "pictures named in X-Failed-Indices"
            ),
            "model": EmbeddingsView,
            "content": npy_content(),
            "headers": RESULT_HEADERS,
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
            NO_USABLE_PICTURE,
            *QUEUE_KINDS,
        ),
    },
    openapi_extra={
        "parameters": [
            request_header("Accept", "JSON if absent", NPY),
        ],
        "requestBody": {
            "required": True,
            "content": {
                FORM: {
                    "schema": {
                        "type": "object",
                        "required": [FILES_PART],
                        "properties": {FILES_PART: {"type": "array", "items": BINARY}},
                    }
                },
                JSON: {"schema": EmbeddingsRequest.model_json_schema()},
            },
        },
    },
)
async def create_embeddings(
    request: Request,
    dependencies: AppDependencies,
    partial: Annotated[
        bool, Query(description="One bad picture fails alone, not the whole request")
    ] = False,
    model: ModelQuery = None,
) -> Response:
    """Embed up to 64 pictures in one request."""
    media_type = negotiate(request.headers.get("accept"), OFFERED)
    serving = await dependencies.serving_model(model)
    body = await request.body()
    started = time.perf_counter()
    wanted = _read(request.headers.get("content-type"), body, dependencies)
    if wanted.model is not None:
        serving = await dependencies.serving_model(wanted.model)
    pictures = await dependencies.picture_pool.prepare(wanted.sources, serving)
    failures = _failures(pictures, partial=partial)
    usable = [picture.pixels for picture in pictures if isinstance(picture, PreparedPicture)]
    decode_seconds = time.perf_counter() - started

    job_id = await dependencies.jobs.submit(
        EmbedJob(images=np.stack(usable)), model=serving.model_version
    )
    result = await dependencies.jobs.wait(
        job_id, timeout_seconds=dependencies.settings.request_timeout_seconds
    )
    if not isinstance(result, EmbedResult):
        raise JobFailed("The worker answered an embedding with something else; ask its operator.")

    started = time.perf_counter()
    rows = _rows(result.embeddings, failures, count=len(pictures))
    if media_type == NPY:
        content = encode_npy(rows)
    else:
        content = _json(rows, failures, serving, wanted.encoding_format)
    headers = result_headers(
        result.model_version,
        result.timings,
        decode_seconds=decode_seconds,
        encode_seconds=time.perf_counter() - started,
    )
    headers["Vary"] = "Accept"
    if failures:
        headers["X-Failed-Indices"] = ",".join(str(index) for index in failures)
    return Response(content, media_type=media_type, headers=headers)


@dataclass(frozen=True)
class _Wanted:
    sources: list[Source]
    encoding_format: EncodingFormat = "float"
    model: str | None = None


def _read(content_type: str | None, body: bytes, dependencies: Dependencies) -> _Wanted:
    """What the request asks for, from either kind of body."""
    media_type = media_type_of(content_type)
    if media_type == JSON:
        return _read_json(body, dependencies)
    if media_type == FORM:
        parts = parse_form(content_type, body, max_parts=dependencies.settings.max_pictures)
        files = [part for part in parts if part.name == FILES_PART]
        if not files:
            arrived = ", ".join(sorted({repr(part.name) for part in parts})) or "none"
            raise Problem(
                MISSING_PART,
                f"The form has no part {FILES_PART!r} (parts that arrived: {arrived[:200]}); "
                f"expected 1 to {dependencies.settings.max_pictures} pictures of that name.",
            )
        return _Wanted(
            [Source(part.content, _label(index, part.filename)) for index, part in enumerate(files)]
        )
    raise Problem(
        UNSUPPORTED_CONTENT_TYPE,
        f"Content-Type is {(content_type or 'absent')[:200]!r}; expected multipart/form-data or "
        "application/json.",
    )


def _read_json(body: bytes, dependencies: Dependencies) -> _Wanted:
    expected = (
        "'input' (base64 data URIs) and optionally 'model' and 'encoding_format' (float or base64)"
    )
    wanted = read_model(EmbeddingsRequest, body, expected=expected)
    uris = [wanted.input] if isinstance(wanted.input, str) else wanted.input
    if not uris:
        raise Problem(INVALID_REQUEST, "input: the list is empty; expected at least one data URI.")
    if len(uris) > dependencies.settings.max_pictures:
        raise Problem(
            TOO_MANY_PICTURES,
            f"input has {len(uris)} pictures; at most {dependencies.settings.max_pictures} "
            "are accepted. Send several requests.",
        )
    sources = [Source(_from_data_uri(uri, index), _label(index)) for index, uri in enumerate(uris)]
    return _Wanted(sources, wanted.encoding_format, wanted.model)


def _from_data_uri(uri: str, index: int) -> bytes:
    """The bytes of a base64 data URI; its media type is not believed, the bytes are sniffed."""
    head, comma, payload = uri.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        raise Problem(
            INVALID_REQUEST,
            f"input.{index} begins {uri[:30]!r}; expected a data URI like "
            "'data:image/png;base64,...'. URLs are never fetched: send the picture itself.",
            extensions={"index": index},
        )
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(
            INVALID_REQUEST,
            f"input.{index} is not valid base64 ({error}).",
            extensions={"index": index},
        ) from error


def _label(index: int, filename: str = "") -> str:
    return f"picture {index}" + (f" {filename[:100]!r}" if filename else "")


def _failures(
    pictures: Sequence[PreparedPicture | Problem], *, partial: bool
) -> dict[int, Problem]:
    """The problems by index; without `partial` the first is raised, with it only if all failed."""
    failures = {
        index: picture for index, picture in enumerate(pictures) if isinstance(picture, Problem)
    }
    if not failures:
        return failures
    if not partial:
        index, problem = next(iter(failures.items()))
        problem.extensions["index"] = index
        raise problem
    if len(failures) == len(pictures):
        raise Problem(
            NO_USABLE_PICTURE,
            f"None of the {len(pictures)} pictures is usable; see 'errors'.",
            extensions={
                "errors": [
                    {"index": index, **problem.summary()} for index, problem in failures.items()
                ]
            },
        )
    return failures


def _rows(embeddings: Floats, failures: dict[int, Problem], *, count: int) -> Floats:
    """(N, D) with rows of NaN where a picture failed."""
    if not failures:
        return embeddings
    rows = np.full((count, embeddings.shape[1]), np.nan, np.float32)
    rows[[index for index in range(count) if index not in failures]] = embeddings
    return rows


def _json(
    rows: Floats,
    failures: dict[int, Problem],
    model: ModelInfo,
    encoding_format: EncodingFormat,
) -> bytes:
    """The OpenAI shape of `EmbeddingsView`; written without pydantic, as D floats a row add up."""
    data: list[dict[str, Any]] = []
    for index, row in enumerate(rows):
        item: dict[str, Any] = {"object": "embedding", "index": index}
        if index in failures:
            item["embedding"] = None
            item["error"] = failures[index].summary()
        elif encoding_format == "base64":
            item["embedding"] = base64.b64encode(row.astype("<f4").tobytes()).decode()
        else:
            item["embedding"] = np.ascontiguousarray(row, np.float32)
        data.append(item)
    return orjson.dumps(
        {
            "object": "list",
            "model": model.model_id,
            "data": data,
            "usage": {"pictures": len(rows), "prompt_tokens": 0, "total_tokens": 0},
        },
        option=orjson.OPT_SERIALIZE_NUMPY,
    )
