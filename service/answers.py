"""Answers that more than one route gives: a composite, and a job that was accepted."""

from __future__ import annotations

import time
from urllib.parse import urlencode

from starlette.responses import Response

from dgnet.jobs.contract import GridResult, JobTimings, SwapResult
from dgnet.jobs.media_types import JSON
from dgnet.jobs.views import JobView
from dgnet.service.dependencies import Dependencies


async def composite_response(
    dependencies: Dependencies,
    result: SwapResult,
    media_type: str,
    *,
    size: tuple[int, int] | None = None,
    decode_seconds: float | None = None,
) -> Response:
    """The composite in the negotiated format, with its model version and timings."""
    started = time.perf_counter()
    content = await dependencies.picture_pool.encode(result.composite, media_type, size=size)
    return negotiated(content, media_type, result, decode_seconds=decode_seconds, started=started)


def negotiated(
    content: bytes,
    media_type: str,
    result: SwapResult | GridResult,
    *,
    decode_seconds: float | None,
    started: float,
) -> Response:
    """What `Accept` chose, with model version and timings; `time.perf_counter` told `started` when
    encoding began.
    """
    headers = result_headers(
        result.model_version,
        result.timings,
        decode_seconds=decode_seconds,
        encode_seconds=time.perf_counter() - started,
    )
    headers["Vary"] = "Accept"
    return Response(content, media_type=media_type, headers=headers)


def result_headers(
    model_version: str,
    timings: JobTimings,
    *,
    decode_seconds: float | None,
    encode_seconds: float,
) -> dict[str, str]:
    """X-Model-Version and Server-Timing (milliseconds)."""
    stages = [
        ("decode", decode_seconds),
        ("queue", timings.queue_seconds),
        ("gpu", timings.device_seconds),
        ("encode", encode_seconds),
    ]
    return {
        "X-Model-Version": model_version,
        "Server-Timing": ", ".join(
            f"{name};dur={seconds * 1000:.2f}" for name, seconds in stages if seconds is not None
        ),
    }


def job_path(job_id: str, size: tuple[int, int] | None, *, leaf: str = "") -> str:
    """Where a job lives. The wished size travels in the address: the queue knows only pixels."""
    query = "?" + urlencode({"width": size[0], "height": size[1]}) if size else ""
    return f"/v1/jobs/{job_id}{leaf}{query}"


def job_accepted(job_id: str, size: tuple[int, int] | None, *, applied: str) -> Response:
    """202 with the job's address."""
    view = JobView(id=job_id, kind="swap", state="queued", result=None, error=None)
    return Response(
        view.model_dump_json(),
        status_code=202,
        media_type=JSON,
        headers={
            "Location": job_path(job_id, size),
            "Preference-Applied": applied,
            "Retry-After": "1",
        },
    )
