"""How jobs, outcomes and heartbeats become bytes: msgpack with a version, never pickle.

Arrays travel as raw little-endian bytes with their shape; the kind of a message fixes their type,
so a message cannot ask for another one. Whatever arrives is checked before it is used, because
anybody who reaches Redis can write to it: every defect is a `BadJob` that says what was wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, TypeVar, cast, get_args

import msgpack  # pyright: ignore[reportMissingTypeStubs]
import numpy as np
from numpy.typing import NDArray

from dgnet.jobs.contract import (
    SCENES,
    DatasetCheckJob,
    DatasetCheckResult,
    EmbedJob,
    EmbedResult,
    GridCell,
    GridJob,
    GridResult,
    Job,
    JobKind,
    JobTimings,
    ModelInfo,
    Result,
    Scene,
    SwapJob,
    SwapResult,
    WorkerInfo,
)
from dgnet.jobs.errors import ERRORS_BY_CODE, BadJob, JobError, JobFailed, NewerMessage
from dgnet.jobs.text import utf8, utf8_throughout

VERSION = 2
"""The newest that is read. A message that the first release would understand is written in version
1; one that would mean something else to it, such as a swap that says what becomes of the scene, in
the version that brought this.
"""
Kind = JobKind
KINDS: tuple[Kind, ...] = get_args(JobKind)
Message = dict[str, Any]
T = TypeVar("T")

# msgpack ships no types.
_packb = cast("Callable[[object], bytes]", msgpack.packb)  # pyright: ignore[reportUnknownMemberType]
_unpackb = cast("Callable[[bytes], object]", msgpack.unpackb)  # pyright: ignore[reportUnknownMemberType]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a job ended: exactly one of `result` and `error`."""

    kind: Kind
    result: Result | None = None
    error: JobError | None = None


def kind_of(job: Job) -> Kind:
    """The name under which a job travels."""
    match job:
        case SwapJob():
            return "swap"
        case EmbedJob():
            return "embed"
        case GridJob():
            return "grid"
        case DatasetCheckJob():
            return "dataset-check"


def kind_named(name: object) -> Kind:
    """Raises BadJob for a name that no kind has."""
    for kind in KINDS:
        if kind == name:
            return kind
    raise BadJob(f"a message of kind {name!r} arrived; known kinds are {', '.join(KINDS)}")


def encode_job(job: Job) -> bytes:
    match job:
        case SwapJob():
            return _pack(
                kind="swap",
                appearance=_array_out(job.appearance_image, "u1"),
                structure=_array_out(job.structure_image, "u1"),
                **({} if job.scene is None else {"v": 2, "scene": job.scene}),
            )
        case EmbedJob():
            return _pack(kind="embed", images=_array_out(job.images, "u1"))
        case GridJob():
            return _pack(
                v=2,
                kind="grid",
                appearances=_array_out(job.appearance_images, "u1"),
                structures=_array_out(job.structure_images, "u1"),
                cells=[
                    (cell.appearance, cell.structure, cell.second, cell.weight)
                    for cell in job.cells
                ],
                scene=job.scene,
            )
        case DatasetCheckJob():
            return _pack(
                kind="dataset-check",
                folder=job.folder,
                layout=job.layout,
                pattern=job.pattern,
                junk=job.junk,
                distractors=job.distractors,
            )


def decode_job(data: bytes) -> Job:
    """Raises BadJob for whatever is not a job of this version."""
    message = _unpack(data)
    match kind_named(message.get("kind")):
        case "swap":
            return SwapJob(
                appearance_image=_array_in(message, "appearance", "u1", dimensions=3),
                structure_image=_array_in(message, "structure", "u1", dimensions=3),
                scene=_optional_scene(message),
            )
        case "embed":
            return EmbedJob(images=_array_in(message, "images", "u1", dimensions=4))
        case "grid":
            return GridJob(
                appearance_images=_array_in(message, "appearances", "u1", dimensions=4),
                structure_images=_array_in(message, "structures", "u1", dimensions=4),
                cells=tuple(map(_cell, cast("list[object]", _field(message, "cells", list)))),
                scene=_optional_scene(message),
            )
        case "dataset-check":
            return DatasetCheckJob(
                folder=_field(message, "folder", str),
                layout=_optional_text(message, "layout"),
                pattern=_optional_text(message, "pattern"),
                junk=_optional_texts(message, "junk"),
                distractors=_optional_texts(message, "distractors"),
            )


