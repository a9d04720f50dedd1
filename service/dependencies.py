"""What every route works with: settings, queue, picture pool and metrics of one app.

`JobQueue` is the queue as the front end sees it; `dgnet.jobs.client.JobClient` is the real one.
`Bulk` is what the routes of data sets and generation jobs need beyond that. Routes take
`AppDependencies` and `AppBulk`; what makes these is async, because FastAPI calls all else in a
thread.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Protocol

from fastapi import Depends, Query
from starlette.requests import Request

from dgnet.jobs.contract import Job, JobStatus, Lane, ModelInfo, Result, WorkerInfo
from dgnet.jobs.errors import NoWorker
from dgnet.jobs.generation.jobs import GenerationJob, JobEvent
from dgnet.jobs.generation.spec import GenerationSpec
from dgnet.jobs.storage import StorageSettings
from dgnet.service.composite_indexes import CompositeIndexes
from dgnet.service.dataset_store import DatasetStore
from dgnet.service.event_stream import EventTexts
from dgnet.service.metrics import Metrics
from dgnet.service.picture_pool import PicturePool
from dgnet.service.problems import UNKNOWN_MODEL, Problem
from dgnet.service.settings import ServiceSettings


class JobQueue(Protocol):
    """The queue client: submits jobs, waits for results, knows the live workers."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def submit(self, job: Job, *, lane: Lane = "small", model: str = "") -> str: ...

    async def wait(self, job_id: str, *, timeout_seconds: float) -> Result: ...

    async def status(self, job_id: str) -> JobStatus: ...

    async def workers(self) -> list[WorkerInfo]: ...

    async def depth(self, lane: Lane) -> int: ...

    async def check(self) -> None: ...


class GenerationJobStore(Protocol):
    """All generation jobs; `JobStore` of `dgnet.jobs.generation` is the real one and says more."""

    async def submit(
        self,
        spec: GenerationSpec,
        *,
        idempotency_key: str | None = None,
        model: str = "",
        named: str | None = None,
    ) -> tuple[GenerationJob, bool]: ...

    async def get(self, job_id: str) -> GenerationJob: ...

    async def list(
        self, *, limit: int = 100, before: float | None = None, before_id: str = ""
    ) -> list[GenerationJob]: ...

    async def unfinished(self) -> list[GenerationJob]: ...

    async def cancel(self, job_id: str) -> GenerationJob: ...

    async def resume(self, job_id: str) -> GenerationJob: ...

    async def delete(self, job_id: str) -> None: ...

    def events(
        self, job_id: str, *, after: str | None = None
    ) -> AsyncIterator[Sequence[JobEvent]]: ...

    async def expire_finished(self) -> int: ...

    async def sweep(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Bulk:
    """Data sets and generation jobs of one app, on a volume that workers share."""

    job_store: GenerationJobStore
    storage: StorageSettings
    dataset_store: DatasetStore
    composites: CompositeIndexes
    upload_slots: asyncio.Semaphore
    max_followers: int
    followers: set[object] = field(default_factory=set[object])
    event_texts: EventTexts = field(default_factory=EventTexts)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the app is about to stop: followers are let go, to come back elsewhere."""


@dataclass(frozen=True, kw_only=True)
class Dependencies:
    """The parts of one app, built by `create_app` and shared by its routes."""

    settings: ServiceSettings
    jobs: JobQueue
    picture_pool: PicturePool
    metrics: Metrics
    bulk: Bulk | None = None
    """None where the front end shares no volume with workers."""

    async def serving_model(self, wanted: str | None = None) -> ModelInfo:
        """The model of this id or version, or the default: what DGNET_DEFAULT_MODEL names, else
        what most ready workers serve.

        Of several versions of an id the majority decides, so that a first new worker does not turn
        all requests away from the others. Of one version, what its oldest release takes. Raises
        NoWorker where nobody is ready, and a Problem for a model that no live worker serves.
        """
        workers = await self.jobs.workers()
        ready = [worker.model for worker in workers if worker.ready]
        if not ready:
            raise NoWorker(
                f"None of {len(workers)} live workers is ready; expected at least one. "
                "Try again shortly, or start a worker.",
                retry_after_seconds=self.settings.retry_after_seconds,
            )
        name = wanted or self.settings.default_model
        if name is not None:
            ready = _named(name, ready)
            if not ready:
                raise self._unserved(name, [worker.model for worker in workers], wanted is None)
        if len(ready) == 1:
            return ready[0]
        votes = Counter(model.model_version for model in ready)
        return max(
            ready,
            key=lambda model: (
                votes[model.model_version], model.model_version, -len(model.scenes)
            ),
        )  # fmt: skip

    async def any_ready_model(self) -> ModelInfo:
        """The default, or another one while nobody serves that; raises NoWorker."""
        try:
            return await self.serving_model()
        except NoWorker:
            workers = await self.jobs.workers()
            ready = [worker.model for worker in workers if worker.ready]
            if not ready:
                raise
            return max(ready, key=lambda model: model.model_version)

    async def default_version(self) -> str | None:
        """The version for requests that name no model; None while nobody serves it."""
        try:
            return (await self.serving_model()).model_version
        except NoWorker:
            return None

    def _unserved(self, name: str, live: list[ModelInfo], is_default: bool) -> Exception:
        served = ", ".join(sorted({f"{x.model_id!r} ({x.model_version!r})" for x in live}))
        if is_default or _named(name, live):
            what = "The default model" if is_default else "Model"
            return NoWorker(
                f"{what} {name[:100]!r} is served by no ready worker now; live ones have {served}. "
                "Try again shortly, or name another model.",
                retry_after_seconds=self.settings.retry_after_seconds,
            )
        return Problem(
            UNKNOWN_MODEL,
            f"Model {name[:100]!r} is not served; expected id or version of one that is: {served}. "
            "GET /v1/models lists them.",
        )

    async def require_grids(self, model: ModelInfo) -> None:
        """Raises NoWorker where every ready worker of the model is of a release without grids."""
        workers = await self.jobs.workers()
        if not any(
            worker.ready
            and worker.model.makes_grids
            and worker.model.model_version == model.model_version
            for worker in workers
        ):
            raise NoWorker(
                f"The workers of model {model.model_id} run a release that makes one composite at "
                "a time: update them, or POST /v1/swaps.",
                retry_after_seconds=self.settings.retry_after_seconds,
            )


def _named(name: str, models: list[ModelInfo]) -> list[ModelInfo]:
    """Those of this version, or else of this id."""
    of_version = [model for model in models if model.model_version == name]
    return of_version or [model for model in models if model.model_id == name]


async def dependencies_of(request: Request) -> Dependencies:
    """The dependencies of the app that serves this request."""
    dependencies: Dependencies = request.app.state.dependencies
    return dependencies


AppDependencies = Annotated[Dependencies, Depends(dependencies_of)]
ModelQuery = Annotated[
    str | None,
    Query(
        min_length=1, max_length=100, description="Id or version; GET /v1/models names the default"
    ),
]


async def bulk_of(dependencies: AppDependencies) -> Bulk:
    """What the routes of bulk generation need; they are served only where it is there."""
    assert dependencies.bulk is not None
    return dependencies.bulk


AppBulk = Annotated[Bulk, Depends(bulk_of)]
