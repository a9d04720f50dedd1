"""JSON bodies of the HTTP API, requests and answers: of the front end and of its clients alike.

Light: neither torch nor FastAPI is imported.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dgnet.jobs.contract import Scene
from dgnet.jobs.generation.jobs import GenerationState
from dgnet.layouts import LayoutName


class ProblemSummary(BaseModel):
    """A problem inside an answer that is not itself a failure."""

    type: str
    title: str
    status: int
    detail: str


class JobView(BaseModel):
    """An asynchronous job."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0b3c5d3e9f",
                    "kind": "swap",
                    "state": "done",
                    "result": "/v1/jobs/0b3c5d3e9f/result",
                    "error": None,
                }
            ]
        }
    )

    id: str
    kind: Literal["swap", "embed"]
    state: Literal["queued", "running", "done", "failed"]
    result: str | None = Field(description="Where the composite is, once the job is done")
    error: ProblemSummary | None = Field(description="Why the job failed, if it did")


class GridMember(BaseModel):
    """One composite of a grid, a list of pairs or a walk; positions count from 0 within a role."""

    file: str = Field(description="Its name in the zip")
    appearance: int
    second_appearance: int | None = Field(description="Towards which a walk goes")
    weight: float = Field(description="Of the second appearance, 0 to 1")
    structure: int


class GridIndex(BaseModel):
    """`index.json` of a zip of composites."""

    object: Literal["list"] = "list"
    model_version: str
    data: list[GridMember]


class ModelView(BaseModel):
    """The card of a model that live workers serve."""

    id: str = Field(examples=["small"])
    object: Literal["model"] = "model"
    version: str = Field(description="First 12 hex digits of the weights' sha256")
    default: bool = Field(
        default=False, description="Whether requests that name no model are for this one"
    )
    height: int = Field(description="Pixels")
    width: int = Field(description="Pixels")
    embedding_size: int
    scenes: tuple[Scene, ...] = Field(
        description="What a swap may ask of the scene; empty while workers of an older release live"
    )
    ready_workers: int
    live_workers: int
    card: dict[str, Any] = Field(
        description="Checkpoint metadata: sha256, preset, training data and license, metrics"
    )


class ModelList(BaseModel):
    """All models of the live workers."""

    object: Literal["list"] = "list"
    data: list[ModelView]


class EmbeddingsRequest(BaseModel):
    """The OpenAI style of asking for embeddings."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "small",
                    "input": ["data:image/png;base64,iVBORw0KGgo..."],
                    "encoding_format": "float",
                }
            ]
        }
    )

    # Of millions of wrong ones the first is named, the others cost nothing.
    input: str | Annotated[list[str], Field(fail_fast=True)] = Field(
        description="Base64 data URIs; no URL is ever fetched"
    )
    model: str | None = Field(default=None, description="Id or version; the served one if absent")
    encoding_format: Literal["float", "base64"] = "float"


class EmbeddingView(BaseModel):
    """One picture's embedding, or with `?partial=true` the reason that it has none."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str | None = Field(
        description="Unit length; floats, or base64 of little-endian float32"
    )
    error: ProblemSummary | None = None


class EmbeddingsUsage(BaseModel):
    """What the request used; token counts exist for OpenAI clients and are 0."""

    pictures: int
    prompt_tokens: int = 0
    total_tokens: int = 0


class EmbeddingsView(BaseModel):
    """Embeddings in the order of the pictures."""

    object: Literal["list"] = "list"
    model: str
    data: list[EmbeddingView]
    usage: EmbeddingsUsage


class Health(BaseModel):
    """Alive, or ready with this model."""

    status: Literal["ok", "ready"]
    model: str | None = None


class Readiness(Health):
    """What the page, which may have no key yet, needs to know of the model."""

    scenes: tuple[Scene, ...]


class DatasetView(BaseModel):
    """A data set that jobs can take as their source."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "ds_5f0c3a9e1b7d2468",
                    "name": "Market-1501, train",
                    "origin": "upload",
                    "folder": "datasets/ds_5f0c3a9e1b7d2468",
                    "layout": None,
                    "pattern": None,
                    "junk": None,
                    "distractors": None,
                    "created": "2026-01-31T12:00:00Z",
                    "files": 12936,
                    "size_bytes": 27262976,
                    "ignored": 1,
                    "state": "ready",
                    "report": {"layout": "market1501", "splits": {}, "findings": []},
                    "error": None,
                }
            ]
        }
    )

    id: str
    name: str | None = Field(default=None, description="What people call it")
    origin: Literal["upload", "folder"]
    folder: str = Field(description="Below the server's data root")
    layout: str | None = Field(description="As given; found out from the names if null")
    pattern: str | None
    junk: tuple[str, ...] | None = Field(description="As given; -1 if null")
    distractors: tuple[str, ...] | None = Field(description="As given; 0 if null")
    created: datetime
    files: int | None = Field(description="Of an upload: files that were kept")
    size_bytes: int | None = Field(description="Of these files")
    ignored: int | None = Field(description="Of an upload: files that are no pictures")
    state: Literal["unchecked", "checking", "ready", "unusable"]
    report: dict[str, Any] | None = Field(
        description="What `dgnet data check` says, once it is known; always null in the list"
    )
    error: str | None = Field(description="Why the set is unusable")


class DatasetList(BaseModel):
    """All data sets, newest first."""

    object: Literal["list"] = "list"
    data: list[DatasetView]


class FolderRequest(BaseModel):
    """A folder below the server's data root that becomes a data set where it lies."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"folder": "market"}]}
    )

    folder: str = Field(min_length=1, max_length=4096)
    name: str | None = Field(default=None, max_length=200, description="What people call it")
    layout: LayoutName | None = None
    pattern: str | None = Field(default=None, max_length=1000)
    junk: tuple[str, ...] | None = Field(
        default=None, max_length=100, description="What it calls junk, `none` for nobody"
    )
    distractors: tuple[str, ...] | None = Field(
        default=None, max_length=100, description="What it calls distractors, `none` for nobody"
    )


