"""The Python client's data sets and jobs, against a front end on a real socket."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from dgnet.client import AsyncClient, Client, DGNetError, JobFailed
from dgnet.client import jobs as client_jobs
from dgnet.jobs.contract import DatasetCheckJob
from dgnet.jobs.errors import BadJob
from dgnet.jobs.generation.spec import GenerationSpec
from dgnet.jobs.storage import StorageSettings, job_folder
from dgnet.service.app import let_followers_go
from tests.service.archives import PEOPLE, zip_of
from tests.service.composites import write_set
from tests.service.fake_job_store import FILES, FakeJobStore, job_id
from tests.service.fakes import FakeJobs
from tests.service.server import serving

SPEC: dict[str, Any] = {"source": {"folder": "market"}, "count": 4}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_jobs, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr("dgnet.service.event_stream.RETRY_MILLISECONDS", 10)


@pytest.fixture
def url(app: FastAPI, job_store: FakeJobStore, storage: StorageSettings) -> Generator[str]:
    (storage.data_root / "market").mkdir(parents=True)

    # What happens to a job that is followed has to happen in the loop that serves it.
    async def change(job: str, state: str) -> None:
        failure = {"error_code": "storage-full", "error_message": "The volume is full."}
        why = failure if state == "failed" else {}
        await (
            job_store.finish(job) if state == "done" else job_store.change(job, state=state, **why)
        )

    async def let_go() -> None:
        let_followers_go(app)

    app.add_api_route("/change", change)
    app.add_api_route("/let-go", let_go)
    with serving(app) as url:
        yield url


@pytest.fixture
def client(url: str) -> Generator[Client]:
    with Client(url) as client:
        yield client


def write_people(folder: Path) -> Path:
    for name, content in PEOPLE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "readme.txt").write_text("no picture")
    return folder / "market"


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_a_data_set_is_uploaded(
    client: Client, storage: StorageSettings, jobs: FakeJobs, tmp_path: Path, kind: str
) -> None:
    source = write_people(tmp_path / "people")
    if kind == "archive":
        source = tmp_path / "people.zip"
        source.write_bytes(zip_of(PEOPLE))
    told: list[tuple[int, int]] = []
    dataset = client.datasets.upload(
        source, layout="market1501", progress=lambda sent, total: told.append((sent, total))
    )
    assert (dataset.state, dataset.files, dataset.ignored) == ("ready", 4, 0)
    assert told[-1][0] == told[-1][1]
    assert jobs.queued == [DatasetCheckJob(folder=dataset.folder, layout="market1501")]
    pictures = {path.name for path in (storage.data_root / dataset.folder).rglob("*.jpg")}
    assert pictures == {name.rpartition("/")[2] for name in PEOPLE}


def test_data_sets_are_registered_listed_and_deleted(client: Client) -> None:
    dataset = client.datasets.register("market")
    assert client.datasets.get(dataset.id) == dataset
    assert [entry.id for entry in client.datasets.list()] == [dataset.id]
    client.datasets.delete(dataset.id)
    assert client.datasets.list() == []
    with pytest.raises(DGNetError) as caught:
        client.datasets.get(dataset.id)
    assert (caught.value.status, caught.value.code) == (404, "unknown-dataset")


def test_what_is_refused_is_told(client: Client, jobs: FakeJobs, tmp_path: Path) -> None:
    source = tmp_path / "people.zip"
    source.write_bytes(zip_of({"../a.jpg": b""}))
    with pytest.raises(DGNetError, match="leads out"):
        client.datasets.upload(source)
    jobs.wait_error = BadJob("no layout that is known here")
    with pytest.raises(DGNetError, match="no layout that is known"):
        client.datasets.upload(write_people(tmp_path / "people"))
    with pytest.raises(DGNetError, match=r"count and per_identity"):
        client.jobs.submit({"source": {"folder": "market"}})


def test_jobs_are_submitted_listed_stopped_and_deleted(client: Client) -> None:
    first = client.jobs.submit(SPEC, idempotency_key="key")
    assert client.jobs.submit(SPEC, idempotency_key="key").id == first.id
    for _ in range(4):
        client.jobs.submit(SPEC)
    assert [job.id for job in client.jobs.list(limit=2)] == [job_id(4), job_id(3)]
    assert len(list(client.jobs.list())) == 5
    assert client.jobs.cancel(first.id).state == "cancelled"
    assert client.jobs.resume(first.id).state == "queued"
    assert client.jobs.get(first.id).state == "queued"
    client.jobs.delete(first.id)
    with pytest.raises(DGNetError, match="No such job"):
        client.jobs.get(first.id)


def change(url: str, job: str, state: str) -> None:
    httpx.get(f"{url}/change", params={"job": job, "state": state})


def test_a_job_is_followed_to_its_end(client: Client, url: str) -> None:
    job = client.jobs.submit(SPEC).id
    states: list[str] = []
    for event in client.jobs.follow(job):
        states.append(event.state)
        if states == ["queued"]:
            change(url, job, "running")
        if states[-1] == "running":
            change(url, job, "done")
    assert states == ["queued", "running", "done"]


def test_following_goes_on_after_the_server_let_go(client: Client, url: str, app: FastAPI) -> None:
    job = client.jobs.submit(SPEC).id
    states: list[str] = []
    for event in client.jobs.follow(job):
        states.append(event.state)
        if states == ["queued"]:
            httpx.get(f"{url}/let-go")
            app.state.dependencies.bulk.closing.clear()
            change(url, job, "running")
            change(url, job, "failed")
    assert states == ["queued", "running", "failed"]


def test_a_resumed_job_is_followed_beyond_its_first_end(client: Client, url: str) -> None:
    job = client.jobs.submit(SPEC).id
    for state in ("running", "failed", "running"):
        change(url, job, state)
    states: list[str] = []
    for event in client.jobs.follow(job):
        states.append(event.state)
        if states == ["queued", "running", "failed", "running"]:
            change(url, job, "done")
    assert states == ["queued", "running", "failed", "running", "done"]


def test_a_job_that_fails_raises_its_own_error(client: Client, url: str, tmp_path: Path) -> None:
    job = client.jobs.submit(SPEC).id
    change(url, job, "failed")
    fetch = partial(client.jobs.download_archive, target=tmp_path / "set.tar")
    for ask in (client.jobs.wait, fetch, partial(fetch, target=tmp_path / "other.tar")):
        with pytest.raises(JobFailed, match=rf"job {job} is failed: The volume is full") as caught:
            ask(job)
        assert (caught.value.code, caught.value.may_pass) == ("storage-full", False)
        assert caught.value.job == client.jobs.get(job)
    assert list(tmp_path.rglob("*.tar*")) == []
    change(url, job, "done")
    assert client.jobs.wait(job).state == "done"


def test_a_cancelled_job_says_so(client: Client, tmp_path: Path) -> None:
    job = client.jobs.submit(SPEC).id
    client.jobs.cancel(job)
    with pytest.raises(JobFailed, match="is cancelled: it was stopped and may be resumed"):
        client.jobs.download_manifest(job, tmp_path / "manifest.jsonl")


def test_a_job_is_for_the_model_that_is_named(client: Client) -> None:
    assert client.jobs.submit(SPEC, model="tiny").model_version == "0123456789ab"
    with pytest.raises(DGNetError, match="'nobody'") as caught:
        client.jobs.submit(SPEC, model="nobody")
    assert caught.value.code == "unknown-model"


def test_a_spec_may_be_a_model(client: Client) -> None:
    spec = GenerationSpec.model_validate(SPEC | {"count": 7})
    assert client.jobs.submit(spec).spec["count"] == 7


async def test_bulk_generation_without_blocking(url: str, tmp_path: Path) -> None:
    """The same requests from an event loop; several at once."""
    told: list[tuple[int, int]] = []
    async with AsyncClient(url) as client:
        dataset = await client.datasets.upload(
            write_people(tmp_path / "people"),
            progress=lambda sent, total: told.append((sent, total)),
        )
        assert (dataset.files, told[-1][0]) == (4, told[-1][1])
        spec = {"source": {"dataset": dataset.id}, "count": 4}
        jobs = await asyncio.gather(*(client.jobs.submit(spec) for _ in range(3)))
        assert {job.id async for job in client.jobs.list()} == {job.id for job in jobs}
        states: list[str] = []
        async with httpx.AsyncClient(base_url=url) as other:
            async for event in client.jobs.follow(jobs[0].id):
                states.append(event.state)
                if event.state == "queued":
                    await other.get("/change", params={"job": jobs[0].id, "state": "done"})
        assert states == ["queued", "done"]
        assert (await client.jobs.wait(jobs[0].id)).kept == 2
        await client.jobs.download_archive(jobs[0].id, tmp_path / "set.tar")
        with tarfile.open(tmp_path / "set.tar") as archive:
            assert sorted(archive.getnames()) == sorted(FILES)
        await client.jobs.cancel(jobs[1].id)
        with pytest.raises(JobFailed, match="is cancelled"):
            await client.jobs.wait(jobs[1].id)


def test_a_job_that_nobody_knows_is_not_followed(client: Client) -> None:
    with pytest.raises(DGNetError) as caught:
        next(client.jobs.follow(job_id(9)))
    assert caught.value.status == 404


def test_a_server_that_stays_away_is_given_up() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(DGNetError, match="reached"):
        next(client.jobs.follow(job_id(9), patience_seconds=0))


def test_what_a_job_made_is_downloaded_whole(client: Client, url: str, tmp_path: Path) -> None:
    job = client.jobs.submit(SPEC).id
    with pytest.raises(DGNetError, match="has no result yet"):
        client.jobs.download_archive(job, tmp_path / "set.tar")
    assert list(tmp_path.glob("*.tar*")) + list(tmp_path.glob(".*")) == []
    change(url, job, "done")
    told: list[tuple[int, int]] = []
    client.jobs.download_archive(
        job, tmp_path / "new" / "set.tar", progress=lambda got, total: told.append((got, total))
    )
    with tarfile.open(tmp_path / "new" / "set.tar") as archive:
        assert sorted(archive.getnames()) == sorted(FILES)
    assert told[-1][0] == told[-1][1] == (tmp_path / "new" / "set.tar").stat().st_size
    for name in ("manifest.parquet", "manifest.jsonl"):
        client.jobs.download_manifest(job, tmp_path / name)
        assert (tmp_path / name).read_bytes() == FILES[name]
    client.jobs.download_preview(job, tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").read_bytes() == FILES["sheet.png"]


class _Breaking(httpx.SyncByteStream):
    """Half of an answer, then the connection is gone."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Generator[bytes]:
        yield self._content
        raise httpx.ReadError("connection reset")


