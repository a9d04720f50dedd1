"""Bytes from anywhere become a job or a BadJob, never anything else."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any, get_args

import msgpack  # pyright: ignore[reportMissingTypeStubs]
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgnet.jobs.codec import (
    Outcome,
    decode_job,
    decode_outcome,
    decode_worker,
    encode_closed_record,
    encode_job,
    encode_outcome,
    encode_worker,
    split_closed_record,
)
from dgnet.jobs.contract import (
    SCENES,
    DatasetCheckJob,
    DatasetCheckResult,
    EmbedJob,
    EmbedResult,
    GridCell,
    GridJob,
    GridResult,
    JobTimings,
    ModelInfo,
    Scene,
    SwapJob,
    WorkerInfo,
)
from dgnet.jobs.errors import BadJob, JobFailed, PoisonJob
from dgnet.model import predictor
from tests.worker.fakes import HEIGHT, WIDTH, embed_job, swap_job

TIMINGS = JobTimings(queue_seconds=0.25, device_seconds=0.5, batch_size=3)


def pack(**fields: Any) -> bytes:
    return msgpack.packb(fields)  # pyright: ignore


def test_swap_job_survives() -> None:
    job = decode_job(encode_job(swap_job(appearance=1, structure=2)))
    assert isinstance(job, SwapJob)
    assert (job.appearance_image == 1).all()
    assert (job.structure_image == 2).all()


def test_a_grid_job_survives_and_is_of_version_2() -> None:
    cells = (
        GridCell(appearance=1, structure=0),
        GridCell(appearance=0, structure=0, second=1, weight=0.25),
    )
    pictures = embed_job(3, 4).images
    data = encode_job(
        GridJob(
            appearance_images=pictures, structure_images=pictures[:1], cells=cells, scene="keep"
        )
    )
    assert msgpack.unpackb(data)["v"] == 2  # pyright: ignore
    job = decode_job(data)
    assert isinstance(job, GridJob)
    assert (job.cells, job.scene) == (cells, "keep")
    assert np.array_equal(job.appearance_images, pictures)
    assert np.array_equal(job.structure_images, pictures[:1])
    composites = np.arange(2 * HEIGHT * WIDTH * 3, dtype=np.uint8).reshape(2, HEIGHT, WIDTH, 3)
    result = GridResult(composites=composites, model_version="0123456789ab", timings=TIMINGS)
    outcome = decode_outcome(encode_outcome(Outcome(kind="grid", result=result)))
    assert isinstance(outcome.result, GridResult)
    assert np.array_equal(outcome.result.composites, composites)
    assert outcome.result.timings == TIMINGS


@pytest.mark.parametrize("cell", [[0], ["0", 0, None, 0], [0, 0, "1", 0], [0, 0, 1, None], 7])
def test_a_cell_that_is_none_is_a_bad_job(cell: object) -> None:
    picture = {"shape": [1, 1, 1, 3], "data": b"abc"}
    message = {"v": 2, "kind": "grid", "appearances": picture, "structures": picture}
    with pytest.raises(BadJob, match="a cell is"):
        decode_job(pack(**message, cells=[cell]))


@pytest.mark.parametrize("scene", ["keep", "generate"])
def test_a_swap_that_says_what_becomes_of_the_scene_is_of_version_2(scene: Scene) -> None:
    """A worker of the first release would do as its model does: it must not read it at all."""
    data = encode_job(replace(swap_job(), scene=scene))
    assert msgpack.unpackb(data)["v"] == 2  # pyright: ignore
    job = decode_job(data)
    assert isinstance(job, SwapJob)
    assert job.scene == scene


def test_a_swap_that_does_not_is_encoded_as_ever() -> None:
    job = swap_job(appearance=1, structure=2)
    sides, size = [HEIGHT, WIDTH, 3], HEIGHT * WIDTH * 3
    assert encode_job(job) == pack(
        v=1, kind="swap",
        appearance={"shape": sides, "data": b"\1" * size},
        structure={"shape": sides, "data": b"\2" * size},
    )  # fmt: skip
    decoded = decode_job(encode_job(job))
    assert isinstance(decoded, SwapJob)
    assert decoded.scene is None


def test_an_unknown_scene_is_a_bad_job() -> None:
    data = encode_job(replace(swap_job(), scene="keep")).replace(b"\xa4keep", b"\xa4blur")
    with pytest.raises(BadJob, match=r"scene is 'blur', expected one of keep, generate"):
        decode_job(data)


def test_embed_job_survives_even_from_a_view() -> None:
    images = embed_job(1, 2, 3, 4).images[::2]
    job = decode_job(encode_job(EmbedJob(images=images)))
    assert isinstance(job, EmbedJob)
    assert np.array_equal(job.images, images)


def test_embeddings_survive() -> None:
    embeddings = np.array([[0.5, -1.0]], dtype=np.float32)
    result = EmbedResult(embeddings=embeddings, model_version="v", timings=TIMINGS)
    outcome = decode_outcome(encode_outcome(Outcome(kind="embed", result=result)))
    assert isinstance(outcome.result, EmbedResult)
    assert np.array_equal(outcome.result.embeddings, embeddings)
    assert outcome.result.timings == TIMINGS


def test_data_set_checks_survive() -> None:
    for job in (
        DatasetCheckJob(folder="datasets/a"),
        DatasetCheckJob(folder="b", layout="pattern", pattern="(?P<person>.)"),
        DatasetCheckJob(folder="c", junk=(), distractors=("none",)),
    ):
        assert decode_job(encode_job(job)) == job
    report = {"total": {"pictures": 3}, "width": None, "findings": [{"paths": ["a.png"]}]}
    outcome = Outcome(kind="dataset-check", result=DatasetCheckResult(report=report))
    assert decode_outcome(encode_outcome(outcome)) == outcome


def test_error_keeps_its_type_and_message() -> None:
    outcome = decode_outcome(encode_outcome(Outcome(kind="swap", error=PoisonJob("three times"))))
    assert type(outcome.error) is PoisonJob
    assert str(outcome.error) == "three times"


def test_error_of_a_later_release_is_a_failed_job() -> None:
    outcome = decode_outcome(pack(v=1, kind="swap", error="new-in-2", message="no"))
    assert type(outcome.error) is JobFailed


def test_heartbeat_survives() -> None:
    model = ModelInfo(
        model_id="small",
        model_version="abc",
        height=128,
        width=64,
        embedding_size=1024,
        card={"metrics": {"rank_1": 0.9}},
        scenes=("keep", "generate"),
    )
    worker = WorkerInfo(worker_id="w", device="cuda:0", ready=True, model=model)
    assert decode_worker(encode_worker(worker)) == worker


def test_a_heartbeat_without_scenes_is_of_a_worker_that_is_asked_for_none() -> None:
    model = ModelInfo(model_id="m", model_version="v", height=1, width=1, embedding_size=1)
    worker = WorkerInfo(worker_id="w", device="cpu", ready=True, model=model)
    message = msgpack.unpackb(encode_worker(worker))  # pyright: ignore
    assert message["v"] == 1
    del message["scenes"]
    older = decode_worker(pack(**message))
    assert older == worker
    assert older.model.objection_to(None) is None
    for scene in SCENES:
        assert "run a release that is asked for none" in (older.model.objection_to(scene) or "")
    message["scenes"] = ["generate", "dream"]  # of a release to come
    assert decode_worker(pack(**message)).model.scenes == ("generate",)


def test_only_a_model_with_a_mask_keeps_scenes() -> None:
    model = ModelInfo(
        model_id="small", model_version="abc", height=1, width=1, embedding_size=1,
        scenes=("generate",),
    )  # fmt: skip
    assert model.objection_to("generate") is None
    assert "model small (abc) has no mask" in (model.objection_to("keep") or "")
    assert replace(model, scenes=SCENES).objection_to("keep") is None


def test_the_contract_has_the_predictors_scenes() -> None:
    assert get_args(predictor.Scene) == get_args(Scene) == SCENES


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not msgpack"),
        (pickle.dumps({"v": 1}), "not msgpack|arrived where a map"),
        (pack(v=3, kind="swap"), "version 3 arrived, at most version 2 was expected"),
        (pack(v=0, kind="swap"), "version 0 arrived"),
        (pack(v=True, kind="swap"), "version True arrived"),
        (pack(v=1, kind="train"), "kind 'train'"),
        (pack(v=1, kind="embed"), "'images' is a NoneType"),
        (pack(v=1, kind="embed", images={"shape": [1, 2, 2], "data": b""}), "4 positive sides"),
        (pack(v=1, kind="embed", images={"shape": [1, 0, 2, 3], "data": b""}), "positive sides"),
        (pack(v=1, kind="embed", images={"shape": [1, 2, 2, 3], "data": b"1"}), "needs 12 bytes"),
        (pack(v=1, kind="embed", images={"shape": [1, 2, 2, 3], "data": "a"}), "got str"),
    ],
)
def test_what_is_no_job_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(BadJob, match=reason):
        decode_job(data)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_job_or_a_bad_job(data: bytes) -> None:
    with pytest.raises(BadJob):
        decode_job(data)


def test_closed_record_has_job_id_and_outcome() -> None:
    outcome = Outcome(kind="swap", error=PoisonJob("three times"))
    record = encode_closed_record("a-b", outcome)
    assert split_closed_record(record) == ("a-b", encode_outcome(outcome))


@pytest.mark.parametrize("record", [b"", b"c", b"cabc", b"o1 swap 0-1", b"garbage "])
def test_what_is_no_closed_record_is_refused(record: bytes) -> None:
    with pytest.raises(BadJob, match="no closed record"):
        split_closed_record(record)
