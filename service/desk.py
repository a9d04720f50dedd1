"""What every route works with: settings, queue, studio and metrics of one app.

`Jobs` is the queue as the front end sees it; `worker.client.JobClient` is the real one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request

from service.metrics import Metrics
from service.settings import ServiceSettings
from service.studio import Studio
from worker.contract import Job, JobStatus, Lane, ModelInfo, Result, WorkerInfo
from worker.errors import NoWorker


class Jobs(Protocol):
    """The queue client: submits jobs, waits for results, knows the live workers."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def submit(self, job: Job, *, lane: Lane = "small") -> str: ...

    async def wait(self, job_id: str, *, timeout_seconds: float) -> Result: ...

    async def status(self, job_id: str) -> JobStatus: ...

    async def workers(self) -> list[WorkerInfo]: ...

    async def depth(self, lane: Lane) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The parts of one app, built by `create_app` and shared by its routes."""

    settings: ServiceSettings
    jobs: Jobs
    studio: Studio
    metrics: Metrics

    async def serving_model(self) -> ModelInfo:
        """The model that most ready workers serve; raises NoWorker when there is none.

        Two models are live only while a fleet is being updated; the majority then decides, so
        that a first new worker does not turn all requests away from the others.
        """
        workers = await self.jobs.workers()
        ready = [worker.model for worker in workers if worker.ready]
        if not ready:
            raise NoWorker(
                f"None of {len(workers)} live workers is ready; expected at least one. "
                "Try again shortly, or start a worker.",
                retry_after_seconds=self.settings.retry_after_seconds,
            )
        if len(ready) == 1:
            return ready[0]
        votes = Counter(model.model_version for model in ready)
        return max(ready, key=lambda model: (votes[model.model_version], model.model_version))


def desk_of(request: Request) -> Desk:
    """The desk of the app that serves this request."""
    desk: Desk = request.app.state.desk
    return desk
