"""POST /v1/embeddings, as a form and in the OpenAI style, over a fake queue."""

from __future__ import annotations

import base64
import io
from typing import Any

import httpx
import numpy as np
import pytest
from pydantic import ValidationError

from dgnet.jobs.contract import EmbedJob
from dgnet.jobs.errors import QueueFull
from dgnet.jobs.views import EmbeddingsRequest
from tests.service.fakes import FakeJobs, encode, fake_embeddings, gradient, png
from tests.service.problem import assert_problem

RED, GREEN = png((255, 0, 0)), png((0, 255, 0))
# mean (1, 0, 0) and a one, normalized
RED_ROW = np.array([0.5**0.5, 0, 0, 0.5**0.5], np.float32)
GREEN_ROW = np.array([0, 0.5**0.5, 0, 0.5**0.5], np.float32)


def files(*pictures: bytes) -> list[Any]:
    return [("files", (f"{index}.png", data, "image/png")) for index, data in enumerate(pictures)]


def data_uri(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


async def test_a_form_of_pictures_gives_embeddings_in_order(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    response = await http.post("/v1/embeddings", files=files(RED, GREEN))
    assert response.status_code == 200
    body = response.json()
    assert body["object"] == "list"
    assert body["model"] == "tiny"
    assert body["usage"] == {"pictures": 2, "prompt_tokens": 0, "total_tokens": 0}
    assert [item["index"] for item in body["data"]] == [0, 1]
    assert {item["object"] for item in body["data"]} == {"embedding"}
    rows = np.array([item["embedding"] for item in body["data"]])
    np.testing.assert_allclose(rows, [RED_ROW, GREEN_ROW], atol=1e-6)
    (job,) = jobs.queued
    assert isinstance(job, EmbedJob)
    assert job.images.shape == (2, 16, 8, 3)
    assert response.headers["x-model-version"] == "0123456789ab"
    assert "gpu;dur=25.00" in response.headers["server-timing"]


async def test_npy_is_n_by_d_float32(http: httpx.AsyncClient) -> None:
    response = await http.post(
        "/v1/embeddings", files=files(RED, GREEN), headers={"Accept": "application/x-npy"}
    )
    assert response.headers["content-type"] == "application/x-npy"
    rows = np.load(io.BytesIO(response.content), allow_pickle=False)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [RED_ROW, GREEN_ROW], atol=1e-6)


@pytest.mark.parametrize("one", [True, False])
async def test_the_openai_style_takes_data_uris(http: httpx.AsyncClient, one: bool) -> None:
    uri = data_uri(RED, "image/gif")  # the media type is not believed
    response = await http.post("/v1/embeddings", json={"input": uri if one else [uri]})
    np.testing.assert_allclose(response.json()["data"][0]["embedding"], RED_ROW, atol=1e-6)


async def test_base64_embeddings_are_little_endian_float32(http: httpx.AsyncClient) -> None:
    response = await http.post(
        "/v1/embeddings",
        json={"input": [data_uri(RED)], "encoding_format": "base64", "model": "tiny"},
    )
    row = np.frombuffer(base64.b64decode(response.json()["data"][0]["embedding"]), "<f4")
    np.testing.assert_allclose(row, RED_ROW, atol=1e-6)


async def test_one_bad_picture_fails_the_request_and_names_its_index(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    response = await http.post("/v1/embeddings", files=files(RED, b"nothing", GREEN))
    body = assert_problem(response, 415, "not-a-picture")
    assert body["index"] == 1
    assert "picture 1 '1.png'" in body["detail"]
    assert jobs.queued == []


async def test_partial_lets_one_bad_picture_fail_alone(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    response = await http.post(
        "/v1/embeddings", params={"partial": "true"}, files=files(RED, b"nothing", GREEN)
    )
    assert response.status_code == 200
    assert response.headers["x-failed-indices"] == "1"
    red, failed, green = response.json()["data"]
    np.testing.assert_allclose(red["embedding"], RED_ROW, atol=1e-6)
    np.testing.assert_allclose(green["embedding"], GREEN_ROW, atol=1e-6)
    assert failed["embedding"] is None
    assert failed["index"] == 1
    assert failed["error"]["type"] == "urn:dgnet:problem:not-a-picture"
    assert failed["error"]["status"] == 415
    (job,) = jobs.queued
    assert isinstance(job, EmbedJob)
    assert len(job.images) == 2


async def test_partial_npy_has_nan_rows_for_failed_pictures(http: httpx.AsyncClient) -> None:
    response = await http.post(
        "/v1/embeddings",
        params={"partial": "true"},
        files=files(b"nothing", GREEN),
        headers={"Accept": "application/x-npy"},
    )
    rows = np.load(io.BytesIO(response.content), allow_pickle=False)
    assert response.headers["x-failed-indices"] == "0"
    assert np.isnan(rows[0]).all()
    np.testing.assert_allclose(rows[1], GREEN_ROW, atol=1e-6)


async def test_partial_with_no_usable_picture_is_refused(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    response = await http.post(
        "/v1/embeddings", params={"partial": "true"}, files=files(b"x", encode(gradient())[:60])
    )
    body = assert_problem(response, 422, "no-usable-picture")
    assert [error["index"] for error in body["errors"]] == [0, 1]
    assert [error["status"] for error in body["errors"]] == [415, 422]
    assert jobs.queued == []


@pytest.mark.parametrize(
    ("options", "status", "code", "named"),
    [
        ({"json": {"input": []}}, 422, "invalid-request", "empty"),
        ({"json": {"input": [1]}}, 422, "invalid-request", "input"),
        ({"json": {}}, 422, "invalid-request", "input"),
        ({"json": {"input": ["http://example.org/a.png"]}}, 422, "invalid-request", "fetched"),
        ({"json": {"input": ["file:///etc/passwd"]}}, 422, "invalid-request", "fetched"),
        ({"json": {"input": ["data:image/png,abc"]}}, 422, "invalid-request", "data URI"),
        ({"json": {"input": ["data:;base64,%%%"]}}, 422, "invalid-request", "base64"),
        (
            {"json": {"input": [data_uri(RED)], "encoding_format": "int8"}},
            422,
            "invalid-request",
            "encoding_format",
        ),
        ({"json": {"input": [data_uri(RED)] * 5}}, 413, "too-many-pictures", "5 pictures"),
        ({"files": files(*[RED] * 5)}, 413, "too-many-pictures", "more than 4"),
        ({"json": {"input": [data_uri(RED)], "model": "gpt"}}, 404, "unknown-model", "'gpt'"),
        (
            {"content": b"{", "headers": {"Content-Type": "application/json"}},
            400,
            "bad-request",
            "JSON",
        ),
        ({"content": b"x"}, 415, "unsupported-content-type", "absent"),
        ({"files": {"file": RED}}, 422, "missing-part", "'file'"),
        (
            {"files": files(RED), "headers": {"Accept": "image/png"}},
            406,
            "not-acceptable",
            "image/png",
        ),
        ({"files": files(RED), "params": {"partial": "maybe"}}, 422, "invalid-request", "maybe"),
    ],
)
async def test_bad_requests_are_refused_and_nothing_is_queued(
    http: httpx.AsyncClient,
    jobs: FakeJobs,
    options: dict[str, Any],
    status: int,
    code: str,
    named: str,
) -> None:
    response = await http.post("/v1/embeddings", **options)
    assert named in assert_problem(response, status, code)["detail"]
    assert jobs.queued == []


async def test_a_full_queue_is_429(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    jobs.submit_error = QueueFull("the lane is full", retry_after_seconds=3)
    response = await http.post("/v1/embeddings", files=files(RED))
    assert_problem(response, 429, "queue-full")
    assert response.headers["retry-after"] == "3"


async def test_a_slow_worker_is_504(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    jobs.too_slow = True
    response = await http.post("/v1/embeddings", files=files(RED))
    assert_problem(response, 504, "worker-too-slow")


def test_the_fake_embeds_as_these_tests_expect() -> None:
    images = np.zeros((1, 16, 8, 3), np.uint8)
    images[..., 0] = 255
    np.testing.assert_allclose(fake_embeddings(images)[0], RED_ROW, atol=1e-6)


def test_of_millions_of_wrong_inputs_the_first_is_named() -> None:
    with pytest.raises(ValidationError) as refused:
        EmbeddingsRequest.model_validate_json(b'{"input":[' + b"1," * 100_000 + b"1]}")
    assert refused.value.error_count() == 2  # no string, and no list of strings
