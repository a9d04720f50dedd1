"""What a worker does with a job: checks it against the model, sends its pictures to the batcher.

Depends on the predictor by protocol only, so that the queue is tested without torch.

Legend: B batch, H x W pixels of the model, D embedding values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from dgnet.arrays import Floats, Pixels
from dgnet.jobs.contract import (
    DatasetCheckJob,
    EmbedJob,
    EmbedResult,
    GridJob,
    GridResult,
    Job,
    JobTimings,
    ModelInfo,
    Result,
    Scene,
    SwapJob,
    SwapResult,
)
from dgnet.jobs.errors import BadJob, JobFailed
from dgnet.worker.batcher import BatchLost, DeviceBroken, MicroBatcher, Served
from dgnet.worker.bulk import BulkWork, LeaveToOthers
from dgnet.worker.device import DeviceThread
from dgnet.worker.grids import (
    GridModel,
    GridWork,
    all_served,
    check_cells,
    default_batch,
    grid_calls,
)


class ServedModel(GridModel, Protocol):
    """What a worker serves: `dgnet.model.predictor.Predictor` is the real one."""

    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def embedding_size(self) -> int: ...
    @property
    def model_id(self) -> str: ...
    @property
    def model_version(self) -> str: ...
    @property
    def card(self) -> dict[str, Any]: ...
    @property
    def device_name(self) -> str: ...
    @property
    def keeps_scene(self) -> bool: ...

    def swap(
        self, appearance_images: Pixels, structure_images: Pixels, /, *, scene: list[Scene | None]
    ) -> Pixels:
        """Composites (B, H, W, 3) of two uint8 RGB batches (B, H, W, 3); a scene for each row."""
        ...

    def embed(self, images: Pixels) -> Floats:
        """Embeddings (B, D) of uint8 RGB pictures (B, H, W, 3)."""
        ...

    def free_memory(self) -> None:
        """Gives back what the device keeps for later calls."""
        ...


class CanaryFailed(Exception):
    """The device does not do what every job needs of it."""


def model_info(predictor: ServedModel) -> ModelInfo:
    """What the worker announces of its model."""
    return ModelInfo(
        model_id=predictor.model_id,
        model_version=predictor.model_version,
        height=predictor.height,
        width=predictor.width,
        embedding_size=predictor.embedding_size,
        card=predictor.card,
        scenes=("keep", "generate") if predictor.keeps_scene else ("generate",),
        makes_grids=True,
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a smaller batch may succeed. Told by name: the queue runs without torch, too."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)  # torch on the CPU raises a RuntimeError
    )


def run_canary(predictor: ServedModel) -> None:
    """One swap and one embedding on the device; raises CanaryFailed unless both look right."""
    height, width = predictor.height, predictor.width
    ramp = np.arange(height * width * 3, dtype=np.uint32) % 251  # any picture with structure
    image = ramp.astype(np.uint8).reshape(1, height, width, 3)
    try:
        _swap_batch(predictor, [SwapJob(appearance_image=image[0], structure_image=image[0])])
        embeddings = _embed_batch(predictor, [image[0]])
    except Exception as error:
        raise CanaryFailed(f"the canary failed on {predictor.device_name}: {error}") from error
    if not np.isfinite(embeddings).all():
        raise CanaryFailed(
            f"the canary's embedding on {predictor.device_name} is not finite; "
            "check the weights and the precision"
        )


class JobHandler:
    """Runs jobs through one micro-batcher; swaps, embeddings and what grids need are batches of
    their own.
    """

    def __init__(
        self,
        predictor: ServedModel,
        *,
        device: DeviceThread,
        max_batch: int,
        small_batch_seconds: float,
        grid_batch: int | None = None,
        out_of_memory: Callable[[BaseException], bool] = is_out_of_memory,
        bulk: BulkWork | None = None,
    ) -> None:
        self._predictor = predictor
        self._model = model_info(predictor)
        self._bulk = bulk
        self._picture_shape = (predictor.height, predictor.width, 3)
        self._batcher = MicroBatcher(
            {
                "swap": lambda items: _swap_batch(predictor, items),
                "embed": lambda items: _embed_batch(predictor, items),
                **grid_calls(predictor),
            },
            device=device,
            probe=lambda: run_canary(predictor),
            is_out_of_memory=out_of_memory,
            free_memory=predictor.free_memory,
            max_batch=max_batch,
            small_batch_seconds=small_batch_seconds,
        )
        batch = min(max_batch, grid_batch or default_batch(predictor.device_name))
        self._grids = GridWork(self._served, device, batch)

    async def handle(self, job: Job, *, submitted: float) -> Result:
        """The result of a job that was submitted at `submitted` (seconds of the monotonic clock).

        Raises BadJob if it does not fit the model, JobFailed if the device fails on it alone,
        DeviceBroken if the device fails on everything, and LeaveToOthers. Whatever else it raises
        was foreseen by nobody.
        """
        match job:
            case SwapJob():
                return await self._swap(job, submitted)
            case EmbedJob():
                return await self._embed(job, submitted)
            case GridJob():
                return await self._grid(job, submitted)
            case DatasetCheckJob():
                if self._bulk is None:
                    raise LeaveToOthers("this worker reads no data sets")
                return await self._bulk.check_dataset(job)

    async def _swap(self, job: SwapJob, submitted: float) -> SwapResult:
        self._check_shape("appearance picture", job.appearance_image.shape)
        self._check_shape("structure picture", job.structure_image.shape)
        if objection := self._model.objection_to(job.scene):
            raise BadJob(objection)
        served = await self._served("swap", job)
        return SwapResult(
            composite=served.output,
            model_version=self._predictor.model_version,
            timings=_timings([served], submitted),
        )

    async def _embed(self, job: EmbedJob, submitted: float) -> EmbedResult:
        self._check_shape("picture", job.images.shape[1:])
        served = await all_served(self._served("embed", image) for image in job.images)
        return EmbedResult(
            embeddings=np.stack([answer.output for answer in served]),  # (B, D)
            model_version=self._predictor.model_version,
            timings=_timings(served, submitted),
        )

    async def _grid(self, job: GridJob, submitted: float) -> GridResult:
        self._check_shape("appearance pictures", job.appearance_images.shape[1:])
        self._check_shape("structure pictures", job.structure_images.shape[1:])
        check_cells(job)
        if objection := self._model.objection_to(job.scene):
            raise BadJob(objection)
        served = await self._grids.run(job)
        composites = np.stack([answer.output for answer in served])  # (K, H, W, 3)
        return GridResult(
            composites=composites,
            model_version=self._predictor.model_version,
            timings=_timings(served, submitted),
        )

    async def _served(self, kind: str, item: object) -> Served:
        try:
            return await self._batcher.serve(kind, item)
        except (DeviceBroken, BatchLost):
            raise
        except Exception as error:
            raise JobFailed(
                f"the model failed on this job alone ({type(error).__name__}); "
                "sending it again will not help"
            ) from error

    def _check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        if shape != self._picture_shape:
            raise BadJob(
                f"the {name} is {'x'.join(map(str, shape))}, model "
                f"{self._predictor.model_id} takes {'x'.join(map(str, self._picture_shape))} "
                "(height x width x channels)"
            )


def _swap_batch(predictor: ServedModel, jobs: Sequence[SwapJob]) -> Pixels:
    composites = predictor.swap(
        np.stack([job.appearance_image for job in jobs]),
        np.stack([job.structure_image for job in jobs]),
        scene=[job.scene for job in jobs],
    )  # (B, H, W, 3)
    expected = (len(jobs), predictor.height, predictor.width, 3)
    if composites.shape != expected or composites.dtype != np.uint8:
        raise ValueError(
            f"composites are {composites.dtype} {composites.shape}, expected uint8 {expected}"
        )
    return composites


def _embed_batch(predictor: ServedModel, items: Sequence[Pixels]) -> Floats:
    embeddings = predictor.embed(np.stack(items))  # (B, D)
    expected = (len(items), predictor.embedding_size)
    if embeddings.shape != expected or embeddings.dtype != np.float32:
        raise ValueError(
            f"embeddings are {embeddings.dtype} {embeddings.shape}, expected float32 {expected}"
        )
    return embeddings


def _timings(served: Sequence[Served], submitted: float) -> JobTimings:
    started = min(answer.started for answer in served)
    return JobTimings(
        queue_seconds=max(0.0, started - submitted),
        device_seconds=max(answer.finished for answer in served) - started,
        batch_size=max(answer.batch_size for answer in served),
    )
