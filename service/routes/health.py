"""/livez, /readyz and /metrics: for orchestrators and Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from service.desk import desk_of
from service.openapi import problems
from service.problems import JOB_KINDS
from service.schemas import Health
from worker.contract import Lane
from worker.errors import QueueUnavailable

router = APIRouter(tags=["operations"])
LANES: tuple[Lane, ...] = ("small", "bulk")


@router.get("/livez", summary="Is the process alive?")
async def livez() -> Health:
    """Always 200: asks nothing of queue or workers, so that their trouble restarts nobody."""
    return Health(status="ok")


@router.get(
    "/readyz",
    summary="Can a request be served?",
    responses=problems(JOB_KINDS["queue-unavailable"], JOB_KINDS["no-worker"]),
)
async def readyz(request: Request) -> Health:
    """200 when the queue answers and a live worker has passed its canary, else 503."""
    desk = desk_of(request)
    await desk.jobs.depth("small")  # heartbeats may be cached; this asks the queue itself
    model = await desk.serving_model()
    return Health(status="ready", model=model.model_id)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Text exposition format"}},
)
async def metrics(request: Request) -> Response:
    """Requests, latencies, queue depth and workers; answers while the queue is away, too."""
    desk = desk_of(request)
    try:
        depths = {str(lane): await desk.jobs.depth(lane) for lane in LANES}
        workers = await desk.jobs.workers()
    except QueueUnavailable:
        desk.metrics.set_queue_down()
    else:
        ready = sum(worker.ready for worker in workers)
        desk.metrics.set_queue(depths=depths, ready=ready, starting=len(workers) - ready)
    return Response(desk.metrics.render(), media_type=CONTENT_TYPE_LATEST)
