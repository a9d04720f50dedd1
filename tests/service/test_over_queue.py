"""The HTTP API over the real queue and a real worker whose model is a fake.

Run twice: on a redis-server and on the store inside the process that `dgnet serve` uses.
"""

from __future__ import annotations

import asyncio
import io
import signal
import time
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass

import httpx
import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from dgnet.jobs.client import JobClient
from dgnet.jobs.connection import connect
from dgnet.jobs.embedded import embedded_redis
from dgnet.jobs.settings import QueueSettings
from dgnet.service.app import create_app
from dgnet.service.settings import ServiceSettings
from tests.redis_server import RedisServer, redis_server_binary
from tests.service.fakes import encode, png
from tests.service.problem import assert_problem
from tests.worker.fakes import FAILS, HEIGHT, WIDTH, FakePredictor
from tests.worker.harness import (
    flush,
    limit_memory,
    queue_settings,
    ready_workers,
    running_worker,
    until,
)

# The fake model's composite has half of each color added: 100 // 2 + 60 // 2 = 80.
APPEARANCE = png((100, 100, 100), WIDTH, HEIGHT)
STRUCTURE = png((60, 60, 60), 40, 80)
FORM = {"appearance": APPEARANCE, "structure": STRUCTURE}
NPY = {"Accept": "application/x-npy"}
PATIENCE_SECONDS = 60.0


@dataclass
class House:
    """Front end and worker of one test."""

    http: httpx.AsyncClient
    predictor: FakePredictor
    redis: RedisServer | None
    jobs: JobClient


@pytest.fixture(scope="module")
def redis_server() -> Generator[RedisServer]:
    if redis_server_binary() is None:
        pytest.skip("no redis-server on PATH or beside the interpreter")
    with RedisServer() as server:
        yield server


@pytest_asyncio.fixture(params=["redis-server", "embedded"])
async def house(request: pytest.FixtureRequest) -> AsyncGenerator[House]:
    server: RedisServer | None = None
    settings = queue_settings(small_lane_depth=4)
    if request.param == "redis-server":
        server = request.getfixturevalue("redis_server")
        assert server is not None
        await _flush(server)
        worker_store = connect(server.url)
        jobs = JobClient.from_url(server.url, settings)
    else:
        worker_store = embedded_redis()
        jobs = JobClient(worker_store, settings)
    app = create_app(ServiceSettings(request_timeout_seconds=PATIENCE_SECONDS), jobs)
    predictor = FakePredictor()
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        running_worker(worker_store, predictor, settings),
        httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", timeout=PATIENCE_SECONDS
        ) as http,
    ):
        await until(lambda: _is_ready(jobs))
        yield House(http, predictor, server, jobs)
        predictor.gate.set()
    await worker_store.aclose()


async def _flush(server: RedisServer) -> None:
    redis = connect(server.url)
    await flush(redis)
    await redis.aclose()


async def _is_ready(jobs: JobClient) -> bool:
    return await ready_workers(jobs) > 0


def pixels(response: httpx.Response) -> set[int]:
    assert response.status_code == 200, response.text
    return set(np.asarray(Image.open(io.BytesIO(response.content))).ravel().tolist())


async def test_a_swap_travels_through_queue_and_worker(house: House) -> None:
    response = await house.http.post("/v1/swaps", files=FORM)
    assert pixels(response) == {80}
    assert Image.open(io.BytesIO(response.content)).size == (WIDTH, HEIGHT)
    assert response.headers["x-model-version"] == house.predictor.model_version
    stages = [entry.split(";")[0].strip() for entry in response.headers["server-timing"].split(",")]
    assert stages == ["decode", "queue", "gpu", "encode"]


async def test_embeddings_travel_through_queue_and_worker(house: House) -> None:
    files = [("files", png((color, color, color))) for color in (10, 20, 30)]
    response = await house.http.post("/v1/embeddings", files=files, headers=NPY)
    rows = np.load(io.BytesIO(response.content), allow_pickle=False)
    assert rows.tolist() == [[10.0] * 3, [20.0] * 3, [30.0] * 3]


async def test_every_concurrent_request_gets_its_own_composite(house: House) -> None:
    async def swap(color: int) -> set[int]:
        gray = png((color, color, color), WIDTH, HEIGHT)
        form = {"appearance": gray, "structure": gray}
        return pixels(await house.http.post("/v1/swaps", files=form))

    for colors in (range(20, 28, 2), range(28, 36, 2)):
        assert await asyncio.gather(*(swap(color) for color in colors)) == [{c} for c in colors]


async def test_a_full_queue_is_429_and_drains(house: House) -> None:
    house.predictor.gate.clear()
    accepted: list[str] = []
    while True:
        response = await house.http.post(
            "/v1/swaps", files=FORM, headers={"Prefer": "respond-async"}
        )
        if response.status_code != 202:
            break
        accepted.append(response.headers["location"])
    assert_problem(response, 429, "queue-full")
    assert len(accepted) == 4
    assert await house.jobs.depth("small") == 4

    house.predictor.gate.set()
    for location in accepted:
        await until(lambda location=location: _is_done(house.http, location))
        assert pixels(await house.http.get(f"{location}/result")) == {80}


