"""Everything that can go wrong over HTTP, as RFC 9457 problem details.

`Problem` is raised anywhere in the front end; `problem_response` is the only place that writes an
error answer. Job errors of the queue keep the code, status and message that they carry.
`docs/http-api.md` lists every kind; a test holds it to that.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.types import Scope

from dgnet.jobs.errors import ERRORS_BY_CODE, JobError
from dgnet.jobs.media_types import PROBLEM

TYPE_PREFIX = "urn:dgnet:problem:"


@dataclass(frozen=True)
class ProblemKind:
    """A kind of problem: the last part of its `type` URI, its HTTP status and its title."""

    code: str
    status: int
    title: str


BAD_REQUEST = ProblemKind("bad-request", 400, "The request cannot be read")
UNAUTHORIZED = ProblemKind("unauthorized", 401, "A valid API key is needed")
NOT_FOUND = ProblemKind("not-found", 404, "Nothing lives at this address")
CROSS_SITE = ProblemKind("cross-site", 403, "Pages of other sites may not ask this")
UNKNOWN_MODEL = ProblemKind("unknown-model", 404, "No live worker serves this model")
UNKNOWN_DATASET = ProblemKind("unknown-dataset", 404, "No such data set")
UNKNOWN_FILE = ProblemKind("unknown-file", 404, "The job made no such file")
UNKNOWN_COMPOSITE = ProblemKind("unknown-composite", 404, "There is no such composite")
METHOD_NOT_ALLOWED = ProblemKind("method-not-allowed", 405, "The route knows no such method")
NOT_ACCEPTABLE = ProblemKind("not-acceptable", 406, "None of the accepted formats is offered")
HEAD_TIMEOUT = ProblemKind("head-timeout", 408, "The request did not arrive in time")
BODY_STALLED = ProblemKind("body-stalled", 408, "The request body stopped arriving")
UPLOAD_STALLED = ProblemKind("upload-stalled", 408, "The upload stopped arriving")
DATASET_IN_USE = ProblemKind("dataset-in-use", 409, "A job uses the data set")
RESULT_NOT_READY = ProblemKind("result-not-ready", 409, "The job has no result yet")
BODY_TOO_LARGE = ProblemKind("body-too-large", 413, "The request body is too large")
ARCHIVE_TOO_LARGE = ProblemKind("archive-too-large", 413, "Too much comes out of the archive")
PICTURE_TOO_LARGE = ProblemKind("picture-too-large", 413, "A picture has too many bytes")
TOO_MANY_PICTURES = ProblemKind("too-many-pictures", 413, "The request has too many pictures")
TOO_MANY_COMPOSITES = ProblemKind(
    "too-many-composites", 413, "The request asks for too many composites"
)
UNSUPPORTED_CONTENT_TYPE = ProblemKind(
    "unsupported-content-type", 415, "The request body has the wrong content type"
)
NOT_A_PICTURE = ProblemKind("not-a-picture", 415, "Not a picture in an accepted format")
NOT_AN_ARCHIVE = ProblemKind("not-an-archive", 415, "Not an archive in an accepted format")
MISDIRECTED = ProblemKind("misdirected", 421, "This service has no such name")
RANGE_NOT_SATISFIABLE = ProblemKind("range-not-satisfiable", 416, "The range lies outside")
HEAD_TOO_LARGE = ProblemKind("head-too-large", 431, "The request's headers are too large")
INVALID_REQUEST = ProblemKind("invalid-request", 422, "A parameter or field is invalid")
TOO_MANY_TO_BROWSE = ProblemKind(
    "too-many-to-browse", 422, "The job has too many composites to look through"
)
MISSING_PART = ProblemKind("missing-part", 422, "A part of the form is missing")
DAMAGED_PICTURE = ProblemKind("damaged-picture", 422, "The picture is truncated or damaged")
PICTURE_DIMENSIONS = ProblemKind("picture-dimensions", 422, "The picture has too many pixels")
ANIMATED_PICTURE = ProblemKind("animated-picture", 422, "Animated pictures are not accepted")
NO_USABLE_PICTURE = ProblemKind("no-usable-picture", 422, "No picture of the request is usable")
BAD_ARCHIVE = ProblemKind("bad-archive", 422, "The archive is refused")
UNUSABLE_DATASET = ProblemKind("unusable-dataset", 422, "The data set cannot be read")
INVALID_SPEC = ProblemKind("invalid-spec", 422, "The generation spec cannot be used")
DESTINATION_REFUSED = ProblemKind(
    "destination-refused", 422, "The server does not write to this destination"
)
OVERLOADED = ProblemKind("overloaded", 503, "Too many requests at once")
TOO_MANY_FOLLOWERS = ProblemKind("too-many-followers", 503, "Too many follow jobs at once")
INTERNAL_ERROR = ProblemKind("internal-error", 500, "The server failed")

_JOB_TITLES = {
    "job-failed": "The job failed",
    "bad-job": "The worker refuses the job",
    "poison-job": "The job was given up after several attempts",
    "queue-full": "The queue is full",
    "queue-unavailable": "The queue does not answer",
    "no-worker": "No worker is ready",
    "worker-too-slow": "The worker did not answer in time",
    "unknown-job": "No such job",
    "result-expired": "The result had to make room",
    "wrong-state": "The job's state does not allow this",
    "idempotency-conflict": "The idempotency key stands for another request",
    "job-expired": "What the job made was removed",
    "job-deleted": "The job was deleted",
    "storage-full": "The server has no room left",
    "storage-failed": "The server's storage cannot be used now",
}
JOB_KINDS = {
    code: ProblemKind(code, error.http_status, _JOB_TITLES.get(code, code.replace("-", " ")))
    for code, error in ERRORS_BY_CODE.items()
}
STORAGE_FULL = JOB_KINDS["storage-full"]
STORAGE_FAILED = JOB_KINDS["storage-failed"]
KINDS: dict[str, ProblemKind] = {
    kind.code: kind
    for kind in (
        BAD_REQUEST,
        UNAUTHORIZED,
        CROSS_SITE,
        MISDIRECTED,
        NOT_FOUND,
        UNKNOWN_MODEL,
        UNKNOWN_DATASET,
        UNKNOWN_FILE,
        UNKNOWN_COMPOSITE,
        TOO_MANY_TO_BROWSE,
        METHOD_NOT_ALLOWED,
        NOT_ACCEPTABLE,
        HEAD_TIMEOUT,
        BODY_STALLED,
        HEAD_TOO_LARGE,
        TOO_MANY_FOLLOWERS,
        UPLOAD_STALLED,
        DATASET_IN_USE,
        RESULT_NOT_READY,
        BODY_TOO_LARGE,
        ARCHIVE_TOO_LARGE,
        PICTURE_TOO_LARGE,
        TOO_MANY_PICTURES,
        TOO_MANY_COMPOSITES,
        UNSUPPORTED_CONTENT_TYPE,
        NOT_A_PICTURE,
        NOT_AN_ARCHIVE,
        RANGE_NOT_SATISFIABLE,
        INVALID_REQUEST,
        MISSING_PART,
        DAMAGED_PICTURE,
        PICTURE_DIMENSIONS,
        ANIMATED_PICTURE,
        NO_USABLE_PICTURE,
        BAD_ARCHIVE,
        UNUSABLE_DATASET,
        INVALID_SPEC,
        DESTINATION_REFUSED,
        OVERLOADED,
        INTERNAL_ERROR,
        *JOB_KINDS.values(),
    )
}


class Problem(Exception):
    """A request is refused: `detail` says what arrived, what was expected and what to do."""

    def __init__(
        self,
        kind: ProblemKind,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})
        self.extensions = dict(extensions or {})

    @classmethod
    def from_job_error(
        cls, error: JobError, *, extensions: Mapping[str, Any] | None = None
    ) -> Problem:
        """What the queue or a worker says, in HTTP's terms; its message is safe to show."""
        kind = JOB_KINDS.get(error.code) or ProblemKind(
            error.code, error.http_status, error.code.replace("-", " ")
        )
        headers: dict[str, str] = {}
        if error.retry_after_seconds is not None:
            headers["Retry-After"] = retry_after(error.retry_after_seconds)
        return cls(kind, str(error), headers=headers, extensions=extensions)

    def summary(self) -> dict[str, Any]:
        """The problem without its occurrence, for a list of problems inside one answer."""
        return {
            "type": TYPE_PREFIX + self.kind.code,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
        }


def retry_after(seconds: float) -> str:
    """Whole seconds for a Retry-After header, at least one."""
    return str(max(1, math.ceil(seconds)))


def problem_response(problem: Problem, scope: Scope, *, retry_after_seconds: float) -> Response:
    """The answer to a request that failed; a 429 or 503 always says when to try again."""
    body = {
        **problem.summary(),
        "instance": scope.get("path", ""),
        "request_id": scope.get("request_id", ""),
        **problem.extensions,
    }
    headers = dict(problem.headers)
    if problem.kind.status in (429, 503):
        headers.setdefault("Retry-After", retry_after(retry_after_seconds))
    return Response(
        json.dumps(body, ensure_ascii=False).encode(errors="backslashreplace"),
        status_code=problem.kind.status,
        headers=headers,
        media_type=PROBLEM,
    )
