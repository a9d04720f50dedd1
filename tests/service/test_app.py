"""What holds for all routes: ids, errors, keys, health, metrics, logs, models, documents."""

from __future__ import annotations

import asyncio
import io
import logging
import re
import tarfile
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr, ValidationError
from starlette.routing import BaseRoute

from dgnet.jobs.contract import ModelInfo, WorkerInfo
from dgnet.jobs.errors import QueueUnavailable
from dgnet.jobs.settings import QueueSettings, WorkerSettings
from dgnet.jobs.storage import StorageSettings
from dgnet.service.app import create_app
from dgnet.service.problems import KINDS
from dgnet.service.routes import page as page_route
from dgnet.service.settings import ServiceSettings
from tests.service.fake_job_store import FakeJobStore
from tests.service.fakes import MODEL, READY_WORKER, FakeJobs, png
from tests.service.problem import assert_problem
from tests.worker.harness import until

PAGES = {"index.html", "docs.html"}
NOTICES = {
    "vendor/README.md",
    *(
        f"vendor/swagger-ui/{name}"
        for name in ("LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt")
    ),
}
DOCS = Path(__file__).parents[2] / "docs"
SWAP_FORM = {"appearance": png(), "structure": png()}


async def test_unknown_addresses_and_methods_are_problems(http: httpx.AsyncClient) -> None:
    assert_problem(await http.get("/v2/none"), 404, "not-found")
    assert_problem(await http.get("/static/none.js"), 404, "not-found")
    response = await http.get("/v1/swaps")
    assert "POST" in assert_problem(response, 405, "method-not-allowed")["detail"]
    assert response.headers["allow"] == "POST"


async def test_a_sweep_that_is_killed_is_begun_anew(
    settings: ServiceSettings, jobs: FakeJobs, job_store: FakeJobStore, storage: StorageSettings
) -> None:
    app = create_app(settings, jobs, job_store, storage)
    async with app.router.lifespan_context(app):
        for sweeps in (1, 2, 3):
            await until(lambda sweeps=sweeps: job_store.sweeps == sweeps)
            [sweep] = [task for task in asyncio.all_tasks() if task.get_name() == "sweep"]
            sweep.cancel()


@pytest.mark.parametrize("sent", ["short", "a" * 128, "7c1e-4:x_y.z"])
async def test_a_sane_request_id_is_kept(http: httpx.AsyncClient, sent: str) -> None:
    response = await http.get("/livez", headers={"X-Request-Id": sent})
    assert response.headers["x-request-id"] == sent


@pytest.mark.parametrize("sent", ["", "a" * 129, "white space", "new\tline", "<script>"])
async def test_other_request_ids_are_replaced(http: httpx.AsyncClient, sent: str) -> None:
    response = await http.get("/livez", headers={"X-Request-Id": sent})
    assert re.fullmatch(r"[0-9a-f]{32}", response.headers["x-request-id"])


async def test_an_unexpected_failure_is_a_500_without_internals(
    http: httpx.AsyncClient, jobs: FakeJobs, caplog: pytest.LogCaptureFixture
) -> None:
    jobs.submit_error = RuntimeError("password of the database")
    response = await http.post("/v1/swaps", files=SWAP_FORM)
    body = assert_problem(response, 500, "internal-error")
    assert "password" not in response.text
    assert "RuntimeError" not in response.text
    assert body["request_id"] in caplog.text
    assert "password of the database" in caplog.text


