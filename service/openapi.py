"""Building blocks of the OpenAPI document: forms, pictures and documented problems.

Routes read bodies by hand for speed, so what FastAPI would infer is stated here.
"""

from __future__ import annotations

from typing import Any

from dgnet.jobs.media_types import COMPOSITES, JPEG, NPY, PNG, PROBLEM, WEBP
from dgnet.service.problems import (
    BAD_REQUEST,
    BODY_TOO_LARGE,
    CROSS_SITE,
    INTERNAL_ERROR,
    JOB_KINDS,
    MISDIRECTED,
    OVERLOADED,
    STORAGE_FAILED,
    STORAGE_FULL,
    TYPE_PREFIX,
    UNAUTHORIZED,
    ProblemKind,
)

Responses = dict[int | str, dict[str, Any]]

BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
PICTURE_TYPES = ", ".join((JPEG, PNG, WEBP))
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "index": {"type": "integer", "description": "Position of the picture that is at fault"},
    },
}
STORAGE_KINDS = (STORAGE_FULL, STORAGE_FAILED)
"""Of every route that writes to the data root."""

ANYWHERE = (BAD_REQUEST, UNAUTHORIZED, CROSS_SITE, BODY_TOO_LARGE, MISDIRECTED, INTERNAL_ERROR)
QUEUE_KINDS = (
    OVERLOADED,
    *(
        JOB_KINDS[code]
        for code in (
            "queue-full",
            "queue-unavailable",
            "no-worker",
            "worker-too-slow",
            "job-failed",
            "bad-job",
            "poison-job",
        )
    ),
)


def problems(*kinds: ProblemKind) -> Responses:
    """Documented problem answers, with an example of each kind under its status."""
    by_status: dict[int, list[ProblemKind]] = {}
    for kind in (*kinds, *ANYWHERE):
        kinds_of_status = by_status.setdefault(kind.status, [])
        if kind not in kinds_of_status:
            kinds_of_status.append(kind)
    responses: Responses = {}
    for status, kinds_of_status in sorted(by_status.items()):
        responses[status] = {
            "description": "; ".join(kind.title for kind in kinds_of_status),
            "content": {
                PROBLEM: {
                    "schema": PROBLEM_SCHEMA,
                    "examples": {kind.code: {"value": _example(kind)} for kind in kinds_of_status},
                }
            },
        }
        if status in (429, 503):
            responses[status]["headers"] = {
                "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}
            }
    return responses


def _example(kind: ProblemKind) -> dict[str, Any]:
    return {
        "type": TYPE_PREFIX + kind.code,
        "title": kind.title,
        "status": kind.status,
        "detail": "What arrived, what was expected, what to do.",
        "instance": "/v1/swaps",
        "request_id": "4f0c6f6de9a94c2f8c3e8d2f3b1a7c55",
    }


def composite_content() -> dict[str, Any]:
    """The media types of a composite."""
    return {media_type: {"schema": BINARY} for media_type in COMPOSITES}


def npy_content() -> dict[str, Any]:
    """An array as a .npy file."""
    return {NPY: {"schema": BINARY}}


def header(description: str, example: str) -> dict[str, Any]:
    """A response header."""
    return {"description": description, "schema": {"type": "string"}, "example": example}


def request_header(name: str, description: str, example: str) -> dict[str, Any]:
    """A request header that a route reads by hand."""
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string"},
        "example": example,
    }


RESULT_HEADERS: dict[str, Any] = {
    "X-Model-Version": header("First 12 hex digits of the weights' sha256", "3f9d2c41a0b7"),
    "X-Request-Id": header("The client's own id if sane, else a new one", "4f0c6f6de9a94c2f"),
    "Server-Timing": header(
        "Milliseconds in decode, queue, gpu and encode",
        "decode;dur=0.6, queue;dur=0.4, gpu;dur=3.1, encode;dur=0.8",
    ),
}
