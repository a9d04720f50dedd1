"""/v1/datasets: uploads that stay whole or leave nothing, folders that stay where they are."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import os
import re
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message

from dgnet.jobs.contract import DatasetCheckJob, Result
from dgnet.jobs.errors import BadJob, QueueUnavailable
from dgnet.jobs.storage import StorageSettings
from dgnet.service.app import create_app
from dgnet.service.dataset_store import DatasetStore, Reading, UnknownDataset
from dgnet.service.settings import ServiceSettings
from tests.service.archives import PEOPLE, tar_gz_of, tar_of, zip_of
from tests.service.fake_job_store import EPOCH, FakeJobStore, job_id
from tests.service.fakes import FakeJobs
from tests.service.problem import assert_problem
from tests.worker.harness import until

ZIP = {"Content-Type": "application/zip"}
INSIDE = {name.removeprefix("market/"): content for name, content in PEOPLE.items()}


@pytest.fixture
def settings() -> ServiceSettings:
    return ServiceSettings(
        max_body_bytes=2000,
        max_picture_bytes=2000,
        max_held_bytes=4000,
        max_upload_bytes=100_000,
        max_unpacked_bytes=200_000,
        max_archive_members=50,
        max_uploads=1,
        min_free_bytes=0,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def left_behind(storage: StorageSettings) -> list[str]:
    """Whatever lies where data sets are kept, hidden entries too."""
    folder = storage.data_root / "datasets"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        ("application/zip", zip_of(PEOPLE)),
        ("application/x-tar", tar_of(PEOPLE)),
        ("application/gzip", tar_gz_of(PEOPLE)),
        ("application/x-gtar", tar_gz_of(PEOPLE)),
        ("application/zip", tar_of(PEOPLE)),  # the bytes decide, not the header
        ("application/octet-stream", zip_of(PEOPLE)),
    ],
)
async def test_an_archive_becomes_a_data_set(
    http: httpx.AsyncClient, storage: StorageSettings, jobs: FakeJobs, media_type: str, data: bytes
) -> None:
    response = await http.post("/v1/datasets", content=data, headers={"Content-Type": media_type})
    assert response.status_code == 201, response.text
    body = response.json()
    assert response.headers["location"] == f"/v1/datasets/{body['id']}"
    assert (body["state"], body["origin"]) == ("ready", "upload")
    assert (body["files"], body["ignored"]) == (4, 0)
    assert body["report"] == {"root": f"datasets/{body['id']}", "findings": []}
    assert contents(storage.data_root / body["folder"]) == INSIDE
    assert jobs.queued == [DatasetCheckJob(folder=body["folder"])]
    assert (await http.get(response.headers["location"])).json() == body
    assert left_behind(storage) == sorted(
        [body["id"], f"{body['id']}.json", f"{body['id']}.report.json"]
    )


async def test_a_form_with_one_archive_does_too(
    http: httpx.AsyncClient, storage: StorageSettings, jobs: FakeJobs
) -> None:
    response = await http.post(
        "/v1/datasets?layout=market1501",
        files={"archive": ("people.zip", zip_of(PEOPLE), "application/zip")},
    )
    assert response.status_code == 201, response.text
    assert contents(storage.data_root / response.json()["folder"]) == INSIDE
    assert response.json()["layout"] == "market1501"
    assert jobs.queued == [DatasetCheckJob(folder=response.json()["folder"], layout="market1501")]


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"picture": ("a.zip", b"x")}, 400, "bad-request"),
        ([("archive", ("a", b"PK")), ("archive", ("b", b"PK"))], 400, "bad-request"),
    ],
)
async def test_other_forms_are_refused(
    http: httpx.AsyncClient, storage: StorageSettings, form: Any, status: int, code: str
) -> None:
    assert_problem(await http.post("/v1/datasets", files=form), status, code)
    assert left_behind(storage) == []


@pytest.mark.parametrize(
    ("body", "boundary", "code"),
    [
        (b"--x--\r\n", "; boundary=x", "missing-part"),
        (b"no form at all", "; boundary=x", "bad-request"),
        (b"", f"; boundary={'x' * 300}", "bad-request"),
        (b"--x--\r\n", "", "unsupported-content-type"),
    ],
)
async def test_broken_forms_are_refused(
    http: httpx.AsyncClient, storage: StorageSettings, body: bytes, boundary: str, code: str
) -> None:
    headers = {"Content-Type": f"multipart/form-data{boundary}"}
    response = await http.post("/v1/datasets", content=body, headers=headers)
    assert_problem(response, response.status_code, code)
    assert left_behind(storage) == []


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (zip_of({"../a.jpg": b""}), 422, "bad-archive"),
        (zip_of({"a.txt": b"no picture"}), 422, "bad-archive"),
        (zip_of(PEOPLE)[:400], 422, "bad-archive"),
        (b"\x89PNG" + bytes(600), 415, "not-an-archive"),
        (b"", 415, "not-an-archive"),
        (zip_of({"a.jpg": bytes(250_000)}), 413, "archive-too-large"),
        (zip_of({f"{n}.jpg": b"" for n in range(51)}), 413, "archive-too-large"),
    ],
)
async def test_a_refused_archive_leaves_nothing(
    http: httpx.AsyncClient,
    storage: StorageSettings,
    jobs: FakeJobs,
    data: bytes,
    status: int,
    code: str,
) -> None:
    assert_problem(await http.post("/v1/datasets", content=data, headers=ZIP), status, code)
    assert left_behind(storage) == []
    assert jobs.queued == []


@pytest.mark.parametrize("announced", [True, False])
async def test_an_upload_has_a_limit_of_its_own(
    http: httpx.AsyncClient, storage: StorageSettings, announced: bool
) -> None:
    def body(size: int) -> Any:
        data = b"PK\x03\x04" + bytes(size)

        async def chunks() -> AsyncGenerator[bytes]:
            for start in range(0, len(data), 10_000):
                yield data[start : start + 10_000]

        return data if announced else chunks()

    # Far beyond max_body_bytes, and then beyond max_upload_bytes.
    response = await http.post("/v1/datasets", content=body(50_000), headers=ZIP)
    assert_problem(response, 422, "bad-archive")
    response = await http.post("/v1/datasets", content=body(100_000), headers=ZIP)
    assert "at most 100000" in assert_problem(response, 413, "body-too-large")["detail"]
    assert left_behind(storage) == []


async def test_a_registration_has_the_limit_of_any_body(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/datasets", json={"folder": "x" * 3000})
    assert "at most 2000" in assert_problem(response, 413, "body-too-large")["detail"]


async def test_a_client_that_goes_away_leaves_nothing(
    app: FastAPI, storage: StorageSettings
) -> None:
    arrived = asyncio.Event()
    messages: list[Message] = [
        {"type": "http.request", "body": zip_of(PEOPLE)[:500], "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        if len(messages) == 1:
            assert [name for name in left_behind(storage) if name.endswith(".upload")]
            arrived.set()
        return messages.pop(0)

    async def send(message: Message) -> None:
        raise AssertionError(message)

    scope = {
        "type": "http", "method": "POST", "path": "/v1/datasets", "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/zip")], "app": app,
    }  # fmt: skip
    await app(scope, receive, send)
    assert arrived.is_set()
    assert left_behind(storage) == []


async def test_a_cancelled_request_waits_for_its_thread_and_leaves_nothing(
    http: httpx.AsyncClient, storage: StorageSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = asyncio.Event()
    loop = asyncio.get_running_loop()
    removed_first: list[bool] = []

    def slow(archive: Path, folder: Path, *_: Any, stopped: Any, **__: Any) -> None:
        loop.call_soon_threadsafe(started.set)
        while not stopped():
            pass
        removed_first.append(not folder.exists())
        raise RuntimeError("stopped")

    monkeypatch.setattr("dgnet.service.routes.datasets.unpack", slow)
    request = asyncio.create_task(http.post("/v1/datasets", content=zip_of(PEOPLE), headers=ZIP))
    await started.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert removed_first == [False]
    assert left_behind(storage) == []


async def test_a_silent_client_is_given_up(
    jobs: FakeJobs, job_store: FakeJobStore, storage: StorageSettings
) -> None:
    settings = ServiceSettings(upload_idle_seconds=0.05, min_free_bytes=0)
    app = create_app(settings, jobs, job_store, storage)

    async def chunks() -> AsyncGenerator[bytes]:
        yield b"PK\x03\x04"
        await asyncio.Event().wait()

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1"
    ) as http:
        response = await http.post("/v1/datasets", content=chunks(), headers=ZIP)
    assert_problem(response, 408, "upload-stalled")
    assert left_behind(storage) == []


async def test_the_disk_is_not_filled_up(
    jobs: FakeJobs, job_store: FakeJobStore, storage: StorageSettings
) -> None:
    settings = ServiceSettings(min_free_bytes=1 << 60)
    app = create_app(settings, jobs, job_store, storage)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1"
    ) as http:
        response = await http.post("/v1/datasets", content=zip_of(PEOPLE), headers=ZIP)
    assert_problem(response, 507, "storage-full")
    assert left_behind(storage) == []


@pytest.mark.parametrize("where", ["archive", "pictures"])
async def test_a_full_disk_is_a_problem_that_leaves_nothing(
    http: httpx.AsyncClient,
    storage: StorageSettings,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    real = Path.open

    class Full(io.BytesIO):
        def write(self, *_: Any) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def full(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> IO[Any]:
        meant = path.name == where or (where == "pictures" and path.suffix == ".jpg")
        return Full() if meant and mode == "xb" else real(path, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", full)
    response = await http.post("/v1/datasets", content=zip_of(PEOPLE), headers=ZIP)
    assert_problem(response, 507, "storage-full")
    assert left_behind(storage) == []


async def test_uploads_at_once_are_bounded(http: httpx.AsyncClient) -> None:
    gate, started = asyncio.Event(), asyncio.Event()

    async def chunks() -> AsyncGenerator[bytes]:
        yield zip_of(PEOPLE)
        started.set()
        await gate.wait()

    first = asyncio.create_task(http.post("/v1/datasets", content=chunks(), headers=ZIP))
    await started.wait()
    second = await http.post("/v1/datasets", content=zip_of(PEOPLE), headers=ZIP)
    assert_problem(second, 503, "overloaded")
    gate.set()
    assert (await first).status_code == 201
    third = await http.post("/v1/datasets", content=zip_of(PEOPLE), headers=ZIP)
    assert third.status_code == 201


async def test_nothing_is_received_while_no_worker_could_check_it(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    jobs.live_workers = []
    response = await http.post("/v1/datasets", content=zip_of(PEOPLE), headers=ZIP)
    assert_problem(response, 503, "no-worker")


async def test_what_the_check_finds_unusable_is_refused_and_removed(
    http: httpx.AsyncClient, storage: StorageSettings, jobs: FakeJobs
) -> None:
    jobs.wait_error = BadJob("datasets/x: no layout that is known here.")
    response = await http.post("/v1/datasets", content=zip_of(PEOPLE), headers=ZIP)
    body = assert_problem(response, 422, "unusable-dataset")
    assert "no layout that is known here" in body["detail"]
    assert left_behind(storage) == []


@pytest.mark.parametrize("prefer", ["respond-async", "wait=1"])
async def test_a_check_that_takes_long_is_read_later(
    http: httpx.AsyncClient, jobs: FakeJobs, prefer: str
) -> None:
    jobs.too_slow = True
    response = await http.post(
        "/v1/datasets", content=zip_of(PEOPLE), headers={**ZIP, "Prefer": prefer}
    )
    assert response.status_code == 201
    assert (response.json()["state"], response.json()["report"]) == ("checking", None)
    location = response.headers["location"]
    assert (await http.get(location)).json()["state"] == "checking"
    jobs.finish("job-1")
    body = (await http.get(location)).json()
    assert (body["state"], body["report"]["findings"]) == ("ready", [])
    assert jobs.timeouts == ([1.0] if prefer == "wait=1" else [])
    assert len(jobs.queued) == 1


async def test_a_check_whose_answer_got_lost_is_asked_for_again(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    response = await http.post(
        "/v1/datasets", content=zip_of(PEOPLE), headers={**ZIP, "Prefer": "respond-async"}
    )
    jobs.statuses.clear()
    assert (await http.get(response.headers["location"])).json()["state"] == "unchecked"
    assert (await http.get(response.headers["location"])).json()["state"] == "checking"
    assert len(jobs.queued) == 2


async def test_an_upload_is_kept_when_the_queue_goes_away_before_its_check(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    jobs.submit_error = QueueUnavailable("the queue does not answer")
    response = await http.post("/v1/datasets", content=zip_of(PEOPLE), headers=ZIP)
    assert (response.status_code, response.json()["state"]) == (201, "unchecked")
    jobs.submit_error = None
    await http.get(response.headers["location"])
    jobs.finish("job-1")
    assert (await http.get(response.headers["location"])).json()["state"] == "ready"


@pytest.fixture
def market(storage: StorageSettings) -> Path:
    folder = storage.data_root / "sets" / "market1501"
    for name, content in INSIDE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


async def test_a_folder_is_registered_where_it_lies(
    http: httpx.AsyncClient, market: Path, jobs: FakeJobs
) -> None:
    response = await http.post(
        "/v1/datasets", json={"folder": "sets/market1501", "layout": "market1501"}
    )
    assert response.status_code == 201, response.text
    body = response.json()
    assert (body["origin"], body["folder"]) == ("folder", "sets/market1501")
    assert (body["files"], body["state"]) == (None, "ready")
    assert jobs.queued == [DatasetCheckJob(folder="sets/market1501", layout="market1501")]
    assert (await http.delete(response.headers["location"])).status_code == 204
    assert contents(market) == INSIDE
    assert_problem(await http.get(response.headers["location"]), 404, "unknown-dataset")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"folder": "gone"}, "no folder"),
        ({"folder": "/etc"}, "absolute"),
        ({"folder": "../.."}, "leads out"),
        ({"folder": "link"}, "leads out"),
        ({"folder": "."}, "holds data sets and jobs"),
        ({"folder": "sets/../datasets"}, "no folder|holds data sets"),
        ({"folder": "a\0b"}, "no path"),
        ({"folder": "sets", "layout": "mine"}, "layout"),
        ({"folder": ""}, "folder"),
        ({}, "folder: it is missing"),
        ({"folder": "sets", "more": 1}, "more"),
    ],
)
async def test_other_folders_are_not(
    http: httpx.AsyncClient,
    market: Path,
    storage: StorageSettings,
    jobs: FakeJobs,
    body: dict[str, Any],
    message: str,
) -> None:
    (storage.data_root / "link").symlink_to("/etc")
    response = await http.post("/v1/datasets", json=body)
    detail = assert_problem(response, 422, "invalid-request")["detail"]
    assert re.search(message, detail), detail
    assert str(storage.data_root) not in detail
    assert jobs.queued == []


async def test_other_bodies_are_refused(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/datasets", content=b"x", headers={"Content-Type": "text/csv"})
    assert_problem(response, 415, "unsupported-content-type")
    response = await http.post(
        "/v1/datasets", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert_problem(response, 400, "bad-request")


async def test_the_list_has_the_newest_first_without_reports(
    http: httpx.AsyncClient, market: Path
) -> None:
    assert (await http.get("/v1/datasets")).json() == {"object": "list", "data": []}
    first = (await http.post("/v1/datasets", json={"folder": "sets/market1501"})).json()
    second = (await http.post("/v1/datasets", content=zip_of(PEOPLE), headers=ZIP)).json()
    listed = (await http.get("/v1/datasets")).json()["data"]
    assert [entry["id"] for entry in listed] == [second["id"], first["id"]]
    assert [entry["report"] for entry in listed] == [None, None]


async def test_deleting_an_upload_frees_its_storage(
    http: httpx.AsyncClient, storage: StorageSettings
) -> None:
    created = await http.post("/v1/datasets", content=zip_of(PEOPLE), headers=ZIP)
    assert (await http.delete(created.headers["location"])).status_code == 204
    assert left_behind(storage) == []
    assert_problem(await http.delete(created.headers["location"]), 404, "unknown-dataset")


@pytest.mark.parametrize("dataset_id", ["ds_0", "..%2Fjobs", "x" * 200, "a.json"])
async def test_unknown_ids_are_404(http: httpx.AsyncClient, dataset_id: str) -> None:
    response = await http.get(f"/v1/datasets/{dataset_id}")
    assert response.status_code == 404
    response = await http.delete(f"/v1/datasets/{dataset_id}")
    assert response.status_code == 404


async def test_a_damaged_record_hides_no_other(
    http: httpx.AsyncClient, storage: StorageSettings, market: Path
) -> None:
    created = await http.post("/v1/datasets", json={"folder": "sets/market1501"})
    (storage.data_root / "datasets" / "ds_0000000000000000.json").write_text("{")
    listed = (await http.get("/v1/datasets")).json()["data"]
    assert [entry["id"] for entry in listed] == [created.json()["id"]]


@pytest.mark.parametrize("by", ["upload", "folder"])
async def test_a_data_set_in_use_is_not_deleted(
    http: httpx.AsyncClient, job_store: FakeJobStore, market: Path, by: str
) -> None:
    if by == "upload":
        created = await http.post("/v1/datasets", content=zip_of(PEOPLE), headers=ZIP)
    else:
        created = await http.post("/v1/datasets", json={"folder": "sets/market1501"})
    location = created.headers["location"]
    spec = {"source": {"dataset": created.json()["id"]}, "count": 2}
    job = (await http.post("/v1/jobs", json=spec)).json()
    detail = assert_problem(await http.delete(location), 409, "dataset-in-use")["detail"]
    assert job["id"] in detail
    await job_store.cancel(job["id"])
    assert (await http.delete(location)).status_code == 204


async def test_a_data_set_of_a_job_older_than_a_thousand_others_is_in_use(
    http: httpx.AsyncClient, job_store: FakeJobStore, market: Path
) -> None:
    created = await http.post("/v1/datasets", content=zip_of(PEOPLE), headers=ZIP)
    spec = {"source": {"dataset": created.json()["id"]}, "count": 2}
    job = (await http.post("/v1/jobs", json=spec)).json()["id"]
    first = job_store.jobs[job]
    for number in range(1, 1100):
        other = replace(first, job_id=job_id(number), created=EPOCH + number, state="done")
        job_store.jobs[other.job_id] = other
    location = created.headers["location"]
    assert job in assert_problem(await http.delete(location), 409, "dataset-in-use")["detail"]
    await job_store.cancel(job)
    assert (await http.delete(location)).status_code == 204


class SlowCheck(FakeJobs):
    """Answers once the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def wait(self, job_id: str, *, timeout_seconds: float) -> Result:
        await self.gate.wait()
        return await super().wait(job_id, timeout_seconds=timeout_seconds)