class TestKeys:
    @pytest.fixture
    def settings(self) -> ServiceSettings:
        return ServiceSettings(api_keys=(SecretStr("first-key"), SecretStr("schlüssel")))

    @pytest.mark.parametrize(
        "authorization",
        [None, "Bearer wrong", "Bearer", "Bearer first-ke", "Basic first-key", "first-key"],
    )
    async def test_requests_without_a_known_key_are_refused(
        self, http: httpx.AsyncClient, jobs: FakeJobs, authorization: str | None
    ) -> None:
        headers = {"Authorization": authorization} if authorization else {}
        response = await http.post("/v1/swaps", files=SWAP_FORM, headers=headers)
        assert_problem(response, 401, "unauthorized")
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert jobs.queued == []

    @pytest.mark.parametrize("key", ["first-key", "schlüssel"])
    async def test_every_configured_key_is_accepted(
        self, http: httpx.AsyncClient, key: str
    ) -> None:
        headers = {b"Authorization": f"bearer {key}".encode()}
        response = await http.post("/v1/swaps", files=SWAP_FORM, headers=headers)
        assert response.status_code == 200

    @pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/", "/openapi.json"])
    async def test_operations_and_page_need_no_key(
        self, http: httpx.AsyncClient, path: str
    ) -> None:
        assert (await http.get(path)).status_code == 200

    async def test_even_unknown_addresses_need_a_key(self, http: httpx.AsyncClient) -> None:
        assert_problem(await http.get("/v1/none"), 401, "unauthorized")

    async def test_keys_are_never_logged_nor_shown(
        self,
        http: httpx.AsyncClient,
        settings: ServiceSettings,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        await http.get("/v1/models", headers={"Authorization": "Bearer first-key"})
        await http.get("/v1/models", headers={"Authorization": "Bearer other-key"})
        assert "-key" not in caplog.text
        assert "first-key" not in repr(settings)


def test_keys_come_from_the_environment_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DGNET_API_KEYS", "one, two,")
    assert [key.get_secret_value() for key in ServiceSettings().api_keys] == ["one", "two"]


def test_a_picture_limit_above_the_body_limit_is_refused_at_construction() -> None:
    with pytest.raises(ValidationError, match="DGNET_MAX_BODY_BYTES"):
        ServiceSettings(max_body_bytes=1024, max_picture_bytes=2048)


def test_a_body_limit_above_that_of_all_bodies_is_refused_at_construction() -> None:
    with pytest.raises(ValidationError, match="DGNET_MAX_HELD_BYTES"):
        ServiceSettings(max_held_bytes=2048, max_body_bytes=4096, max_picture_bytes=1024)


async def test_the_app_starts_and_closes_its_queue_client(app: FastAPI, jobs: FakeJobs) -> None:
    async with app.router.lifespan_context(app):
        assert jobs.started
        assert not jobs.closed
    assert jobs.closed


async def test_health_follows_queue_and_workers(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    assert (await http.get("/livez")).json()["status"] == "ok"
    assert (await http.get("/readyz")).json() == {
        "status": "ready", "model": "tiny", "scenes": ["generate"],
    }  # fmt: skip
    jobs.live_workers = [WorkerInfo(worker_id="w", device="cpu", ready=False, model=MODEL)]
    assert_problem(await http.get("/readyz"), 503, "no-worker")
    jobs.queue_error = QueueUnavailable("Redis does not answer")
    assert_problem(await http.get("/readyz"), 503, "queue-unavailable")
    assert (await http.get("/livez")).status_code == 200


async def test_metrics_count_requests_by_route_and_status(http: httpx.AsyncClient) -> None:
    await http.post("/v1/swaps", files=SWAP_FORM)
    await http.post("/v1/swaps", files={"appearance": b"x", "structure": b"x"})
    await http.get("/v1/jobs/some-id")
    await http.get("/invented/by/a/client")
    text = (await http.get("/metrics")).text
    for line in (
        'dgnet_http_requests_total{method="POST",route="/v1/swaps",status="200"} 1.0',
        'dgnet_http_requests_total{method="POST",route="/v1/swaps",status="415"} 1.0',
        'dgnet_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="404"} 1.0',
        'dgnet_http_requests_total{method="any",route="unmatched",status="404"} 1.0',
        'dgnet_http_request_seconds_count{route="/v1/swaps"} 2.0',
        'dgnet_queue_depth{lane="small"} 3.0',
        'dgnet_queue_depth{lane="bulk"} 5.0',
        'dgnet_workers{ready="true"} 1.0',
        'dgnet_workers{ready="false"} 0.0',
        "dgnet_queue_up 1.0",
    ):
        assert line in text
    assert "some-id" not in text
    assert "invented" not in text


async def test_metrics_answer_while_the_queue_is_away(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    await http.get("/metrics")
    jobs.queue_error = QueueUnavailable("Redis does not answer")
    text = (await http.get("/metrics")).text
    assert "dgnet_queue_up 0.0" in text
    assert "dgnet_queue_depth{" not in text


async def test_the_access_log_names_the_request_and_nothing_private(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="dgnet.access")
    await http.get("/v1/models?secret=1", headers={"X-Request-Id": "abc"})
    (record,) = (record for record in caplog.records if record.name == "dgnet.access")
    line = record.getMessage()
    assert line.startswith("request_id=abc method=GET path='/v1/models' status=200 ms=")
    assert "secret" not in line


async def test_only_failed_requests_are_logged_by_default(
    jobs: FakeJobs, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="dgnet.access")
    transport = httpx.ASGITransport(app=create_app(ServiceSettings(), jobs))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        await http.get("/livez")
        await http.get("/nowhere")
    lines = [r.getMessage() for r in caplog.records if r.name == "dgnet.access"]
    assert [line.split("path=")[1].split()[0] for line in lines] == ["'/nowhere'"]


async def test_models_are_what_live_workers_announce(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    starting = WorkerInfo(worker_id="w2", device="cpu", ready=False, model=MODEL)
    jobs.live_workers = [READY_WORKER, starting]
    body = (await http.get("/v1/models")).json()
    (model,) = body["data"]
    assert body["object"] == "list"
    assert model["id"] == "tiny"
    assert model["card"]["training_data_license"] == "CC0-1.0"
    assert (model["height"], model["width"], model["embedding_size"]) == (16, 8, 4)
    assert (model["ready_workers"], model["live_workers"]) == (1, 2)
    for name in ("tiny", "0123456789ab"):
        response = await http.get(f"/v1/models/{name}")
        assert response.json() == model
        assert response.headers["x-model-version"] == "0123456789ab"
    response = await http.get("/v1/models/other")
    assert "'tiny'" in assert_problem(response, 404, "unknown-model")["detail"]
    jobs.live_workers = []
    assert (await http.get("/v1/models")).json()["data"] == []


async def test_of_two_models_the_one_with_more_ready_workers_serves(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    new = ModelInfo(
        model_id="next", model_version="fedcba987654", height=32, width=16, embedding_size=4
    )
    jobs.live_workers = [
        WorkerInfo(worker_id="new", device="cpu", ready=True, model=new),
        READY_WORKER,
        READY_WORKER,
    ]
    assert (await http.get("/readyz")).json()["model"] == "tiny"


async def test_the_page_and_its_files_come_from_here_alone(http: httpx.AsyncClient) -> None:
    assets: list[str] = []
    for address in ("/", "/docs"):
        page = await http.get(address)
        assert page.status_code == 200
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert not re.search(r"(src|href)=[\"'](https?:)?//", page.text)
        assets += re.findall(r"(?:src|href)=\"(/static/[^\"]+)\"", page.text)
    for asset in assets:
        answer = await http.get(asset)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-cache"
        imports = re.findall(r"^import .* from \"(.+)\";$", answer.text, flags=re.MULTILINE)
        assets += {urljoin(asset, path) for path in imports} - set(assets)
    static = page_route.STATIC_DIRECTORY
    files = {path.relative_to(static).as_posix() for path in static.rglob("*") if path.is_file()}
    assert {asset.removeprefix("/static/") for asset in assets} == files - PAGES - NOTICES


def test_an_install_has_every_file_of_the_page() -> None:
    static = page_route.STATIC_DIRECTORY
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    patterns: list[str] = project["tool"]["setuptools"]["package-data"]["dgnet.service"]
    installed = {path for pattern in patterns for path in static.parent.glob(pattern)}
    assert {path for path in static.rglob("*") if path.is_file()} <= installed


def documented_paths(routes: list[BaseRoute]) -> set[str]:
    return {path for route in routes if isinstance(path := getattr(route, "path", None), str)}


async def test_openapi_documents_routes_examples_and_problems(http: httpx.AsyncClient) -> None:
    document: dict[str, Any] = (await http.get("/openapi.json")).json()
    swap = document["paths"]["/v1/swaps"]["post"]
    assert set(swap["responses"]) >= {"200", "202", "401", "406", "413", "415", "422", "429"}
    assert set(swap["responses"]) >= {"500", "503", "504"}
    assert "image/webp" in swap["responses"]["200"]["content"]
    refused = swap["responses"]["422"]["content"]["application/problem+json"]
    assert refused["examples"]["missing-part"]["value"]["status"] == 422
    form = swap["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["appearance", "structure"]
    embeddings = document["paths"]["/v1/embeddings"]["post"]
    assert "application/json" in embeddings["requestBody"]["content"]
    assert "application/x-npy" in embeddings["responses"]["200"]["content"]


async def test_every_route_is_named_in_the_docs(http: httpx.AsyncClient) -> None:
    text = (DOCS / "http-api.md").read_text()
    document: dict[str, Any] = (await http.get("/openapi.json")).json()
    for path in [*document["paths"], "/openapi.json"]:
        assert f"`{path}`" in text or f" {path}`" in text, path


def test_every_problem_is_named_in_the_docs_with_its_status() -> None:
    text = (DOCS / "http-api.md").read_text()
    for kind in KINDS.values():
        assert re.search(rf"\| `{kind.code}` \| {kind.status} \|", text), kind


def test_every_setting_is_named_in_the_docs() -> None:
    text = (DOCS / "configuration.md").read_text()
    for settings_class in (ServiceSettings, QueueSettings, WorkerSettings):
        for name in settings_class.model_fields:
            assert f"| `DGNET_{name.upper()}` |" in text, name


async def test_settings_reach_the_app(jobs: FakeJobs) -> None:
    app = create_app(ServiceSettings(retry_after_seconds=9), jobs)
    jobs.live_workers = []
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1"
    ) as client:
        response = await client.get("/readyz")
    assert response.headers["retry-after"] == "9"


async def test_the_sample_people_are_there(http: httpx.AsyncClient) -> None:
    """One picture of each whom no training saw, and everybody as an archive."""
    answer = (await http.get("/samples")).json()
    assert len(answer["pictures"]) == 16
    picture = await http.get(answer["pictures"][0])
    assert picture.headers["content-type"] == "image/jpeg"
    archive = await http.get(answer["dataset"])
    with tarfile.open(fileobj=io.BytesIO(archive.content)) as tar:
        names = [name for name in tar.getnames() if name.endswith(".jpg")]
    assert len(names) == 24 * 8
    assert (await http.get("/samples/query/..%2fREADME.md")).status_code == 404