async def _is_done(http: httpx.AsyncClient, location: str) -> bool:
    return (await http.get(location)).json()["state"] == "done"


async def test_a_wait_that_runs_out_leaves_a_job_to_be_collected(house: House) -> None:
    house.predictor.gate.clear()
    response = await house.http.post(
        "/v1/swaps", params={"resize": "structure"}, files=FORM, headers={"Prefer": "wait=0"}
    )
    assert response.status_code == 202
    location = response.headers["location"]
    assert (await house.http.get(location)).json()["state"] in ("queued", "running")
    house.predictor.gate.set()
    await until(lambda: _is_done(house.http, location))
    result = (await house.http.get(location)).json()["result"]
    response = await house.http.get(result)
    assert pixels(response) == {80}
    assert Image.open(io.BytesIO(response.content)).size == (40, 80)


async def test_a_picture_that_fails_on_the_device_harms_no_neighbor(house: House) -> None:
    culprit = {"appearance": APPEARANCE, "structure": png((FAILS, FAILS, FAILS), WIDTH, HEIGHT)}
    good, bad = await asyncio.gather(
        house.http.post("/v1/swaps", files=FORM), house.http.post("/v1/swaps", files=culprit)
    )
    assert pixels(good) == {80}
    body = assert_problem(bad, 500, "job-failed")
    assert "Traceback" not in body["detail"]


async def test_a_refused_picture_is_never_queued(house: House) -> None:
    broken = {"appearance": encode(Image.new("RGB", (64, 64)))[:50], "structure": STRUCTURE}
    response = await house.http.post("/v1/swaps", files=broken)
    assert_problem(response, 422, "damaged-picture")
    assert await house.jobs.depth("small") == 0
    assert house.predictor.sizes("swap") == []


async def test_models_and_readiness_come_from_the_worker(house: House) -> None:
    assert (await house.http.get("/readyz")).json()["model"] == "fake"
    (model,) = (await house.http.get("/v1/models")).json()["data"]
    assert (model["height"], model["width"]) == (HEIGHT, WIDTH)
    assert model["card"] == {"license": "CC0-1.0"}
    assert 'dgnet_workers{ready="true"} 1.0' in (await house.http.get("/metrics")).text


async def test_an_unknown_job_is_404(house: House) -> None:
    assert_problem(await house.http.get("/v1/jobs/no-such-job"), 404, "unknown-job")


async def test_requests_get_503_while_redis_is_away_and_recover(house: House) -> None:
    if house.redis is None:
        pytest.skip("the store inside the process cannot go away")
    house.redis.kill()
    try:
        await until(lambda: _has_status(house.http, 503))
        response = await house.http.post("/v1/swaps", files=FORM)
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) >= 1
        assert (await house.http.get("/livez")).status_code == 200
    finally:
        house.redis.start()
    await until(lambda: _has_status(house.http, 200))
    assert pixels(await house.http.post("/v1/swaps", files=FORM)) == {80}


async def test_a_redis_that_takes_nothing_is_not_ready(house: House) -> None:
    if house.redis is None:
        pytest.skip("the store inside the process is never full")
    redis = connect(house.redis.url)
    await limit_memory(redis, 1)
    try:
        for response in (await house.http.get("/readyz"), await _ask_for_a_swap(house)):
            assert_problem(response, 503, "queue-unavailable")
            assert "takes nothing now" in response.json()["detail"]
    finally:
        await limit_memory(redis, 0)
        await redis.aclose()
    await until(lambda: _has_status(house.http, 200))
    assert pixels(await _ask_for_a_swap(house)) == {80}


async def test_a_silent_redis_is_told_soon_on_every_route(house: House) -> None:
    if house.redis is None:
        pytest.skip("the store inside the process is never silent")
    house.redis.signal(signal.SIGSTOP)
    try:
        begun = time.monotonic()
        responses = await asyncio.gather(
            _ask_for_a_swap(house), *(house.http.get(f"/{path}") for path in (
                "readyz", "v1/jobs/no-such-job", "v1/jobs/no-such-job/result",
            ))
        )  # fmt: skip
        assert time.monotonic() - begun < 2.5 * QueueSettings().outage_seconds
        for response in responses:
            assert_problem(response, 503, "queue-unavailable")
        begun = time.monotonic()
        assert_problem(await house.http.get("/readyz"), 503, "queue-unavailable")
        assert time.monotonic() - begun < 0.2  # it is known by now
        assert (await house.http.get("/livez")).status_code == 200
        # What was known of the workers a moment ago may still be told; then this is refused, too.
        await until(lambda: _has_status(house.http, 503, "/v1/models"))
    finally:
        house.redis.signal(signal.SIGCONT)
    await until(lambda: _has_status(house.http, 200))
    assert pixels(await _ask_for_a_swap(house)) == {80}


async def _ask_for_a_swap(house: House) -> httpx.Response:
    return await house.http.post("/v1/swaps", files=FORM)


async def _has_status(http: httpx.AsyncClient, status: int, path: str = "/readyz") -> bool:
    return (await http.get(path)).status_code == status
