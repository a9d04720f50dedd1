"""GET /v1/models and /v1/models/{id}: the cards of the models that live workers serve."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.responses import Response

from dgnet.jobs.contract import WorkerInfo
from dgnet.jobs.views import ModelList, ModelView
from dgnet.service.dependencies import AppDependencies
from dgnet.service.openapi import problems
from dgnet.service.problems import JOB_KINDS, UNKNOWN_MODEL, Problem

router = APIRouter(tags=["models"])


@router.get(
    "/v1/models",
    summary="List the models",
    response_model=ModelList,
    responses=problems(JOB_KINDS["queue-unavailable"]),
)
async def list_models(dependencies: AppDependencies) -> ModelList:
    """Every model that a live worker serves; empty while no worker lives."""
    workers = await dependencies.jobs.workers()
    return ModelList(data=_views(workers, await dependencies.default_version()))


@router.get(
    "/v1/models/{model_id}",
    summary="Show a model card",
    response_model=ModelView,
    responses=problems(UNKNOWN_MODEL, JOB_KINDS["queue-unavailable"]),
)
async def show_model(dependencies: AppDependencies, response: Response, model_id: str) -> ModelView:
    """The model of this id or version; of several versions, the one most workers serve."""
    workers = await dependencies.jobs.workers()
    views = _views(workers, await dependencies.default_version())
    for view in views:
        if model_id in (view.id, view.version):
            response.headers["X-Model-Version"] = view.version
            return view
    served = ", ".join(repr(view.id) for view in views) or "none"
    raise Problem(UNKNOWN_MODEL, f"No live worker serves {model_id[:100]!r}; served: {served}.")


def _views(workers: Sequence[WorkerInfo], default: str | None) -> list[ModelView]:
    by_version: dict[tuple[str, str], list[WorkerInfo]] = {}
    for worker in workers:
        key = (worker.model.model_id, worker.model.model_version)
        by_version.setdefault(key, []).append(worker)
    views = [
        ModelView(
            id=model_id,
            version=version,
            default=version == default,
            height=group[0].model.height,
            width=group[0].model.width,
            embedding_size=group[0].model.embedding_size,
            scenes=min((worker.model.scenes for worker in group), key=len),
            ready_workers=sum(worker.ready for worker in group),
            live_workers=len(group),
            card=group[0].model.card,
        )
        for (model_id, version), group in by_version.items()
    ]
    return sorted(views, key=lambda view: (-view.ready_workers, view.id, view.version))