def encode_outcome(outcome: Outcome) -> bytes:
    error, result = outcome.error, outcome.result
    if error is not None:
        return _pack(kind=outcome.kind, error=error.code, message=utf8(str(error)))
    if result is None:
        raise ValueError("an outcome needs a result or an error; got neither")
    if isinstance(result, DatasetCheckResult):
        return _pack(kind=outcome.kind, report=utf8_throughout(result.report))
    timings = result.timings
    match result:
        case SwapResult():
            array = _array_out(result.composite, "u1")
        case GridResult():
            array = _array_out(result.composites, "u1")
        case EmbedResult():
            array = _array_out(result.embeddings, "<f4")
    return _pack(
        kind=outcome.kind,
        array=array,
        model_version=result.model_version,
        queue_seconds=timings.queue_seconds,
        device_seconds=timings.device_seconds,
        batch_size=timings.batch_size,
    )


def decode_outcome(data: bytes) -> Outcome:
    """Raises BadJob for whatever is not an outcome of this version."""
    message = _unpack(data)
    kind = kind_named(message.get("kind"))
    if "error" in message:
        code, text = _field(message, "error", str), _field(message, "message", str)
        return Outcome(kind=kind, error=ERRORS_BY_CODE.get(code, JobFailed)(text))
    if kind == "dataset-check":
        report = cast("dict[str, Any]", _field(message, "report", dict))
        return Outcome(kind=kind, result=DatasetCheckResult(report=report))
    timings = JobTimings(
        queue_seconds=_field(message, "queue_seconds", float),
        device_seconds=_field(message, "device_seconds", float),
        batch_size=_field(message, "batch_size", int),
    )
    version = _field(message, "model_version", str)
    if kind == "swap":
        composite = _array_in(message, "array", "u1", dimensions=3)
        return Outcome(
            kind=kind,
            result=SwapResult(composite=composite, model_version=version, timings=timings),
        )
    if kind == "grid":
        composites = _array_in(message, "array", "u1", dimensions=4)
        return Outcome(
            kind=kind,
            result=GridResult(composites=composites, model_version=version, timings=timings),
        )
    embeddings = _array_in(message, "array", "<f4", dimensions=2)
    return Outcome(
        kind=kind,
        result=EmbedResult(embeddings=embeddings, model_version=version, timings=timings),
    )


def encode_closed_record(job_id: str, outcome: Outcome) -> bytes:
    """What a finished job's record holds, and what its waiters are sent."""
    return b"c%b %b" % (job_id.encode(), encode_outcome(outcome))


def split_closed_record(record: bytes) -> tuple[str, bytes]:
    """Job id and encoded outcome; raises BadJob for whatever is not a closed record."""
    end = record.find(b" ")
    if not record.startswith(b"c") or end < 0:
        raise BadJob(f"{len(record)} bytes that begin with {record[:8]!r} are no closed record")
    return record[1:end].decode(errors="replace"), record[end + 1 :]


def encode_worker(worker: WorkerInfo) -> bytes:
    model = worker.model
    return _pack(
        worker_id=worker.worker_id,
        device=worker.device,
        ready=worker.ready,
        recipe=worker.recipe,
        release=worker.release,
        model_id=model.model_id,
        model_version=model.model_version,
        height=model.height,
        width=model.width,
        embedding_size=model.embedding_size,
        card=model.card,
        scenes=model.scenes,
        makes_grids=model.makes_grids,
    )


