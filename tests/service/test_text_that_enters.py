"""Text that nobody could write down again, and names that no file system takes, are refused where
they enter: in specs, folders, addresses and forms.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from dgnet.jobs.generation.errors import SpecError
from dgnet.jobs.generation.spec import spec_from
from dgnet.jobs.storage import StorageSettings
from tests.service.fake_job_store import FakeJobStore
from tests.service.fakes import png
from tests.service.problem import assert_problem

JSON = {"Content-Type": "application/json"}
SPEC: dict[str, Any] = {"source": {"folder": "market"}, "count": 4}
LONG = ["x" * 256, "ö" * 128, "market/" + "x" * 256, "x" * 5000, "/".join(["x" * 200] * 30)]


@pytest.fixture(autouse=True)
def market(storage: StorageSettings) -> None:
    (storage.data_root / "market").mkdir(parents=True)


def specs_with(text: str) -> list[dict[str, Any]]:
    """The text in every place of a spec that takes text, names of fields included."""
    return [
        {**SPEC, "source": {"folder": "market", "pattern": text}},
        {**SPEC, "source": {"folder": text}},
        {**SPEC, "source": {"dataset": text}},
        {**SPEC, "source": {"folder": "market", "layout": text}},
        {**SPEC, "pairing": text},
        {**SPEC, "labels": [text]},
        {**SPEC, "output": {"destination": f"s3://bucket/sets/{text}"}},
        {**SPEC, text: 1},
        {**SPEC, "output": {text: 1}},
    ]


@pytest.mark.parametrize("half", ["\ud800", "a\udfffb", "\udc00\ud800"])
@pytest.mark.parametrize("place", range(9))
async def test_half_a_surrogate_pair_in_a_spec_is_refused(
    http: httpx.AsyncClient, job_store: FakeJobStore, half: str, place: int
) -> None:
    body = json.dumps(specs_with(half)[place])  # as escapes: this is how it travels
    response = await http.post("/v1/jobs", content=body, headers=JSON)
    assert_problem(response, 400, "bad-request")
    assert job_store.jobs == {}
    assert (await http.get("/v1/jobs")).json()["data"] == []


@pytest.mark.parametrize("body", [b'"\xed\xa0\x80"', b"\xff", b"[" * 60_000, b""])
async def test_other_bytes_that_are_no_json_are_refused(
    http: httpx.AsyncClient, body: bytes
) -> None:
    for path in ("/v1/jobs", "/v1/datasets", "/v1/embeddings"):
        assert_problem(await http.post(path, content=body, headers=JSON), 400, "bad-request")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/datasets", {"folder": "\ud800"}),
        ("/v1/datasets", {"folder": "market", "pattern": "\ud800"}),
        ("/v1/datasets", {"folder": "market", "\ud800": 1}),
        ("/v1/embeddings", {"input": "\ud800"}),
        ("/v1/embeddings", {"input": ["data:\ud800;base64,"]}),
        ("/v1/embeddings", {"input": "x", "model": "\ud800"}),
    ],
)
async def test_half_a_surrogate_pair_in_other_bodies_is_refused(
    http: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    response = await http.post(path, content=json.dumps(body), headers=JSON)
    assert_problem(response, 400, "bad-request")


@pytest.mark.parametrize("sent", ["%ED%A0%80", "%FF", "a%C3", "%C0%AF"])
async def test_what_is_no_utf_8_in_an_address_is_refused(
    http: httpx.AsyncClient, sent: str
) -> None:
    archive = {"Content-Type": "application/zip"}
    for query in (f"pattern={sent}", f"{sent}=1", f"layout={sent}"):
        response = await http.post(f"/v1/datasets?{query}", content=b"", headers=archive)
        assert_problem(response, 400, "bad-request")
    assert_problem(await http.get(f"/v1/jobs?limit={sent}"), 400, "bad-request")
    assert_problem(await http.get(f"/v1/jobs/{sent}"), 400, "bad-request")
    assert_problem(await http.get(f"/v1/datasets/{sent}"), 400, "bad-request")


async def test_what_is_no_utf_8_in_the_name_of_a_form_s_field_is_refused(
    http: httpx.AsyncClient,
) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="%s"; filename="a.png"\r\n\r\n'
    for name in (b"\xed\xa0\x80", b"\xff", b"files\xff"):
        body = head % name + png() + b"\r\n--b--\r\n"
        form = {"Content-Type": "multipart/form-data; boundary=b"}
        for path in ("/v1/swaps", "/v1/embeddings", "/v1/datasets"):
            assert_problem(await http.post(path, content=body, headers=form), 400, "bad-request")


@pytest.mark.parametrize("key", [b"\xed\xa0\x80", b"\xff", b"a b", b"x" * 256])
async def test_an_idempotency_key_is_plain_text(http: httpx.AsyncClient, key: bytes) -> None:
    headers = {b"Idempotency-Key": key}
    assert_problem(await http.post("/v1/jobs", json=SPEC, headers=headers), 422, "invalid-request")


async def test_a_job_kept_with_such_text_hides_no_other_and_can_be_cancelled(
    http: httpx.AsyncClient, job_store: FakeJobStore
) -> None:
    one, other = [(await http.post("/v1/jobs", json=SPEC)).json()["id"] for _ in range(2)]
    spec = {**SPEC, "source": {"folder": "market", "pattern": "a\ud800"}}
    job_store.jobs[one] = replace(job_store.jobs[one], spec=spec)
    listed = {job["id"]: job for job in (await http.get("/v1/jobs")).json()["data"]}
    assert set(listed) == {one, other}
    assert listed[one]["spec"]["source"]["pattern"] == "a?"
    assert (await http.get(f"/v1/jobs/{one}")).status_code == 200
    assert (await http.post(f"/v1/jobs/{one}/cancel")).json()["state"] == "cancelled"
    assert (await http.get(f"/v1/jobs/{one}/events")).status_code == 200


@pytest.mark.parametrize("field", ["pattern", "destination"])
def test_specs_from_elsewhere_hold_text_too(field: str) -> None:
    place = {"pattern": "source", "destination": "output"}[field]
    text = {"pattern": "\ud800", "destination": "s3://bucket/\ud800"}[field]
    values = {**SPEC, place: {**SPEC.get(place, {}), field: text}}
    with pytest.raises(SpecError, match=f"{place}.{field}: .*surrogate"):
        spec_from(values)


@pytest.mark.parametrize("name", [*LONG, "a\0b"])
async def test_names_that_no_file_system_takes(
    http: httpx.AsyncClient, job_store: FakeJobStore, name: str
) -> None:
    response = await http.post("/v1/datasets", json={"folder": name})
    assert_problem(response, 422, "invalid-request")
    response = await http.post("/v1/jobs", json={**SPEC, "source": {"folder": name}})
    assert_problem(response, 422, "invalid-spec")
    job = (await http.post("/v1/jobs", json=SPEC)).json()["id"]
    await job_store.finish(job)
    path = name.replace("\0", "%00")
    assert_problem(await http.get(f"/v1/jobs/{job}/files/{path}"), 404, "unknown-file")
    for address in (f"/v1/datasets/{path}", f"/v1/jobs/{path}", f"/static/{path}"):
        assert (await http.get(address)).status_code == 404
    assert (await http.delete(f"/v1/datasets/{path}")).status_code in (404, 405)


@pytest.mark.parametrize(
    "folder", ["", ".", "people/..", "jobs", "datasets", "jobs/../jobs", "./datasets/", "market/.."]
)
async def test_the_service_s_own_folders_are_no_source(
    http: httpx.AsyncClient, storage: StorageSettings, job_store: FakeJobStore, folder: str
) -> None:
    for name in ("people", "jobs", "datasets"):
        (storage.data_root / name).mkdir()
    response = await http.post("/v1/jobs", json={**SPEC, "source": {"folder": folder}})
    assert_problem(response, 422, "invalid-spec")
    response = await http.post("/v1/datasets", json={"folder": folder})
    assert_problem(response, 422, "invalid-request")
    assert job_store.jobs == {}


@pytest.mark.parametrize("number", ["1" * 20, "9" * 40])
async def test_an_event_s_number_that_redis_does_not_take_is_refused(
    http: httpx.AsyncClient, number: str
) -> None:
    job = (await http.post("/v1/jobs", json=SPEC)).json()["id"]
    headers = {"Last-Event-ID": f"{number}-0"}
    response = await http.get(f"/v1/jobs/{job}/events", headers=headers)
    assert_problem(response, 422, "invalid-request")
