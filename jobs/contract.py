"""The light contract between front end and workers: jobs, results, worker announcements.

Everything that travels through Redis is defined here and encoded as msgpack with a version;
pictures travel as raw uint8 arrays of the model's size. No torch, no Redis: both sides import this
module.

Legend: B batch, H x W pixels, D embedding values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from dgnet.arrays import Floats, Pixels

Lane = Literal["small", "grid", "bulk"]
Scene = Literal["keep", "generate"]
"""`Scene` of `dgnet.model.predictor`, which jobs may not import; a test compares them."""

SCENES: tuple[Scene, ...] = get_args(Scene)


@dataclass(frozen=True, kw_only=True)
class SwapJob:
    """One composite: the clothes of one picture on the pose and scene of the other.

    Both pictures are uint8 RGB (H, W, 3) of the model's size.
    """

    appearance_image: Pixels
    structure_image: Pixels
    scene: Scene | None = None  # kept where the networks can, if absent


@dataclass(frozen=True, kw_only=True)
class EmbedJob:
    """Embeddings of B pictures: uint8 RGB (B, H, W, 3) of the model's size, B >= 1."""

    images: Pixels


@dataclass(frozen=True, kw_only=True)
class GridCell:
    """One composite of a `GridJob`: positions of its pictures, and what it wears between two."""

    appearance: int
    structure: int
    second: int | None = None  # another appearance, towards which it goes
    weight: float = 0.0  # of that one, 0 to 1


@dataclass(frozen=True, kw_only=True)
class GridJob:
    """Composites of N appearances and M structures, each picture encoded once; for the grid lane.

    Pictures are uint8 RGB (N, H, W, 3) and (M, H, W, 3) of the model's size.
    """

    appearance_images: Pixels
    structure_images: Pixels
    cells: tuple[GridCell, ...]
    scene: Scene | None = None  # kept where the networks can, if absent


@dataclass(frozen=True, kw_only=True)
class DatasetCheckJob:
    """A look at every picture of a data set on the shared volume; belongs in the bulk lane."""

    folder: str  # below the data root, with forward slashes
    layout: str | None = None  # found out from folders and names if absent
    pattern: str | None = None  # regular expression of the layout "pattern"
    junk: tuple[str, ...] | None = None  # as in a job's `source`
    distractors: tuple[str, ...] | None = None


Job = SwapJob | EmbedJob | GridJob | DatasetCheckJob


@dataclass(frozen=True, kw_only=True)
class JobTimings:
    """Where a job's time went, for `Server-Timing`."""

    queue_seconds: float
    device_seconds: float
    batch_size: int


@dataclass(frozen=True, kw_only=True)
class SwapResult:
    """The composite, uint8 RGB (H, W, 3)."""

    composite: Pixels
    model_version: str
    timings: JobTimings


@dataclass(frozen=True, kw_only=True)
class GridResult:
    """Composites in the order of the job's cells, uint8 RGB (K, H, W, 3)."""

    composites: Pixels
    model_version: str
    timings: JobTimings


@dataclass(frozen=True, kw_only=True)
class EmbedResult:
    """L2-normalized float32 embeddings (B, D); a dot product of two is their similarity."""

    embeddings: Floats
    model_version: str
    timings: JobTimings


@dataclass(frozen=True, kw_only=True)
class DatasetCheckResult:
    """What `dgnet data check --json` prints: JSON-safe."""

    report: dict[str, Any]


Result = SwapResult | EmbedResult | GridResult | DatasetCheckResult
JobKind = Literal["swap", "embed", "grid", "dataset-check"]


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """What a worker announces of its model; the front end knows the model only by this."""

    model_id: str  # name of the preset or checkpoint, e.g. "small"
    model_version: str  # first 12 hex digits of the weights' sha256
    height: int  # pixels
    width: int  # pixels
    embedding_size: int
    card: dict[str, Any] = field(default_factory=dict[str, Any])  # checkpoint metadata, JSON-safe
    scenes: tuple[Scene, ...] = ()  # that may be asked for; empty: a release that knows none yet
    makes_grids: bool = False  # whether its worker takes grids; an older release does not

    def objection_to(self, scene: Scene | None) -> str | None:
        """Why this model does not do with the scene what is asked of it, safe to show."""
        if scene is None or scene in self.scenes:
            return None
        if not self.scenes:
            return (
                f"scene is {scene!r}, and the workers of model {self.model_id} run a release that "
                "is asked for none: leave scene out, or update them"
            )
        return (
            f"scene is {scene!r}, and model {self.model_id} ({self.model_version}) has no mask of "
            "what a swap changes: generate the scene, or serve a checkpoint of the preset detail"
        )


@dataclass(frozen=True, kw_only=True)
class WorkerInfo:
    """A worker's heartbeat: `ready` only after a canary swap passed on its device."""

    worker_id: str
    device: str
    ready: bool
    model: ModelInfo
    recipe: str = ""  # what decides the bytes of its data sets; empty: it makes none
    release: str = ""  # of the code it runs, such as 0.1.0; empty: one that did not tell yet


JobState = Literal["queued", "running", "done", "failed"]


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """What `GET /v1/jobs/{id}` knows of an asynchronous job."""

    job_id: str
    kind: JobKind
    state: JobState
    result: Result | None = None
    error_code: str | None = None
    error_message: str | None = None