class JobLinks(BaseModel):
    """Addresses of a generation job; those of what it made are null until it is done."""

    events: str
    manifest: str | None
    preview: str | None
    archive: str | None
    files: str | None = Field(description="Single files lie below this address")


class GenerationView(BaseModel):
    """A generation job."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "gen_nW2nLr9o7m0c3Qy8sV1xZA",
                    "kind": "generation",
                    "name": "100,000 of Market",
                    "state": "running",
                    "spec": {"source": {"dataset": "ds_5f0c3a9e1b7d2468"}, "count": 100000},
                    "created": "2026-01-31T12:00:00Z",
                    "updated": "2026-01-31T12:01:00Z",
                    "finished": None,
                    "expires": None,
                    "planned": 100000,
                    "made": 42000,
                    "kept": 40960,
                    "dropped": {"low_identity_consistency": 40},
                    "unreadable": 0,
                    "shards": 98,
                    "shards_done": 40,
                    "rate": 700.0,
                    "eta_seconds": 82.9,
                    "error": None,
                    "model_version": "3f9d2c41a0b7",
                    "links": {
                        "events": "/v1/jobs/gen_nW2nLr9o7m0c3Qy8sV1xZA/events",
                        "manifest": None,
                        "preview": None,
                        "archive": None,
                        "files": None,
                    },
                }
            ]
        }
    )

    id: str
    kind: Literal["generation"] = "generation"
    name: str | None = Field(default=None, description="As the spec has it")
    state: GenerationState
    spec: dict[str, Any]
    created: datetime
    updated: datetime
    finished: datetime | None
    expires: datetime | None = Field(description="When what the job made is removed")
    planned: int = Field(description="Composites; 0 until the plan is known")
    made: int
    kept: int
    dropped: dict[str, int] = Field(description="Composites by the reason why they were dropped")
    unreadable: int = Field(description="Source pictures that could not be read")
    shards: int
    shards_done: int
    rate: float | None = Field(description="Composites a second, recently")
    eta_seconds: float | None
    error: ProblemSummary | None = Field(description="Why the job failed, if it did")
    model_version: str | None
    links: JobLinks


class GenerationList(BaseModel):
    """Generation jobs, newest first."""

    object: Literal["list"] = "list"
    data: list[GenerationView]
    next: str | None = Field(description="Address of older ones, if there may be any")


class CompositeLinks(BaseModel):
    """Addresses of a composite's pictures."""

    composite: str | None = Field(description="Null where it was dropped: then none was written")
    appearance: str
    structure: str


class CompositeView(BaseModel):
    """A composite as the manifest's row has it (docs/generation.md), and where its pictures are."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "position": 17,
                    "file": "bounding_box_train/0007_c2s9_000000017_99.jpg",
                    "sha256": "9f2c5d0b8f6f1a9d4f0d7e1d0c4b6a3e",
                    "bytes": 3120,
                    "appearance_path": "bounding_box_train/0007_c1s1_000123_00.jpg",
                    "appearance_person": 7,
                    "appearance_camera": 1,
                    "structure_path": "bounding_box_train/0011_c2s1_000456_00.jpg",
                    "structure_person": 11,
                    "structure_camera": 2,
                    "scene": "keep",
                    "kept_share": 0.61,
                    "labels": {"appearance": 7, "structure": 11},
                    "scores": {"identity_consistency": 0.83},
                    "kept": True,
                    "dropped": None,
                    "links": {
                        role: f"/v1/jobs/gen_nW2nLr9o7m0c3Qy8sV1xZA/composites/17/{role}"
                        for role in ("composite", "appearance", "structure")
                    },
                }
            ]
        },
    )

    position: int
    file: str | None
    sha256: str | None
    bytes: int | None
    appearance_path: str
    appearance_person: int
    appearance_camera: int | None
    structure_path: str
    structure_person: int
    structure_camera: int | None
    scene: Scene | None = None
    kept_share: float | None = None
    labels: dict[str, Any]
    scores: dict[str, float | None]
    kept: bool
    dropped: str | None = Field(description="Why it was dropped")
    links: CompositeLinks


class CompositeList(BaseModel):
    """A page of a job's composites."""

    object: Literal["list"] = "list"
    data: list[CompositeView]
    total: int = Field(description="Composites that the filters choose, on all pages")
    next: str | None = Field(description="Address of the next page, if there is one")


class Histogram(BaseModel):
    """How a score spreads, over its whole range so that those of two jobs can be compared."""

    lowest: float
    highest: float
    kept: list[int] = Field(description="Composites in each of the equally wide bins")
    dropped: list[int]
    mean: float = Field(description="Of kept and dropped ones together")
    missing: int = Field(description="Composites without this score")


class CompositeSummary(BaseModel):
    """What a job's composites can be filtered by."""

    composites: int
    kept: int
    dropped: dict[str, int] = Field(description="By reason")
    persons: list[int] = Field(description="Of appearance or structure; the first 1000")
    cameras: list[int]
    scores: dict[str, Histogram] = Field(description="Those that were recorded")
