"""Assembles the HTTP API: `create_app` is the one door, composition roots call it.

The app owns the queue client for its lifetime. Which queue and which worker stand behind it is
left to the `dgnet` command line.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from dgnet.jobs.errors import JobError
from dgnet.jobs.plain_words import in_words
from dgnet.jobs.storage import StorageSettings, storage_problem
from dgnet.jobs.tasks import Background
from dgnet.release import RELEASE
from dgnet.samples import SAMPLE_PEOPLE
from dgnet.service.composite_indexes import CompositeIndexes
from dgnet.service.connections import LIMITS_KEY, ConnectionLimits
from dgnet.service.dataset_store import DatasetStore
from dgnet.service.dependencies import Bulk, Dependencies, GenerationJobStore, JobQueue
from dgnet.service.metrics import Metrics
from dgnet.service.middleware.addresses import AddressMiddleware
from dgnet.service.middleware.auth import AuthMiddleware
from dgnet.service.middleware.body_limit import BodyLimitMiddleware
from dgnet.service.middleware.context import ContextMiddleware
from dgnet.service.middleware.heads import HeadMiddleware
from dgnet.service.middleware.visitors import VisitorMiddleware
from dgnet.service.openapi_document import serve_complete
from dgnet.service.picture_pool import PicturePool
from dgnet.service.problems import (
    BAD_REQUEST,
    INVALID_REQUEST,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    Problem,
    ProblemKind,
    problem_response,
)
from dgnet.service.routes import (
    composites,
    datasets,
    embeddings,
    generation,
    grids,
    health,
    jobs,
    models,
    page,
    results,
    swaps,
)
from dgnet.service.settings import ServiceSettings
from dgnet.service.uploads import is_upload

_log = logging.getLogger(__name__)

SWEEP_SECONDS = 60.0

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
DESCRIPTION = """\
Composites for person re-identification: the clothes of one person on the pose and scene of
another, one by one or as whole data sets, and embeddings to find a person again. Every error is
`application/problem+json`.
"""


def create_app(
    settings: ServiceSettings,
    job_client: JobQueue,
    job_store: GenerationJobStore | None = None,
    storage: StorageSettings | None = None,
) -> FastAPI:
    """The application; starts and closes `job_client` with itself.

    Data sets and generation jobs are served where both `job_store` and `storage` are given.
    """
    bulk = None
    if job_store is not None and storage is not None:
        bulk = Bulk(
            job_store=job_store,
            storage=storage,
            dataset_store=DatasetStore(storage.data_root),
            composites=CompositeIndexes(storage.data_root, max_bytes=settings.max_index_bytes),
            upload_slots=asyncio.Semaphore(settings.max_uploads),
            max_followers=settings.max_followers,
        )
    dependencies = Dependencies(
        settings=settings,
        jobs=job_client,
        picture_pool=PicturePool(settings),
        metrics=Metrics(),
        bulk=bulk,
    )

    limits = ConnectionLimits(
        head_bytes=settings.max_head_bytes,
        head_seconds=settings.head_timeout_seconds,
        body_idle_seconds=settings.body_idle_seconds,
        least_bytes_per_second=settings.min_bytes_per_second,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[dict[str, ConnectionLimits]]:
        await job_client.start()
        background = Background()
        if bulk is not None:
            await asyncio.to_thread(bulk.dataset_store.sweep)
            background.start("sweep", partial(_sweep_now_and_then, bulk))
        try:
            yield {LIMITS_KEY: limits}
        finally:
            await background.close()
            await job_client.close()
            dependencies.picture_pool.close()

    app = FastAPI(
        title="DG-Net",
        version=RELEASE,
        description=DESCRIPTION,
        lifespan=lifespan,
        # FastAPI's pages load scripts from elsewhere; /docs is ours.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # `serve_complete` has the whole document
    )
    app.state.dependencies = dependencies
    bulk_nouns = (datasets, generation, composites, results) if bulk is not None else ()
    for noun in (swaps, grids, embeddings, *bulk_nouns, jobs, models, health, page):
        app.include_router(noun.router)
    app.mount(
        f"{page.SAMPLES}/{page.SHOWN_SPLIT}",
        page.PageFiles(directory=SAMPLE_PEOPLE / page.SHOWN_SPLIT),
    )
    app.mount("/static", page.PageFiles(directory=page.STATIC_DIRECTORY))
    serve_complete(app, asks_for_keys=bool(settings.api_keys))
    _install_error_handlers(app, settings)

    # Last added is outermost.
    retry_after_seconds = settings.retry_after_seconds
    app.add_middleware(
        BodyLimitMiddleware,
        max_body_bytes=settings.max_body_bytes,
        max_held_bytes=settings.max_held_bytes,
        retry_after_seconds=retry_after_seconds,
        max_streamed_bytes=settings.max_upload_bytes,
        least_bytes_per_second=settings.min_bytes_per_second,
        is_streamed=_is_upload,
    )
    app.add_middleware(HeadMiddleware)
    app.add_middleware(AddressMiddleware, retry_after_seconds=retry_after_seconds)
    if settings.api_keys:
        app.add_middleware(
            AuthMiddleware, api_keys=settings.api_keys, retry_after_seconds=retry_after_seconds
        )
    app.add_middleware(
        VisitorMiddleware,
        allowed_hosts=settings.allowed_hosts,
        any_host=bool(settings.api_keys),
        retry_after_seconds=retry_after_seconds,
    )
    app.add_middleware(
        ContextMiddleware,
        metrics=dependencies.metrics,
        log_all=settings.access_log == "all",
        retry_after_seconds=retry_after_seconds,
    )
    return app


async def _sweep_now_and_then(bulk: Bulk) -> None:
    """What was deleted must go, also if a process was killed or the volume failed meanwhile."""
    while True:
        try:
            await bulk.job_store.sweep()
            await asyncio.sleep(SWEEP_SECONDS)
            await asyncio.to_thread(bulk.dataset_store.sweep)
        except (JobError, OSError) as error:
            _log.warning("leftovers were not swept: %s", error)
            await asyncio.sleep(SWEEP_SECONDS)


def let_followers_go(app: FastAPI) -> None:
    """End the streams of events: they would keep a server from stopping. Clients come back."""
    dependencies: Dependencies = app.state.dependencies
    if dependencies.bulk is not None:
        dependencies.bulk.closing.set()


def _is_upload(scope: Scope) -> bool:
    """Whether the route writes the body to the disk as it arrives."""
    if scope["method"] != "POST" or scope["path"] != "/v1/datasets":
        return False
    return is_upload(Headers(scope=scope).get("content-type"))


def _install_error_handlers(app: FastAPI, settings: ServiceSettings) -> None:
    """Every exception that leaves a route becomes problem+json; the rest is the context's 500."""

    def answer(
        to_problem: Callable[[Request, Exception], Problem],
    ) -> Callable[[Request, Exception], Awaitable[Response]]:
        async def handle(request: Request, error: Exception) -> Response:
            return problem_response(
                to_problem(request, error),
                request.scope,
                retry_after_seconds=settings.retry_after_seconds,
            )

        return handle

    app.add_exception_handler(Problem, answer(_as_problem))
    app.add_exception_handler(JobError, answer(_from_job_error))
    app.add_exception_handler(OSError, answer(_from_storage_error))
    app.add_exception_handler(HTTPException, answer(_from_http_exception))
    app.add_exception_handler(RequestValidationError, answer(_from_validation_error))