def decode_worker(data: bytes) -> WorkerInfo:
    """Raises BadJob for whatever is not a heartbeat of this version."""
    message = _unpack(data)
    return WorkerInfo(
        worker_id=_field(message, "worker_id", str),
        device=_field(message, "device", str),
        ready=_field(message, "ready", bool),
        recipe=_field(message, "recipe", str),
        release=_field({"release": "", **message}, "release", str),
        model=ModelInfo(
            model_id=_field(message, "model_id", str),
            model_version=_field(message, "model_version", str),
            height=_field(message, "height", int),
            width=_field(message, "width", int),
            embedding_size=_field(message, "embedding_size", int),
            card=cast("dict[str, Any]", _field(message, "card", dict)),
            scenes=tuple(x for x in SCENES if x in (_optional_texts(message, "scenes") or ())),
            makes_grids=message.get("makes_grids") is True,
        ),
    )


def _pack(**fields: Any) -> bytes:
    return _packb({"v": 1, **fields})


def _unpack(data: bytes) -> Message:
    try:
        message = _unpackb(data)
    except Exception as error:  # msgpack raises many types for hostile bytes
        raise BadJob(
            f"{len(data)} bytes arrived that are not msgpack ({type(error).__name__})"
        ) from error
    if not isinstance(message, dict):
        raise BadJob(f"a msgpack {type(message).__name__} arrived where a map was expected")
    fields = cast("Message", message)
    version = fields.get("v")
    if type(version) is not int or not 1 <= version <= VERSION:
        is_newer = isinstance(version, int) and version > VERSION
        raise (NewerMessage if is_newer else BadJob)(
            f"a message of version {version!r} arrived, at most version {VERSION} was expected; "
            "run the same release of front end and workers"
        )
    return fields


def _field(message: Message, name: str, expected: type[T]) -> T:
    value = message.get(name)
    if not isinstance(value, expected):
        raise BadJob(f"field {name!r} is a {type(value).__name__}, expected a {expected.__name__}")
    return value


def _optional_text(message: Message, name: str) -> str | None:
    return None if message.get(name) is None else _field(message, name, str)


def _optional_texts(message: Message, name: str) -> tuple[str, ...] | None:
    if message.get(name) is None:
        return None
    texts = cast("list[object]", _field(message, name, list))
    if not all(isinstance(text, str) for text in texts):
        raise BadJob(f"{name!r} holds what is no text")
    return tuple(cast("list[str]", texts))


def _optional_scene(message: Message) -> Scene | None:
    given = message.get("scene")
    for scene in SCENES:
        if scene == given:
            return scene
    if given is not None:
        raise BadJob(f"scene is {given!r}, expected one of {', '.join(SCENES)}")
    return None


def _cell(value: object) -> GridCell:
    match value:
        case [int(appearance), int(structure), int() | None as second, int() | float() as weight]:
            return GridCell(
                appearance=appearance, structure=structure, second=second, weight=weight
            )
        case _:
            raise BadJob(
                f"a cell is {str(value)[:60]!r}, expected positions of an appearance, a structure "
                "and perhaps a second appearance, and its weight"
            )


def _array_out(array: NDArray[Any], dtype: str) -> Message:
    contiguous = np.ascontiguousarray(array, dtype=dtype)
    return {"shape": contiguous.shape, "data": contiguous.data.cast("B")}


def _array_in(message: Message, name: str, dtype: str, *, dimensions: int) -> NDArray[Any]:
    packed = cast("Message", _field(message, name, dict))
    shape, data = packed.get("shape"), packed.get("data")
    if (
        not isinstance(shape, list)
        or len(cast("list[Any]", shape)) != dimensions
        or not all(type(side) is int and side > 0 for side in cast("list[Any]", shape))
    ):
        raise BadJob(f"array {name!r} has shape {shape!r}, expected {dimensions} positive sides")
    sides = cast("list[int]", shape)
    expected_bytes = prod(sides) * np.dtype(dtype).itemsize
    if not isinstance(data, bytes) or len(data) != expected_bytes:
        got = f"{len(data)} bytes" if isinstance(data, bytes) else type(data).__name__
        raise BadJob(f"array {name!r} of shape {sides} needs {expected_bytes} bytes, got {got}")
    return np.frombuffer(data, dtype=dtype).reshape(sides)
