"""/livez, /readyz and /metrics: for orchestrators and Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from dgnet.jobs.errors import QueueUnavailable
from dgnet.jobs.keys import LANES
from dgnet.jobs.views import Health, Readiness
from dgnet.service.dependencies import AppDependencies
from dgnet.service.openapi import problems
from dgnet.service.problems import JOB_KINDS

router = APIRouter(tags=["operations"])


@router.get("/livez", summary="Is the process alive?")
async def livez() -> Health:
    """Always 200: asks nothing of queue or workers, so that their trouble restarts nobody."""
    return Health(status="ok")


@router.get(
    "/readyz",
    summary="Can a request be served?",
    responses=problems(JOB_KINDS["queue-unavailable"], JOB_KINDS["no-worker"]),
)
async def readyz(dependencies: AppDependencies) -> Readiness:
    """200 when the queue takes jobs and a live worker has passed its canary, else 503."""
    await dependencies.jobs.check()  # heartbeats may be cached; this writes to the queue itself
    model = await dependencies.any_ready_model()
    return Readiness(status="ready", model=model.model_id, scenes=model.scenes)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Text exposition format"}},
)
async def metrics(dependencies: AppDependencies) -> Response:
    """Requests, latencies, queue depth and workers; answers while the queue is away, too."""
    try:
        depths = {str(lane): await dependencies.jobs.depth(lane) for lane in LANES}
        workers = await dependencies.jobs.workers()
    except QueueUnavailable:
        dependencies.metrics.set_queue_down()
    else:
        ready = sum(worker.ready for worker in workers)
        dependencies.metrics.set_queue(depths=depths, ready=ready, starting=len(workers) - ready)
    return Response(dependencies.metrics.render(), media_type=CONTENT_TYPE_LATEST)
