"""/v1/jobs: specs that are taken or refused, and the life of a job over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from httpx_sse import EventSource, ServerSentEvent

from dgnet.jobs.errors import QueueFull, QueueUnavailable
from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.spec import spec_from
from dgnet.jobs.storage import StorageSettings
from dgnet.service import event_stream
from dgnet.service.app import create_app, let_followers_go
from dgnet.service.settings import ServiceSettings
from tests.service.archives import PEOPLE, zip_of
from tests.service.fake_job_store import EPOCH, FakeJobStore, job_id
from tests.service.fakes import FakeJobs
from tests.service.problem import assert_problem
from tests.service.server import serving

SPEC: dict[str, Any] = {"source": {"folder": "market"}, "count": 4}


@pytest.fixture(autouse=True)
def market(storage: StorageSettings) -> None:
    (storage.data_root / "market").mkdir(parents=True)


async def submitted(http: httpx.AsyncClient) -> str:
    """Id of a new job."""
    response = await http.post("/v1/jobs", json=SPEC)
    assert response.status_code == 202, response.text
    return response.json()["id"]


async def test_a_spec_becomes_a_job(http: httpx.AsyncClient, job_store: FakeJobStore) -> None:
    response = await http.post("/v1/jobs", json=SPEC)
    assert response.status_code == 202, response.text
    body = response.json()
    assert body["id"] == job_id(0)
    assert response.headers["location"] == f"/v1/jobs/{body['id']}"
    assert (body["kind"], body["state"]) == ("generation", "queued")
    assert body["created"] == "2023-11-14T22:13:20Z"
    assert body["spec"] == spec_from(SPEC).to_json()
    assert body["links"] == {
        "events": f"/v1/jobs/{body['id']}/events",
        "manifest": None,
        "preview": None,
        "archive": None,
        "files": None,
    }
    assert (await http.get(response.headers["location"])).json() == body
    assert list(job_store.jobs) == [body["id"]]


async def test_counts_errors_and_links_are_shown(
    http: httpx.AsyncClient, job_store: FakeJobStore, storage: StorageSettings
) -> None:
    job = await submitted(http)
    await job_store.change(
        job, state="running", planned=100, made=40, kept=35, dropped={"near_duplicate": 5},
        unreadable=1, shards=10, shards_done=4, rate=20.0, eta_seconds=3.0, model_version="abc",
    )  # fmt: skip
    body = (await http.get(f"/v1/jobs/{job}")).json()
    assert (body["planned"], body["made"], body["kept"]) == (100, 40, 35)
    assert (body["dropped"], body["unreadable"]) == ({"near_duplicate": 5}, 1)
    assert (body["shards"], body["shards_done"], body["rate"]) == (10, 4, 20.0)
    assert (body["eta_seconds"], body["model_version"]) == (3.0, "abc")
    await job_store.change(
        job, state="failed", finished=EPOCH, error_code="storage-full", error_message="no room"
    )
    body = (await http.get(f"/v1/jobs/{job}")).json()
    assert body["error"] == {
        "type": "urn:dgnet:problem:storage-full",
        "title": "The job failed",
        "status": 500,
        "detail": "no room",
    }
    assert (body["finished"], body["expires"]) == ("2023-11-14T22:13:20Z", "2023-11-21T22:13:20Z")
    await job_store.change(job, state="done", error_code=None, error_message=None)
    links = (await http.get(f"/v1/jobs/{job}")).json()["links"]
    assert links["archive"] == f"/v1/jobs/{job}/archive"


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"count": None}, [""]),
        ({"count": 0}, ["count"]),
        ({"output": {"quality": 0, "layout": "mine"}}, ["output.layout", "output.quality"]),
        ({"labels": ["nobody"]}, ["labels.0"]),
        ({"keep": {"minimum_realism_percentile": 101}}, ["keep.minimum_realism_percentile"]),
        ({"unknown": 1}, ["unknown"]),
        ({"source": {}}, ["source"]),
        ({"source": {"folder": "market", "dataset": "ds_1"}}, ["source"]),
        ({"source": {"dataset": "../etc"}}, ["source.dataset"]),
        ({"seed": 2**63}, ["seed"]),
    ],
)
async def test_a_wrong_spec_names_its_fields_as_the_command_line_does(
    http: httpx.AsyncClient, job_store: FakeJobStore, changes: dict[str, Any], fields: list[str]
) -> None:
    spec = {**SPEC, **changes}
    body = assert_problem(await http.post("/v1/jobs", json=spec), 422, "invalid-spec")
    named = {error["field"] for error in body["errors"]}
    assert set(fields) <= named
    with pytest.raises(GenerationError) as told:
        spec_from(spec)
    assert body["detail"] == f"{told.value}."
    assert job_store.jobs == {}


REPORT = {
    "pairs": {
        "train": {"cross_identity": {"all": 90, "fewest_of_a_person": 4}},
        "query": {},
    }
}


@pytest.mark.parametrize(
    ("amount", "field", "message"),
    [
        ({"count": 91}, "count", "is 91, but there are only 90 pairs (split train, pairing"),
        ({"per_identity": 5}, "per_identity", "is 5, but there are only 4 pairs of a person"),
        ({"count": 1, "pairing": "same_camera"}, "pairing", "allow no pairs of the kind same_"),
        ({"count": 1, "source": {"split": "query"}}, "pairing", "of the split query allow no"),
        ({"count": 90}, None, None),
        ({"count": 91, "source": {"layout": "duke"}}, None, None),  # read otherwise than checked
    ],
    ids=str,
)
async def test_more_than_there_are_pairs_is_told_at_once(
    http: httpx.AsyncClient,
    app: FastAPI,
    amount: dict[str, Any],
    field: str | None,
    message: str | None,
) -> None:
    created = await http.post("/v1/datasets", json={"folder": "market", "name": "My market"})
    assert created.json()["name"] == "My market"
    dataset = created.json()["id"]
    app.state.dependencies.bulk.dataset_store.put_report(dataset, REPORT)
    source = {"dataset": dataset, **amount.get("source", {})}
    response = await http.post("/v1/jobs", json={**amount, "source": source})
    if field is None:
        assert response.status_code == 202
        return
    (error,) = assert_problem(response, 422, "invalid-spec")["errors"]
    assert error["field"] == field
    assert message is not None
    assert message in error["message"]


async def test_a_job_carries_its_name(http: httpx.AsyncClient) -> None:
    spec = {"source": {"folder": "market"}, "count": 1}
    named = (await http.post("/v1/jobs", json={**spec, "name": "The first"})).json()
    assert (named["name"], named["spec"]["name"]) == ("The first", "The first")
    assert (await http.post("/v1/jobs", json=spec)).json()["name"] is None
    response = await http.post("/v1/jobs", json={**spec, "name": "x" * 201})
    assert "at most 200 characters" in assert_problem(response, 422, "invalid-spec")["detail"]


async def test_a_scene_that_the_models_cannot_keep_is_told_at_its_field(
    http: httpx.AsyncClient, jobs: FakeJobs, job_store: FakeJobStore
) -> None:
    response = await http.post("/v1/jobs", json={**SPEC, "scene": "keep"})
    body = assert_problem(response, 422, "invalid-spec")
    (error,) = body["errors"]
    assert error["field"] == "scene"
    assert "model tiny (0123456789ab) has no mask" in error["message"]
    assert job_store.jobs == {}
    response = await http.post("/v1/jobs", json={**SPEC, "scene": "generate"})
    assert response.json()["spec"]["scene"] == "generate"
    jobs.live_workers = []  # nobody knows: the worker that begins it will tell
    assert (await http.post("/v1/jobs", json={**SPEC, "scene": "keep"})).status_code == 202


@pytest.mark.parametrize(
    ("source", "field", "message"),
    [
        ({"folder": "gone"}, "source.folder", "no folder below"),
        ({"folder": "/etc"}, "source.folder", "absolute"),
        ({"folder": "../.."}, "source.folder", "leads out"),
        ({"folder": "link"}, "source.folder", "leads out"),
        ({"dataset": "ds_unknown"}, "source.dataset", "No data set has the id"),
    ],
)
async def test_a_source_that_is_not_there_is_told_before_anything_is_queued(
    http: httpx.AsyncClient,
    job_store: FakeJobStore,
    storage: StorageSettings,
    source: dict[str, str],
    field: str,
    message: str,
) -> None:
    (storage.data_root / "link").symlink_to("/etc")
    response = await http.post("/v1/jobs", json={"source": source, "count": 1})
    body = assert_problem(response, 422, "invalid-spec")
    (error,) = body["errors"]
    assert error["field"] == field
    assert message in error["message"]
    assert str(storage.data_root) not in response.text
    assert job_store.jobs == {}


async def test_an_uploaded_data_set_is_a_source(http: httpx.AsyncClient) -> None:
    created = await http.post(
        "/v1/datasets?layout=market1501",
        files={"archive": ("a.zip", zip_of(PEOPLE))},
    )
    dataset = created.json()["id"]
    response = await http.post("/v1/jobs", json={"source": {"dataset": dataset}, "count": 1})
    source = response.json()["spec"]["source"]
    assert (source["dataset"], source["layout"]) == (dataset, "market1501")


async def test_a_registered_folder_is_a_source_by_its_id(http: httpx.AsyncClient) -> None:
    folder = {"folder": "market", "pattern": "(?P<person>.*)"}
    created = (await http.post("/v1/datasets", json=folder)).json()
    response = await http.post(
        "/v1/jobs", json={"source": {"dataset": created["id"], "split": "query"}, "count": 1}
    )
    source = response.json()["spec"]["source"]
    assert source == {
        "folder": "market",
        "layout": None,
        "pattern": "(?P<person>.*)",
        "split": "query",
    }


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "bad-request"),
        (b"[" * 60_000, "application/json", 400, "bad-request"),
        (b"[]", "application/json", 422, "invalid-spec"),
        (b"count: 1", "application/yaml", 415, "unsupported-content-type"),
        (b"{" + b" " * 300_000, "application/json", 413, "body-too-large"),
    ],
)
async def test_other_bodies_are_refused(
    http: httpx.AsyncClient, body: bytes, content_type: str, status: int, code: str
) -> None:
    response = await http.post("/v1/jobs", content=body, headers={"Content-Type": content_type})
    assert_problem(response, status, code)


async def test_a_key_gives_the_same_job_again(
    http: httpx.AsyncClient, job_store: FakeJobStore
) -> None:
    key = {"Idempotency-Key": "8e03978e-40d5"}
    first = await http.post("/v1/jobs", json=SPEC, headers=key)
    again = await http.post("/v1/jobs", json=SPEC, headers=key)
    assert again.status_code == 202
    assert again.json() == first.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    other = await http.post("/v1/jobs", json={**SPEC, "count": 5}, headers=key)
    assert_problem(other, 422, "idempotency-conflict")
    assert len(job_store.jobs) == 1
    await http.delete(f"/v1/jobs/{first.json()['id']}")
    assert_problem(await http.post("/v1/jobs", json=SPEC, headers=key), 410, "job-deleted")


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "schl\u00fcssel"])
async def test_a_key_that_makes_no_sense_is_refused(http: httpx.AsyncClient, key: str) -> None:
    headers = [(b"Idempotency-Key", key.encode("latin-1"))]
    response = await http.post("/v1/jobs", json=SPEC, headers=headers)
    assert_problem(response, 422, "invalid-request")


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("s3://bucket/sets", True),
        ("s3://bucket/sets/mine", True),
        ("s3://bucket/sets-of-others", False),
        ("s3://bucket", False),
        ("s3://other/sets", False),
        ("s3://bucket/sets/../keys", False),
        ("s3://bucket/sets/%2e%2e/keys", False),
        ("file:///etc", False),
    ],
)
async def test_destinations_lie_below_what_the_operator_named(
    http: httpx.AsyncClient, job_store: FakeJobStore, url: str, allowed: bool
) -> None:
    response = await http.post("/v1/jobs", json={**SPEC, "output": {"destination": url}})
    if allowed:
        assert response.status_code == 202
        return
    body = assert_problem(response, 422, "destination-refused")
    assert "DGNET_JOB_DESTINATIONS" in body["detail"]
    assert job_store.jobs == {}


def test_no_destination_is_allowed_unless_one_is_named() -> None:
    for named, allowed in (("", False), (" , ", False), ("gs://other/, s3://bucket/", True)):
        storage = StorageSettings(job_destinations=named)
        assert storage.allows_destination("s3://bucket/sets") == allowed


async def test_what_the_queue_says_is_passed_on(
    http: httpx.AsyncClient, job_store: FakeJobStore
) -> None:
    job_store.error = QueueFull("256 jobs are unfinished", retry_after_seconds=30)
    response = await http.post("/v1/jobs", json=SPEC)
    assert_problem(response, 429, "queue-full")
    assert response.headers["retry-after"] == "30"
    job_store.error = QueueUnavailable("Redis does not answer")
    for path in ("/v1/jobs", f"/v1/jobs/{job_id(0)}", f"/v1/jobs/{job_id(0)}/events"):
        assert_problem(await http.get(path), 503, "queue-unavailable")


async def test_of_many_wrong_fields_the_first_are_named(http: httpx.AsyncClient) -> None:
    spec = {**SPEC, **{f"field{number}": 1 for number in range(3000)}}
    body = assert_problem(await http.post("/v1/jobs", json=spec), 422, "invalid-spec")
    assert len(body["errors"]) == 51
    assert body["errors"][-1] == {"field": "", "message": "and 2950 more"}


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/datasets"])
async def test_json_without_pictures_is_small(http: httpx.AsyncClient, path: str) -> None:
    """A body of 10 MB of unknown fields would keep everybody waiting for a minute."""
    spec = {**SPEC, "folder": "x" * 66_000}
    assert_problem(await http.post(path, json=spec), 413, "body-too-large")


async def test_the_list_has_the_newest_first_in_pages(http: httpx.AsyncClient) -> None:
    for _ in range(5):
        await submitted(http)
    pages: list[list[str]] = []
    address: str | None = "/v1/jobs?limit=2"
    while address:
        body = (await http.get(address)).json()
        pages.append([job["id"] for job in body["data"]])
        address = body["next"]
    assert pages == [[job_id(4), job_id(3)], [job_id(2), job_id(1)], [job_id(0)]]


async def test_jobs_of_one_millisecond_are_all_in_the_pages(
    http: httpx.AsyncClient, job_store: FakeJobStore
) -> None:
    for _ in range(5):
        job = await submitted(http)
        job_store.jobs[job] = replace(job_store.jobs[job], created=EPOCH)
    seen: list[str] = []
    address: str | None = "/v1/jobs?limit=1"
    while address:
        body = (await http.get(address)).json()
        seen += [job["id"] for job in body["data"]]
        address = body["next"]
    assert seen == [job_id(number) for number in (4, 3, 2, 1, 0)]
    older = await http.get(f"/v1/jobs?before={EPOCH + 1:.3f}")  # as older clients ask
    assert len(older.json()["data"]) == 5


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "before=nan", "before=x", "before=1-x"])
async def test_wrong_pages_are_refused(http: httpx.AsyncClient, query: str) -> None:
    assert_problem(await http.get(f"/v1/jobs?{query}"), 422, "invalid-request")


async def test_a_job_is_cancelled_resumed_and_deleted(
    http: httpx.AsyncClient, job_store: FakeJobStore
) -> None:
    job = await submitted(http)
    response = await http.post(f"/v1/jobs/{job}/cancel")
    assert (response.status_code, response.json()["state"]) == (200, "cancelled")
    response = await http.post(f"/v1/jobs/{job}/resume")
    assert (response.status_code, response.json()["state"]) == (202, "queued")
    await job_store.finish(job)
    assert_problem(await http.post(f"/v1/jobs/{job}/cancel"), 409, "wrong-state")
    assert_problem(await http.post(f"/v1/jobs/{job}/resume"), 409, "wrong-state")
    assert (await http.delete(f"/v1/jobs/{job}")).status_code == 204
    assert_problem(await http.get(f"/v1/jobs/{job}"), 404, "unknown-job")
    assert (await http.delete(f"/v1/jobs/{job}")).status_code == 204


@pytest.mark.parametrize("unknown", ["job-1", "gen_", "gen_x", "gen_..", job_id(7) + "x"])
@pytest.mark.parametrize(
    ("method", "leaf"),
    [("GET", "events"), ("POST", "cancel"), ("POST", "resume"), ("GET", "archive"),
     ("GET", "manifest"), ("GET", "preview"), ("GET", "files/card.md"), ("DELETE", "")],
)  # fmt: skip
async def test_ids_of_other_kinds_are_unknown(
    http: httpx.AsyncClient, unknown: str, method: str, leaf: str
) -> None:
    response = await http.request(method, f"/v1/jobs/{unknown}/{leaf}".rstrip("/"))
    assert_problem(response, 404, "unknown-job")


async def test_without_a_shared_volume_there_is_no_bulk_generation(jobs: FakeJobs) -> None:
    transport = httpx.ASGITransport(app=create_app(ServiceSettings(), jobs))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        assert_problem(await http.post("/v1/datasets"), 404, "not-found")
        assert_problem(await http.post("/v1/jobs", json=SPEC), 404, "not-found")
        assert_problem(await http.get(f"/v1/jobs/{job_id(0)}"), 404, "unknown-job")


@asynccontextmanager
async def following(
    url: str, job: str, **headers: str
) -> AsyncGenerator[AsyncGenerator[ServerSentEvent]]:
    async with (
        httpx.AsyncClient(base_url=url, timeout=60) as http,
        http.stream("GET", f"/v1/jobs/{job}/events", headers=headers) as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-request-id"]
        events = EventSource(response).aiter_sse()
        yield events
        await events.aclose()


def state_of(event: ServerSentEvent) -> str:
    return json.loads(event.data)["state"]


class TestEvents:
    """Over a socket: the in-process transport of httpx keeps a stream back until it ends."""

    @pytest.fixture
    def url(self, app: FastAPI, job_store: FakeJobStore) -> Any:
        # What happens to a stream that is waiting has to happen in the loop that serves it.
        async def let_go() -> None:
            let_followers_go(app)

        async def lose_queue() -> None:
            job_store.error = QueueUnavailable("gone")
            await job_store.change(job_id(0), made=1)

        app.add_api_route("/let-go", let_go)
        app.add_api_route("/lose-queue", lose_queue)
        with serving(app) as url:
            yield url

    async def test_events_follow_the_job_to_its_end(
        self, url: str, job_store: FakeJobStore
    ) -> None:
        job = (await job_store.submit(spec_from(SPEC)))[0].job_id
        await job_store.change(job, state="running")
        await job_store.change(job, made=1)
        await job_store.change(job, state="failed", finished=EPOCH)
        async with following(url, job) as stream:
            events = [event async for event in stream]
        assert [event.event for event in events] == ["state", "state", "progress", "state"]
        assert [event.id for event in events] == ["1-0", "2-0", "3-0", "4-0"]
        assert [state_of(event) for event in events] == ["queued", "running", "running", "failed"]
        assert events[0].retry == 2000
        async with httpx.AsyncClient(base_url=url) as http:
            shown = (await http.get(f"/v1/jobs/{job}")).json()
        assert json.loads(events[-1].data) == shown

    async def test_a_client_goes_on_after_the_last_event_it_saw(
        self, url: str, job_store: FakeJobStore
    ) -> None:
        job = (await job_store.submit(spec_from(SPEC)))[0].job_id
        await job_store.change(job, made=1)
        await job_store.change(job, state="cancelled")
        async with following(url, job, **{"Last-Event-ID": "1-0"}) as stream:
            assert [event.id async for event in stream] == ["2-0", "3-0"]

    async def test_silence_is_filled_with_comments(
        self, url: str, job_store: FakeJobStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(event_stream, "PING_SECONDS", 0.02)
        job = (await job_store.submit(spec_from(SPEC)))[0].job_id
        async with (
            httpx.AsyncClient(base_url=url, timeout=60) as http,
            http.stream("GET", f"/v1/jobs/{job}/events") as response,
        ):
            comments = 0
            async for line in response.aiter_lines():
                comments += line.startswith(":")
                if comments == 3:
                    break

    async def test_followers_are_let_go_when_the_app_stops(
        self, url: str, job_store: FakeJobStore
    ) -> None:
        job = (await job_store.submit(spec_from(SPEC)))[0].job_id
        async with following(url, job) as stream:
            assert (await anext(stream)).id == "1-0"
            async with httpx.AsyncClient(base_url=url) as http:
                await http.get("/let-go")
            assert [event async for event in stream] == []

    async def test_a_queue_that_goes_away_ends_the_stream_for_now(
        self, url: str, job_store: FakeJobStore
    ) -> None:
        job = (await job_store.submit(spec_from(SPEC)))[0].job_id
        async with following(url, job) as stream:
            assert (await anext(stream)).id == "1-0"
            async with httpx.AsyncClient(base_url=url) as http:
                await http.get("/lose-queue")
            assert [event.id async for event in stream] == ["2-0"]


async def test_a_wrong_event_id_is_refused(http: httpx.AsyncClient) -> None:
    job = await submitted(http)
    response = await http.get(f"/v1/jobs/{job}/events", headers={"Last-Event-ID": "yesterday"})
    assert_problem(response, 422, "invalid-request")


async def test_events_of_an_unknown_job_are_404(http: httpx.AsyncClient) -> None:
    assert_problem(await http.get(f"/v1/jobs/{job_id(9)}/events"), 404, "unknown-job")


def test_every_field_of_a_spec_has_a_place_in_the_document(app: FastAPI) -> None:
    document = app.openapi()
    body = document["paths"]["/v1/jobs"]["post"]["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    assert {"source", "count", "pairing", "keep", "output"} <= set(schema["properties"])
    source = schema["properties"]["source"]["$ref"].rpartition("/")[2]
    properties = document["components"]["schemas"][source]["properties"]
    assert {"folder", "dataset", "layout", "pattern", "split"} <= set(properties)
