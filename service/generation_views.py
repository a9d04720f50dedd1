"""Generation jobs as the API shows them, and the ids by which they are told from swaps."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import Depends

from dgnet.jobs.addresses import without_secrets
from dgnet.jobs.errors import JobFailed, StorageFailed, StorageFull, UnknownJob
from dgnet.jobs.generation.jobs import GenerationJob
from dgnet.jobs.generation.records import is_job_id
from dgnet.jobs.views import GenerationView, JobLinks, ProblemSummary
from dgnet.service.problems import JOB_KINDS, Problem, ProblemKind

_OF_THE_VOLUME = (StorageFull.code, StorageFailed.code)
"""Here it is the job that failed by them, not a request."""


def generation_id(job_id: str) -> str:
    """A path parameter that can be a generation job's; else there is no such job."""
    if not is_job_id(job_id):
        raise UnknownJob(
            f"{job_id[:64]!r} is no generation job; GET /v1/jobs lists those that there are."
        )
    return job_id


GenerationId = Annotated[str, Depends(generation_id)]


def generation_view(job: GenerationJob, *, retention_seconds: float) -> GenerationView:
    """What GET /v1/jobs/{id} answers."""
    address = f"/v1/jobs/{job.job_id}"
    done = job.state == "done"
    ended = job.finished
    shown = _shown(job.spec)
    return GenerationView(
        id=job.job_id,
        name=shown.get("name"),
        state=job.state,
        spec=shown,
        created=_time(job.created),
        updated=_time(job.updated),
        finished=None if ended is None else _time(ended),
        expires=None if ended is None else _time(ended + retention_seconds),
        planned=job.planned,
        made=job.made,
        kept=job.kept,
        dropped=job.dropped,
        unreadable=job.unreadable,
        shards=job.shards,
        shards_done=job.shards_done,
        rate=job.rate,
        eta_seconds=job.eta_seconds,
        error=_error(job),
        model_version=job.model_version,
        links=JobLinks(
            events=f"{address}/events",
            manifest=f"{address}/manifest" if done else None,
            preview=f"{address}/preview" if done else None,
            archive=f"{address}/archive" if done else None,
            files=f"{address}/files/" if done else None,
        ),
    )


def _shown(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec as it can be answered: a release that took text which cannot be encoded may have
    kept it, and one such job must not hide all others. Of a destination no user is shown.
    """
    try:
        orjson.dumps(spec)
    except TypeError:
        text = json.dumps(spec, ensure_ascii=False).encode(errors="replace")
        spec = json.loads(text)
    url = spec.get("output", {}).get("destination")
    if url is None:
        return spec
    return {**spec, "output": {**spec["output"], "destination": without_secrets(url)}}


def _error(job: GenerationJob) -> ProblemSummary | None:
    """Workers have more words for their failures than a request can meet."""
    if job.error_message is None:
        return None
    code = job.error_code or JobFailed.code
    kind = None if code in _OF_THE_VOLUME else JOB_KINDS.get(code)
    kind = kind or ProblemKind(code, 500, "The job failed")
    return ProblemSummary(**Problem(kind, job.error_message).summary())


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
