"""JSON bodies of the API, requests and answers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


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


class ModelView(BaseModel):
    """The card of a model that live workers serve."""

    id: str = Field(examples=["small"])
    object: Literal["model"] = "model"
    version: str = Field(description="First 12 hex digits of the weights' sha256")
    height: int = Field(description="Pixels")
    width: int = Field(description="Pixels")
    embedding_size: int
    ready_workers: int
    live_workers: int
    card: dict[str, Any] = Field(
        description="Checkpoint metadata: sha256, preset, training data and licence, metrics"
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

    input: str | list[str] = Field(description="Base64 data URIs; no URL is ever fetched")
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