async def test_a_set_that_is_deleted_during_its_check_stays_deleted(
    settings: ServiceSettings, job_store: FakeJobStore, storage: StorageSettings, market: Path
) -> None:
    jobs = SlowCheck()
    app = create_app(settings, jobs, job_store, storage)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1"
    ) as http:
        creating = asyncio.create_task(
            http.post("/v1/datasets", json={"folder": "sets/market1501"})
        )
        await until(lambda: len(jobs.queued) == 1)
        (entry,) = (await http.get("/v1/datasets")).json()["data"]
        assert (await http.delete(f"/v1/datasets/{entry['id']}")).status_code == 204
        jobs.gate.set()
        assert_problem(await creating, 404, "unknown-dataset")
    assert left_behind(storage) == []


def test_changes_of_a_set_that_is_being_deleted_bring_nothing_back(
    storage: StorageSettings, market: Path
) -> None:
    """Many at once, as threads and processes of a front end are."""
    store = DatasetStore(storage.data_root)

    def told(change: Callable[[], object]) -> None:
        with contextlib.suppress(UnknownDataset):
            change()

    with ThreadPoolExecutor(8) as threads:
        for _ in range(20):
            record = store.register("sets/market1501", Reading())
            changes: list[Callable[[], object]] = [
                *[partial(store.update, record.id, state="checking")] * 6,
                *[partial(store.put_report, record.id, {})] * 6,
            ]
            changes.insert(6, partial(store.remove, record))
            list(threads.map(told, changes))
    assert left_behind(storage) == []


async def test_what_killed_processes_left_is_swept_and_what_others_receive_is_not(
    app: FastAPI, storage: StorageSettings
) -> None:
    folder = storage.data_root / "datasets"
    abandoned = [folder / ".ds_1.upload", folder / ".ds_2.removed"]
    for path in abandoned:
        path.mkdir(parents=True)
        (path / "archive").touch()
    with DatasetStore(storage.data_root).incoming() as receiving:
        async with app.router.lifespan_context(app):
            pass
        assert [path for path in abandoned if path.exists()] == []
        assert receiving.exists()
