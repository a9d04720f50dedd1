"""A queue in memory with the interface of `JobClient`, and pictures to send.

The fake answers at once, or with whatever error a test sets; it records every job that was queued,
so that tests can assert that a refused request queued nothing.
"""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from dgnet.arrays import Floats, Pixels
from dgnet.jobs.contract import (
    DatasetCheckJob,
    DatasetCheckResult,
    EmbedJob,
    EmbedResult,
    GridCell,
    GridJob,
    GridResult,
    Job,
    JobKind,
    JobStatus,
    JobTimings,
    Lane,
    ModelInfo,
    Result,
    SwapJob,
    SwapResult,
    WorkerInfo,
)
from dgnet.jobs.errors import JobError, QueueUnavailable, UnknownJob, WaitTimeout

MODEL = ModelInfo(
    model_id="tiny",
    model_version="0123456789ab",
    height=16,
    width=8,
    embedding_size=4,
    card={"sha256": "0123456789ab" + "0" * 52, "training_data_license": "CC0-1.0"},
    scenes=("generate",),
    makes_grids=True,
)
READY_WORKER = WorkerInfo(worker_id="w1", device="cpu", ready=True, model=MODEL)
TIMINGS = JobTimings(queue_seconds=0.0015, device_seconds=0.025, batch_size=1)


def fake_embeddings(images: Pixels) -> Floats:
    """(B, H, W, 3) -> (B, 4): mean red, green, blue and 1, normalized."""
    means = images.reshape(len(images), -1, 3).mean(axis=1) / 255.0
    rows = np.concatenate([means, np.ones((len(images), 1))], axis=1)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def run_job(job: Job) -> Result:
    """The fake model: the composite is the structure picture upside down."""
    if isinstance(job, SwapJob):
        return SwapResult(
            composite=np.ascontiguousarray(job.structure_image[::-1]),
            model_version=MODEL.model_version,
            timings=TIMINGS,
        )
    if isinstance(job, GridJob):
        return GridResult(
            composites=np.stack([run_cell(job, cell) for cell in job.cells]),
            model_version=MODEL.model_version,
            timings=TIMINGS,
        )
    if isinstance(job, DatasetCheckJob):
        return DatasetCheckResult(report={"root": job.folder, "findings": []})
    return EmbedResult(
        embeddings=fake_embeddings(job.images), model_version=MODEL.model_version, timings=TIMINGS
    )


def run_cell(job: GridJob, cell: GridCell) -> Pixels:
    """Half of each picture added, of appearances by their weights: pictures of one color are told
    by hand.
    """
    first = job.appearance_images[cell.appearance].astype(float)
    second = job.appearance_images[cell.appearance if cell.second is None else cell.second]
    worn = first + cell.weight * (second - first)
    return np.asarray((worn + job.structure_images[cell.structure]) / 2, np.uint8)


_KINDS: dict[type[Job], JobKind] = {
    SwapJob: "swap",
    EmbedJob: "embed",
    GridJob: "grid",
    DatasetCheckJob: "dataset-check",
}


class FakeJobs:
    """`JobClient` without Redis."""

    def __init__(self) -> None:
        self.queued: list[Job] = []
        self.models: list[str] = []
        """The version that each of them is for."""
        self.live_workers = [READY_WORKER]
        self.submit_error: Exception | None = None
        self.wait_error: JobError | None = None
        self.queue_error: QueueUnavailable | None = None
        self.too_slow = False
        self.statuses: dict[str, JobStatus] = {}
        self.started = False
        self.closed = False
        self.timeouts: list[float] = []

    async def start(self) -> None:
        self.started = True

    async def close(self) -> None:
        self.closed = True

    async def submit(self, job: Job, *, lane: Lane = "small", model: str = "") -> str:
        if self.submit_error is not None:
            raise self.submit_error
        lanes: dict[type[Job], Lane] = {DatasetCheckJob: "bulk", GridJob: "grid"}
        assert lane == lanes.get(type(job), "small")
        self.queued.append(job)
        self.models.append(model)
        job_id = f"job-{len(self.queued)}"
        kind = _KINDS[type(job)]
        self.statuses[job_id] = JobStatus(job_id=job_id, kind=kind, state="queued")
        return job_id

    async def wait(self, job_id: str, *, timeout_seconds: float) -> Result:
        self.timeouts.append(timeout_seconds)
        await asyncio.sleep(0)
        if self.wait_error is not None:
            raise self.wait_error
        if self.too_slow:
            raise WaitTimeout(f"no result within {timeout_seconds:g} s; the job goes on")
        return self.finish(job_id)

    def finish(self, job_id: str) -> Result:
        """Do the work of a queued job."""
        result = run_job(self.queued[int(job_id.removeprefix("job-")) - 1])
        self.statuses[job_id] = replace(self.statuses[job_id], state="done", result=result)
        return result

    async def status(self, job_id: str) -> JobStatus:
        if self.queue_error is not None:
            raise self.queue_error
        if job_id not in self.statuses:
            raise UnknownJob(f"no job {job_id!r}")
        return self.statuses[job_id]

    async def workers(self) -> list[WorkerInfo]:
        if self.queue_error is not None:
            raise self.queue_error
        return self.live_workers

    async def depth(self, lane: Lane) -> int:
        if self.queue_error is not None:
            raise self.queue_error
        return {"small": 3, "grid": 4, "bulk": 5}[lane]

    async def check(self) -> None:
        if self.queue_error is not None:
            raise self.queue_error


def encode(image: Image.Image, picture_format: str = "PNG", **options: Any) -> bytes:
    """An image as a file."""
    file = io.BytesIO()
    image.save(file, picture_format, **options)
    return file.getvalue()


def gradient(width: int = 8, height: int = 16) -> Image.Image:
    """A picture in which every pixel differs, so that no flip goes unnoticed."""
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([rows * 255 // height, columns * 255 // width, rows * 3 + columns], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def png(color: tuple[int, int, int] = (200, 100, 50), width: int = 8, height: int = 16) -> bytes:
    """A PNG of one color."""
    return encode(Image.new("RGB", (width, height), color))
