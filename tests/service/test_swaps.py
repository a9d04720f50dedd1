"""POST /v1/swaps and the jobs it leaves behind, over a fake queue."""

from __future__ import annotations

import io
import zlib
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from dgnet.jobs.contract import SCENES, JobStatus, Scene, SwapJob, WorkerInfo
from dgnet.jobs.errors import (
    BadJob,
    JobError,
    JobFailed,
    NoWorker,
    PoisonJob,
    QueueFull,
    QueueUnavailable,
)
from dgnet.service.settings import ServiceSettings
from tests.service.fakes import MODEL, READY_WORKER, FakeJobs, encode, gradient, png
from tests.service.problem import assert_problem


def form(appearance: bytes | None = None, structure: bytes | None = None) -> dict[str, Any]:
    return {
        "appearance": ("a.png", png() if appearance is None else appearance, "image/png"),
        "structure": ("s.png", encode(gradient()) if structure is None else structure, "image/png"),
    }


def decode(content: bytes) -> np.ndarray[Any, np.dtype[Any]]:
    return np.asarray(Image.open(io.BytesIO(content)))


COMPOSITE = np.asarray(gradient())[::-1]  # what the fake model makes of form()


async def test_two_pictures_give_a_png_composite(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    response = await http.post("/v1/swaps", files=form())
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/png"
    assert response.content.startswith(b"\x89PNG")
    assert np.array_equal(decode(response.content), COMPOSITE)
    (job,) = jobs.queued
    assert isinstance(job, SwapJob)
    assert np.array_equal(job.appearance_image, np.full((16, 8, 3), (200, 100, 50)))
    assert np.array_equal(job.structure_image, np.asarray(gradient()))


async def test_answers_carry_model_version_request_id_and_timings(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/swaps", files=form(), headers={"X-Request-Id": "my-id.1"})
    assert response.headers["x-model-version"] == "0123456789ab"
    assert response.headers["x-request-id"] == "my-id.1"
    assert response.headers["vary"] == "Accept"
    timings = dict(
        entry.strip().split(";dur=") for entry in response.headers["server-timing"].split(",")
    )
    assert list(timings) == ["decode", "queue", "gpu", "encode"]
    assert timings["queue"] == "1.50"
    assert timings["gpu"] == "25.00"
    assert float(timings["decode"]) > 0


@pytest.mark.parametrize(
    ("accept", "magic"),
    [
        ("image/jpeg", b"\xff\xd8\xff"),
        ("image/webp", b"RIFF"),
        ("application/x-npy", b"\x93NUMPY"),
        ("image/webp;q=0.5, image/jpeg", b"\xff\xd8\xff"),
    ],
)
async def test_the_composite_comes_in_the_accepted_format(
    http: httpx.AsyncClient, accept: str, magic: bytes
) -> None:
    response = await http.post("/v1/swaps", files=form(), headers={"Accept": accept})
    assert response.status_code == 200
    assert response.content.startswith(magic)


async def test_npy_holds_the_exact_composite(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/swaps", files=form(), headers={"Accept": "application/x-npy"})
    array = np.load(io.BytesIO(response.content), allow_pickle=False)
    assert array.dtype == np.uint8
    assert np.array_equal(array, COMPOSITE)


async def test_resize_gives_the_composite_the_size_of_the_structure_picture(
    http: httpx.AsyncClient,
) -> None:
    files = form(structure=encode(gradient(40, 60)))
    response = await http.post("/v1/swaps", params={"resize": "structure"}, files=files)
    assert decode(response.content).shape == (60, 40, 3)
    response = await http.post("/v1/swaps", files=files)
    assert decode(response.content).shape == (16, 8, 3)


@pytest.mark.parametrize("scene", [None, "keep", "generate"])
async def test_the_scene_travels_with_the_job(
    http: httpx.AsyncClient, jobs: FakeJobs, scene: Scene | None
) -> None:
    serve(jobs, SCENES)
    params = {} if scene is None else {"scene": scene}
    assert (await http.post("/v1/swaps", params=params, files=form())).status_code == 200
    (job,) = jobs.queued
    assert isinstance(job, SwapJob)
    assert job.scene == scene


async def test_a_scene_that_the_model_cannot_keep_is_refused_before_anything_is_queued(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    response = await http.post("/v1/swaps", params={"scene": "keep"}, files=form())
    body = assert_problem(response, 422, "invalid-request")
    assert "model tiny (0123456789ab) has no mask of what a swap changes" in body["detail"]
    assert jobs.queued == []
    response = await http.post("/v1/swaps", params={"scene": "generate"}, files=form())
    assert response.status_code == 200


async def test_no_scene_is_asked_of_workers_of_an_older_release(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    serve(jobs, SCENES, ())  # one is up to date already
    for scene in SCENES:
        response = await http.post("/v1/swaps", params={"scene": scene}, files=form())
        body = assert_problem(response, 422, "invalid-request")
        assert "leave scene out, or update them" in body["detail"]
    assert (await http.post("/v1/swaps", files=form())).status_code == 200


@pytest.mark.parametrize(
    ("params", "parts", "detail"),
    [
        ({"scene": "blur"}, {}, "'keep' or 'generate'"),
        ({}, {"scene": (None, "generate")}, r"in the address: POST /v1/swaps?scene="),
    ],
)
async def test_a_scene_that_is_not_understood_is_never_passed_over(
    http: httpx.AsyncClient,
    jobs: FakeJobs,
    params: dict[str, str],
    parts: dict[str, Any],
    detail: str,
) -> None:
    serve(jobs, SCENES)
    response = await http.post("/v1/swaps", params=params, files={**form(), **parts})
    assert detail in assert_problem(response, 422, "invalid-request")["detail"]
    assert jobs.queued == []


def serve(jobs: FakeJobs, *scenes: tuple[Scene, ...]) -> None:
    """A ready worker for each, that announces these."""
    jobs.live_workers = [
        replace(READY_WORKER, worker_id=f"w{number}", model=replace(MODEL, scenes=announced))
        for number, announced in enumerate(scenes)
    ]


async def test_part_names_decide_not_their_order(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    files = dict(reversed(form().items()))
    assert (await http.post("/v1/swaps", files=files)).status_code == 200
    (job,) = jobs.queued
    assert isinstance(job, SwapJob)
    assert job.appearance_image[0, 0].tolist() == [200, 100, 50]


async def test_formats_are_sniffed_not_believed(http: httpx.AsyncClient) -> None:
    files = form()
    files["appearance"] = ("a.gif", encode(gradient(), "WEBP"), "text/plain")
    assert (await http.post("/v1/swaps", files=files)).status_code == 200


def animated(picture_format: str) -> bytes:
    frames = [Image.new("RGB", (8, 16), color) for color in ("red", "blue")]
    return encode(frames[0], picture_format, save_all=True, append_images=frames[1:])


def huge_header() -> bytes:
    """A PNG whose header announces 40 megapixels."""
    data = bytearray(png())
    data[16:24] = (8000).to_bytes(4, "big") + (5000).to_bytes(4, "big")
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize("role", ["appearance", "structure"])
@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"no picture", 415, "not-a-picture"),
        (b"", 415, "not-a-picture"),
        (encode(gradient(), "GIF"), 415, "not-a-picture"),
        (encode(gradient())[:-40], 422, "damaged-picture"),
        (huge_header(), 422, "picture-dimensions"),
        (animated("WEBP"), 422, "animated-picture"),
        (animated("PNG"), 422, "animated-picture"),
        (png() + b"\x00" * 100_000, 413, "picture-too-large"),
    ],
)
async def test_bad_pictures_are_refused_by_name_and_nothing_is_queued(
    http: httpx.AsyncClient, jobs: FakeJobs, role: str, data: bytes, status: int, code: str
) -> None:
    response = await http.post("/v1/swaps", files=form(**{role: data}))
    body = assert_problem(response, status, code)
    assert body["detail"].startswith(f"{role} picture '{role[0]}.png' ")
    assert jobs.queued == []


@pytest.mark.parametrize(
    ("request_options", "status", "code", "named"),
    [
        ({"files": {"appearance": png()}}, 422, "missing-part", "'structure'"),
        ({"files": {"structure": png()}}, 422, "missing-part", "'appearance'"),
        ({"files": {"apearance": png(), "structure": png()}}, 422, "missing-part", "'apearance'"),
        ({"files": [("appearance", png())] * 2}, 413, "too-many-pictures", "2 parts"),
        ({"files": [("appearance", png())] * 5}, 413, "too-many-pictures", "more than 4 parts"),
        ({"json": {"appearance": "x"}}, 415, "unsupported-content-type", "application/json"),
        ({}, 415, "unsupported-content-type", "absent"),
        ({"headers": {"Accept": "text/html"}}, 406, "not-acceptable", "text/html"),
        ({"params": {"resize": "huge"}}, 422, "invalid-request", "'huge'"),
        (
            {"content": b"--x\r\n", "headers": {"Content-Type": "multipart/form-data"}},
            415,
            "unsupported-content-type",
            "boundary",
        ),
        (
            {
                "content": b"no boundary here",
                "headers": {"Content-Type": "multipart/form-data; boundary=x"},
            },
            400,
            "bad-request",
            "cannot be read",
        ),
        (
            {
                "content": b"--x\r\nContent-Type: image/png\r\n\r\nabc\r\n--x--\r\n",
                "headers": {"Content-Type": "multipart/form-data; boundary=x"},
            },
            400,
            "bad-request",
            "no name",
        ),
    ],
)
async def test_bad_requests_are_refused_and_nothing_is_queued(
    http: httpx.AsyncClient,
    jobs: FakeJobs,
    request_options: dict[str, Any],
    status: int,
    code: str,
    named: str,
) -> None:
    response = await http.post("/v1/swaps", **request_options)
    assert named in assert_problem(response, status, code)["detail"]
    assert jobs.queued == []


async def test_a_body_that_ends_early_is_a_missing_part(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    request = http.build_request("POST", "/v1/swaps", files=form())
    content = (await request.aread())[:-200]
    response = await http.post(
        "/v1/swaps", content=content, headers={"Content-Type": request.headers["content-type"]}
    )
    assert response.status_code in (400, 422)
    assert jobs.queued == []


async def test_a_body_announced_too_large_is_refused_unread(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    chunks_read = 0

    async def body() -> AsyncGenerator[bytes]:
        nonlocal chunks_read
        chunks_read += 1
        yield b"x" * 200_001

    response = await http.post("/v1/swaps", content=body(), headers={"Content-Length": "200001"})
    assert "200001" in assert_problem(response, 413, "body-too-large")["detail"]
    assert chunks_read == 0
    assert jobs.queued == []


async def test_a_body_that_grows_too_large_is_refused_at_the_limit(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    sent = 0

    async def body() -> AsyncGenerator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 10_000
            yield b"x" * 10_000

    response = await http.post(
        "/v1/swaps",
        content=body(),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert_problem(response, 413, "body-too-large")
    assert sent == 210_000
    assert jobs.queued == []


async def test_no_ready_worker_is_503_before_any_decoding(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    starting = jobs.live_workers[0]
    for workers in (
        [],
        [WorkerInfo(worker_id="w", device="cpu", ready=False, model=starting.model)],
    ):
        jobs.live_workers = workers
        response = await http.post("/v1/swaps", files=form(appearance=b"not even a picture"))
        assert_problem(response, 503, "no-worker")
    assert jobs.queued == []


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (QueueFull("the lane is full", retry_after_seconds=6.2), 429, "7"),
        (QueueFull("the lane is full"), 429, "2"),
        (QueueUnavailable("Redis does not answer"), 503, "2"),
        (NoWorker("no worker is ready", retry_after_seconds=0.1), 503, "1"),
    ],
)
async def test_refusals_of_the_queue_say_when_to_try_again(
    http: httpx.AsyncClient, jobs: FakeJobs, error: JobError, status: int, retry_after: str
) -> None:
    jobs.submit_error = error
    response = await http.post("/v1/swaps", files=form())
    assert_problem(response, status, error.code)
    assert response.headers["retry-after"] == retry_after
    assert jobs.queued == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (JobFailed("the device failed"), 500),
        (BadJob("the picture has the wrong size"), 422),
        (PoisonJob("given up after 3 attempts"), 500),
        (QueueUnavailable("Redis went away"), 503),
    ],
)
async def test_failures_of_the_worker_keep_their_message(
    http: httpx.AsyncClient, jobs: FakeJobs, error: JobError, status: int
) -> None:
    jobs.wait_error = error
    response = await http.post("/v1/swaps", files=form())
    assert assert_problem(response, status, error.code)["detail"] == str(error)


async def test_a_slow_worker_is_504_and_the_job_can_still_be_found(
    http: httpx.AsyncClient, jobs: FakeJobs, settings: ServiceSettings
) -> None:
    jobs.too_slow = True
    response = await http.post("/v1/swaps", files=form())
    body = assert_problem(response, 504, "worker-too-slow")
    assert jobs.timeouts == [settings.request_timeout_seconds]
    assert (await http.get(body["job"])).json()["state"] == "queued"


async def test_respond_async_answers_202_at_once_and_the_job_gives_the_composite(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    response = await http.post("/v1/swaps", files=form(), headers={"Prefer": "respond-async"})
    assert response.status_code == 202
    assert response.headers["preference-applied"] == "respond-async"
    assert jobs.timeouts == []
    location = response.headers["location"]
    assert location == "/v1/jobs/job-1"
    queued = (await http.get(location)).json()
    assert queued == {
        "id": "job-1",
        "kind": "swap",
        "state": "queued",
        "result": None,
        "error": None,
    }
    response = await http.get(location + "/result")
    assert_problem(response, 409, "result-not-ready")
    assert response.headers["retry-after"] == "1"

    jobs.finish("job-1")
    response = await http.get(location)
    done = response.json()
    assert done["state"] == "done"
    assert response.headers["x-model-version"] == "0123456789ab"
    assert response.headers["cache-control"] == "no-store"
    response = await http.get(done["result"], headers={"Accept": "image/png"})
    assert np.array_equal(decode(response.content), COMPOSITE)
    assert "gpu;dur=25.00" in response.headers["server-timing"]
    response = await http.get(done["result"], headers={"Accept": "text/html"})
    assert_problem(response, 406, "not-acceptable")


@pytest.mark.parametrize(
    ("prefer", "applied", "waited"),
    [
        ("wait=3", "wait=3", 3.0),
        ("wait=0", "wait=0", 0.0),
        ("wait=100000", "wait=120", 120.0),
        ("respond-async, wait=3", "respond-async", 3.0),
    ],
)
async def test_a_wait_that_runs_out_is_202(
    http: httpx.AsyncClient, jobs: FakeJobs, prefer: str, applied: str, waited: float
) -> None:
    jobs.too_slow = True
    response = await http.post("/v1/swaps", files=form(), headers={"Prefer": prefer})
    assert response.status_code == 202
    assert response.headers["preference-applied"] == applied
    assert response.headers["location"] == "/v1/jobs/job-1"
    assert jobs.timeouts == [waited]


async def test_a_wait_that_suffices_is_200(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/swaps", files=form(), headers={"Prefer": "wait=5"})
    assert response.status_code == 200


async def test_an_asynchronous_swap_remembers_the_wished_size(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    response = await http.post(
        "/v1/swaps",
        params={"resize": "structure"},
        files=form(structure=encode(gradient(40, 60))),
        headers={"Prefer": "respond-async"},
    )
    jobs.finish("job-1")
    job = (await http.get(response.headers["location"])).json()
    composite = await http.get(job["result"])
    assert decode(composite.content).shape == (60, 40, 3)


@pytest.mark.parametrize(
    "query", ["?width=5", "?width=0&height=5", "?width=5000&height=1", "?width=x&height=1"]
)
async def test_impossible_sizes_of_a_result_are_refused(
    http: httpx.AsyncClient, jobs: FakeJobs, query: str
) -> None:
    await http.post("/v1/swaps", files=form())
    assert_problem(await http.get(f"/v1/jobs/job-1/result{query}"), 422, "invalid-request")


async def test_an_unknown_job_is_404(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    assert_problem(await http.get("/v1/jobs/none"), 404, "unknown-job")
    assert_problem(await http.get("/v1/jobs/none/result"), 404, "unknown-job")
    jobs.queue_error = QueueUnavailable("Redis does not answer")
    assert_problem(await http.get("/v1/jobs/none"), 503, "queue-unavailable")


async def test_a_failed_job_says_why(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    jobs.statuses["j"] = JobStatus(
        job_id="j", kind="swap", state="failed", error_code="poison-job", error_message="gave up"
    )
    job = (await http.get("/v1/jobs/j")).json()
    assert job["state"] == "failed"
    assert job["error"]["detail"] == "gave up"
    assert job["error"]["type"] == "urn:dgnet:problem:poison-job"
    body = assert_problem(await http.get("/v1/jobs/j/result"), 500, "poison-job")
    assert body["detail"] == "gave up"


async def test_an_embedding_job_has_no_composite(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    jobs.statuses["e"] = JobStatus(job_id="e", kind="embed", state="running")
    assert_problem(await http.get("/v1/jobs/e/result"), 404, "unknown-job")


async def test_large_pictures_go_through_the_threads(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    files = form(structure=encode(Image.new("RGB", (1000, 1000), (1, 2, 3))))
    response = await http.post("/v1/swaps", params={"resize": "structure"}, files=files)
    assert decode(response.content).shape == (1000, 1000, 3)
    assert len(jobs.queued) == 1
