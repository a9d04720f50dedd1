"""What a job made, over HTTP: whole, in part, and only once it is there."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from dgnet.jobs.generation.spec import spec_from
from dgnet.jobs.storage import StorageSettings, job_folder, request_file
from dgnet.jobs.tarball import files_below, tar_range, tar_size
from tests.service.fake_job_store import FILES, FakeJobStore
from tests.service.problem import assert_problem

LEAVES = ("manifest", "preview", "archive", "files/card.md")


@pytest_asyncio.fixture
async def job(job_store: FakeJobStore) -> str:
    created, _ = await job_store.submit(spec_from({"source": {"folder": "market"}, "count": 2}))
    return created.job_id


@pytest_asyncio.fixture
async def done(job_store: FakeJobStore, job: str) -> str:
    await job_store.finish(job)
    return job


def members(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found: dict[str, bytes] = {}
        for info in archive:
            file = archive.extractfile(info)
            assert file is not None
            found[info.name] = file.read()
        return found


@pytest.mark.parametrize(
    ("accept", "name", "media_type"),
    [
        (None, "manifest.parquet", "application/vnd.apache.parquet"),
        ("application/vnd.apache.parquet", "manifest.parquet", "application/vnd.apache.parquet"),
        ("application/x-ndjson", "manifest.jsonl", "application/x-ndjson"),
    ],
)
async def test_the_manifest_comes_in_both_formats(
    http: httpx.AsyncClient, done: str, accept: str | None, name: str, media_type: str
) -> None:
    headers = {"Accept": accept} if accept else {}
    response = await http.get(f"/v1/jobs/{done}/manifest", headers=headers)
    assert response.content == FILES[name]
    assert response.headers["content-type"] == media_type
    assert response.headers["vary"] == "Accept"
    assert f'filename="{done}.{name}"' in response.headers["content-disposition"]


async def test_another_manifest_is_not_acceptable(http: httpx.AsyncClient, done: str) -> None:
    response = await http.get(f"/v1/jobs/{done}/manifest", headers={"Accept": "text/csv"})
    assert_problem(response, 406, "not-acceptable")


async def test_the_contact_sheet_is_a_picture(
    http: httpx.AsyncClient, done: str, storage: StorageSettings
) -> None:
    response = await http.get(f"/v1/jobs/{done}/preview")
    assert (response.content, response.headers["content-type"]) == (
        FILES["sheet.png"],
        "image/png",
    )
    (job_folder(storage.data_root, done) / "sheet.png").unlink()  # none if nothing was kept
    assert_problem(await http.get(f"/v1/jobs/{done}/preview"), 404, "unknown-file")


async def test_the_archive_has_every_file_and_says_how_long_it_is(
    http: httpx.AsyncClient, done: str, storage: StorageSettings
) -> None:
    folder = job_folder(storage.data_root, done)
    (folder / ".delivered-1.jsonl").touch()
    request_file(storage.data_root, done).touch()
    response = await http.get(f"/v1/jobs/{done}/archive")
    assert response.headers["content-type"] == "application/x-tar"
    assert int(response.headers["content-length"]) == len(response.content)
    assert members(response.content) == FILES
    again = await http.get(f"/v1/jobs/{done}/archive")
    assert again.content == response.content


@pytest.mark.parametrize("leaf", ["archive", "manifest", "files/card.md"])
async def test_any_range_is_the_same_part_of_the_whole(
    http: httpx.AsyncClient, done: str, leaf: str
) -> None:
    whole = await http.get(f"/v1/jobs/{done}/{leaf}")
    size = len(whole.content)
    for wanted, start, stop in [
        ("bytes=0-0", 0, 1),
        ("bytes=1-", 1, size),
        ("bytes=-5", size - 5, size),
        (f"bytes=3-{size + 100}", 3, size),
        ("bytes=0-9", 0, 10),
        (f"bytes={size - 1}-", size - 1, size),
    ]:
        headers = {"Range": wanted, "If-Range": whole.headers["etag"]}
        part = await http.get(f"/v1/jobs/{done}/{leaf}", headers=headers)
        assert part.status_code == 206, wanted
        assert part.content == whole.content[start:stop], wanted
        assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
    for wanted in ("bytes=0-1,3-4", "lines=1-2", "bytes=-", "bytes=5-1", "bytes"):
        answer = await http.get(f"/v1/jobs/{done}/{leaf}", headers={"Range": wanted})
        assert (answer.status_code, len(answer.content)) == (200, size), wanted
    stale = {"Range": "bytes=1-2", "If-Range": '"other"'}
    assert (await http.get(f"/v1/jobs/{done}/{leaf}", headers=stale)).status_code == 200
    response = await http.get(f"/v1/jobs/{done}/{leaf}", headers={"Range": f"bytes={size}-"})
    assert_problem(response, 416, "range-not-satisfiable")
    assert response.headers["content-range"] == f"bytes */{size}"


def test_every_range_of_a_tar_is_that_part_of_it(tmp_path: Path) -> None:
    sizes = {"a": 0, "b/c.jpg": 511, "b/d.jpg": 512, "b/e": 513, f"{'l' * 120}/{'n' * 150}.jpg": 7}
    for name, size in sizes.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes(range(256)) * 3)
        with (tmp_path / name).open("r+b") as file:
            file.truncate(size)
    size = tar_size(files_below(tmp_path))
    whole = b"".join(tar_range(files_below(tmp_path), 0, size))
    assert len(whole) == size
    assert {name: len(content) for name, content in members(whole).items()} == sizes
    for start in range(0, size, 97):
        for stop in (start, start + 1, start + 700, size):
            part = b"".join(tar_range(files_below(tmp_path), start, stop))
            assert part == whole[start:stop], (start, stop)


def test_a_file_that_shrinks_while_it_is_sent_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(1000))
    entries = list(files_below(tmp_path))
    (tmp_path / "a").write_bytes(bytes(10))
    with pytest.raises(ValueError, match="shorter"):
        list(tar_range(iter(entries), 0, 3000))


@pytest.mark.parametrize("name", FILES)
async def test_files_come_one_by_one(http: httpx.AsyncClient, done: str, name: str) -> None:
    response = await http.get(f"/v1/jobs/{done}/files/{name}")
    assert response.content == FILES[name]
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    ["gone.jpg", "plots", "", ".hidden", "..%2F..%2Fsecret", "%2Fetc%2Fpasswd", "link", "a%00b",
     "..%2Fgen_0000000000000000000000.json"],
)  # fmt: skip
async def test_no_other_file_is_served(
    http: httpx.AsyncClient, done: str, storage: StorageSettings, path: str
) -> None:
    folder = job_folder(storage.data_root, done)
    (storage.data_root / "secret").write_text("secret")
    (folder / ".hidden").write_text("secret")
    (folder / "link").symlink_to(storage.data_root / "secret")
    response = await http.get(f"/v1/jobs/{done}/files/{path}")
    assert response.status_code == 404
    assert "secret" not in response.text or "%2F" in path


@pytest.mark.parametrize("leaf", LEAVES)
async def test_nothing_is_fetched_before_the_job_is_done(
    http: httpx.AsyncClient, job_store: FakeJobStore, job: str, leaf: str
) -> None:
    for state in ("queued", "running", "assembling", "failed", "cancelled"):
        await job_store.change(job, state=state)
        body = assert_problem(await http.get(f"/v1/jobs/{job}/{leaf}"), 409, "result-not-ready")
        assert state in body["detail"]


@pytest.mark.parametrize("leaf", LEAVES)
async def test_what_was_removed_is_gone(
    http: httpx.AsyncClient, job_store: FakeJobStore, job: str, leaf: str
) -> None:
    await job_store.change(job, state="done")  # its folder is not there any more
    assert_problem(await http.get(f"/v1/jobs/{job}/{leaf}"), 410, "job-expired")
    await job_store.change(job, state="expired")
    assert_problem(await http.get(f"/v1/jobs/{job}/{leaf}"), 410, "job-expired")


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("a\nb.jpg", "a%0Ab.jpg"),
        ("a\r\n.jpg", "a%0D%0A.jpg"),
        ("end.jpg\n", "end.jpg%0A"),
        ("a\u2028b.jpg", "a%E2%80%A8b.jpg"),
        ('a"b\\;.jpg', "a%22b%5C%3B.jpg"),
        ("jörg 1.jpg", "j%C3%B6rg%201.jpg"),
    ],
)
async def test_a_file_of_any_name_is_fetched_by_it(
    http: httpx.AsyncClient, done: str, storage: StorageSettings, name: str, sent: str
) -> None:
    path = job_folder(storage.data_root, done) / "train" / "a\nperson" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"picture")
    response = await http.get(f"/v1/jobs/{done}/files/train/a%0Aperson/{sent}")
    assert (response.status_code, response.content) == (200, b"picture")
    assert response.headers["content-disposition"].endswith(f"filename*=UTF-8''{sent}")
    assert f"train/a\nperson/{name}" in members(
        (await http.get(f"/v1/jobs/{done}/archive")).content
    )