WHOLE = bytes(range(256)) * 100


def ranged(etag: Callable[[int], str]) -> httpx.MockTransport:
    """A server whose connection breaks twice; `etag` of the n-th answer."""
    calls: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        number = len(calls)
        calls.append(request.headers.get("range", ""))
        start = 0
        if request.headers.get("if-range") == etag(number):
            start = int(calls[-1].removeprefix("bytes=").removesuffix("-"))
        rest = WHOLE[start:]
        headers = {"Content-Length": str(len(rest)), "ETag": etag(number)}
        status = 206 if start else 200
        if number < 2:
            stream = _Breaking(rest[: len(rest) // 2])
            return httpx.Response(status, headers=headers, stream=stream)
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(rest))

    return httpx.MockTransport(answer)


@pytest.mark.parametrize("changes", [False, True])
def test_a_download_that_breaks_off_goes_on(tmp_path: Path, changes: bool) -> None:
    transport = ranged(lambda number: f'"{number if changes else 0}"')
    target = tmp_path / "set.tar"
    told: list[int] = []
    with Client("http://server", transport=transport) as client:
        client.jobs.download_archive(job_id(0), target, progress=lambda got, _: told.append(got))
    assert target.read_bytes() == WHOLE
    # Another file is fetched from its beginning.
    assert told == ([12800, 12800, 25600] if changes else [12800, 19200, 25600])
    assert list(tmp_path.iterdir()) == [target]


def test_a_download_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "set.tar"
    target.write_bytes(b"before")
    transport = httpx.MockTransport(lambda _: httpx.Response(410, text="gone"))
    with Client("http://server", transport=transport) as client, pytest.raises(DGNetError):
        client.jobs.download_archive(job_id(0), target)
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


def test_an_archive_of_the_client_is_one_that_others_read(tmp_path: Path) -> None:
    from dgnet.jobs.tarball import files_below, tar_range, tar_size

    folder = write_people(tmp_path)
    data = b"".join(tar_range(files_below(folder), 0, tar_size(files_below(folder))))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert len(archive.getnames()) == 4


def test_composites_come_page_by_page(
    url: str, client: Client, storage: StorageSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_jobs, "_COMPOSITES_AT_ONCE", 2)
    job = client.jobs.submit(SPEC).id
    write_set(job_folder(storage.data_root, job))
    httpx.get(f"{url}/change", params={"job": job, "state": "done"})
    write_set(job_folder(storage.data_root, job))  # what the fake wrote is another manifest

    def positions(**options: Any) -> list[int]:
        return [row.position for row in client.jobs.composites(job, **options)]

    assert positions(kept=True, sort="identity_consistency", order="desc") == [1, 5, 0, 3]
    assert positions(limit=3) == [0, 1, 2]