def _as_problem(_: Request, error: Exception) -> Problem:
    assert isinstance(error, Problem)
    return error


def _from_job_error(_: Request, error: Exception) -> Problem:
    assert isinstance(error, JobError)
    return Problem.from_job_error(error)


def _from_storage_error(_: Request, error: Exception) -> Problem:
    """Every route may meet a volume that is full, read-only or gone."""
    assert isinstance(error, OSError)
    problem = storage_problem(error)
    if problem is None:
        raise error
    _log.warning("the data root fails: %r", error)
    return Problem.from_job_error(problem)


def _from_http_exception(request: Request, error: Exception) -> Problem:
    """What the router refuses by itself: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    path = request.url.path[:200]
    headers = error.headers or {}
    if error.status_code == 404:
        return Problem(NOT_FOUND, f"Nothing lives at {path!r}; GET /openapi.json lists the routes.")
    if error.status_code == 405:
        known = ", ".join(_known_methods(request))
        return Problem(
            METHOD_NOT_ALLOWED,
            f"{path!r} does not know {request.method[:20]!r}; expected {known or 'another'}.",
            headers={**headers, "Allow": known},
        )
    kind = ProblemKind(BAD_REQUEST.code, error.status_code, BAD_REQUEST.title)
    return Problem(kind, "The request cannot be read.", headers=headers)


def _known_methods(request: Request) -> list[str]:
    """What the address knows. The router names the methods of the first route that it meets there,
    and an address may have one for each.
    """
    routes = cast("FastAPI", request.app).router.routes

    def known(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in routes)

    methods = [method for method in _METHODS if known(method)]
    if methods[:1] == ["GET"] or not methods:  # files of the page are no routes
        return ["GET", "HEAD", *methods[1:]]
    return methods


def _from_validation_error(_: Request, error: Exception) -> Problem:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    arrived = repr(first.get("input"))[:100]
    return Problem(INVALID_REQUEST, f"{place} is {arrived}; {in_words(first)}.")
