"""Looking through a job's composites: filters, order, pages, pictures, while it runs and after."""

from __future__ import annotations

import io
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from dgnet.jobs.generation.spec import spec_from
from dgnet.jobs.storage import StorageSettings, job_folder
from dgnet.service import composite_index
from dgnet.service.app import create_app
from dgnet.service.composite_index import BYTES_A_ROW, CompositeIndex
from dgnet.service.settings import ServiceSettings
from tests.service.composites import FEW, lines, row, write_set, write_shard
from tests.service.fake_job_store import FakeJobStore
from tests.service.fakes import FakeJobs, encode, gradient
from tests.service.problem import assert_problem


@pytest_asyncio.fixture
async def job(job_store: FakeJobStore, storage: StorageSettings) -> str:
    """Running, nothing made yet."""
    (storage.data_root / "market").mkdir(parents=True)
    created, _ = await job_store.submit(spec_from({"source": {"folder": "market"}, "count": 6}))
    await job_store.change(created.job_id, state="running")
    return created.job_id


@pytest_asyncio.fixture
async def done(job_store: FakeJobStore, storage: StorageSettings, job: str) -> str:
    write_set(job_folder(storage.data_root, job))
    await job_store.change(job, state="done")
    return job


async def positions(http: httpx.AsyncClient, job: str, query: str = "") -> list[int]:
    answer = (await http.get(f"/v1/jobs/{job}/composites?{query}")).json()
    found = [entry["position"] for entry in answer["data"]]
    if "after" not in query and "limit" not in query:
        assert answer["total"] == len(found)
    return found


async def test_a_row_is_the_manifests_with_the_places_of_its_pictures(
    http: httpx.AsyncClient, done: str
) -> None:
    answer = (await http.get(f"/v1/jobs/{done}/composites")).json()
    assert answer["total"] == 6
    assert answer["next"] is None
    kept, dropped = answer["data"][0], answer["data"][2]
    place = f"/v1/jobs/{done}/composites/0/"
    links = {role: place + role for role in ("composite", "appearance", "structure")}
    assert kept == {**row(0), "links": links}
    assert dropped["links"]["composite"] is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("person=3", [1, 3, 4, 5]),
        ("camera=2", [0, 2, 3, 5]),
        ("person=1&camera=2", [0, 2]),
        ("kept=true", [0, 1, 3, 5]),
        ("kept=false", [2, 4]),
        ("dropped=unreadable_picture", [4]),
        ("dropped=nothing_like_it", []),
        ("score=identity_consistency", [0, 1, 2, 3, 5]),
        ("score=identity_consistency&minimum=0.5&maximum=0.7", [0, 3, 5]),
        ("order=desc", [5, 4, 3, 2, 1, 0]),
        ("sort=identity_consistency", [2, 0, 3, 5, 1, 4]),
        ("sort=identity_consistency&order=desc", [1, 5, 0, 3, 2, 4]),
        ("sort=realism_percentile", [0, 1, 2, 3, 4, 5]),
    ],
)
async def test_filters_and_orders(
    http: httpx.AsyncClient, done: str, query: str, expected: list[int]
) -> None:
    assert await positions(http, done, query) == expected


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 5, 6])
async def test_pages_have_every_composite_once(
    http: httpx.AsyncClient, done: str, order: str, limit: int
) -> None:
    """Equal scores and missing ones lie at the seams of pages."""
    query = f"sort=identity_consistency&order={order}"
    whole = await positions(http, done, query)
    address = f"/v1/jobs/{done}/composites?{query}&limit={limit}"
    seen: list[int] = []
    while address:
        page = (await http.get(address)).json()
        assert page["total"] == 6
        seen += [entry["position"] for entry in page["data"]]
        address = page["next"]
    assert seen == whole


async def test_a_job_under_way_shows_its_shards(
    http: httpx.AsyncClient, job_store: FakeJobStore, storage: StorageSettings, job: str
) -> None:
    folder = job_folder(storage.data_root, job)
    assert await positions(http, job) == []
    write_shard(folder, 1, 3, 4, 5)
    assert await positions(http, job) == [3, 4, 5]
    write_shard(folder, 0, 0, 1)  # of another worker, which took longer
    assert await positions(http, job) == [0, 1, 3, 4, 5]
    shutil.rmtree(folder / "shards" / "000000")
    write_shard(folder, 0, 0, 1, 2)  # made anew
    assert await positions(http, job) == [0, 1, 2, 3, 4, 5]
    picture = f"/v1/jobs/{job}/composites/5/composite"
    assert (await http.get(picture)).content == b"\xff\xd8picture"
    write_set(folder)
    shutil.rmtree(folder / "shards")
    await job_store.change(job, state="done")
    assert await positions(http, job, "dropped=low_identity_consistency") == [2]
    assert (await http.get(picture)).content == b"\xff\xd8picture"


async def test_pictures_of_a_composite_and_of_its_sources(
    http: httpx.AsyncClient, storage: StorageSettings, done: str
) -> None:
    source = storage.data_root / "market"
    (source / row(0)["appearance_path"]).write_bytes(encode(gradient(8, 16), "JPEG"))
    (source / row(0)["structure_path"]).write_bytes(encode(gradient(8, 16), "BMP"))
    place = f"/v1/jobs/{done}/composites/0"
    appearance = await http.get(f"{place}/appearance")
    assert appearance.content == (source / row(0)["appearance_path"]).read_bytes()
    assert appearance.headers["content-type"] == "image/jpeg"
    structure = await http.get(f"{place}/structure")  # browsers show no BMP of everybody
    assert structure.headers["content-type"] == "image/png"
    assert structure.content.startswith(b"\x89PNG")
    gone = await http.get(f"/v1/jobs/{done}/composites/5/appearance")
    assert "was deleted or changed" in assert_problem(gone, 404, "unknown-composite")["detail"]
    dropped = await http.get(f"/v1/jobs/{done}/composites/2/composite")
    assert "dropped (low_identity" in assert_problem(dropped, 404, "unknown-composite")["detail"]
    assert_problem(await http.get(f"{place[:-1]}6/composite"), 404, "unknown-composite")


async def test_no_path_of_a_manifest_leads_out_of_its_folder(
    http: httpx.AsyncClient, storage: StorageSettings, done: str
) -> None:
    (storage.data_root / "secret.jpg").write_bytes(encode(gradient(8, 16), "JPEG"))
    manifest = job_folder(storage.data_root, done) / "manifest.jsonl"
    text = manifest.read_text()
    for name in (row(0)["appearance_path"], row(0)["file"]):
        text = text.replace(name, "../../secret.jpg")
    manifest.write_text(text)
    for role in ("appearance", "composite"):
        answer = await http.get(f"/v1/jobs/{done}/composites/0/{role}")
        assert_problem(answer, 404, "unknown-composite")


async def test_a_packed_composite_is_taken_out(
    http: httpx.AsyncClient, storage: StorageSettings, done: str
) -> None:
    folder = job_folder(storage.data_root, done)
    with tarfile.open(folder / "composites-000000.tar", "w") as tar:
        member = tarfile.TarInfo("one.webp")
        member.size = 6
        tar.addfile(member, io.BytesIO(b"packed"))
    manifest = folder / "manifest.jsonl"
    name = row(0)["file"]
    manifest.write_text(manifest.read_text().replace(name, "composites-000000.tar/one.webp"))
    answer = await http.get(f"/v1/jobs/{done}/composites/0/composite")
    assert answer.content == b"packed"
    assert answer.headers["content-type"] == "image/webp"


async def test_the_summary_counts_all_and_bins_what_was_recorded(
    http: httpx.AsyncClient, done: str
) -> None:
    answer = (await http.get(f"/v1/jobs/{done}/composites/summary?bins=4")).json()
    assert {name: value for name, value in answer.items() if name != "scores"} == {
        "composites": 6,
        "kept": 4,
        "dropped": {"low_identity_consistency": 1, "unreadable_picture": 1},
        "persons": [1, 2, 3],
        "cameras": [1, 2, 3],
    }
    assert answer["scores"]["identity_consistency"] == {
        "lowest": -1, "highest": 1,
        # -1 to -0.5, to 0, to 0.5, to 1
        "kept": [0, 0, 0, 4], "dropped": [0, 0, 1, 0],
        "mean": pytest.approx(0.54), "missing": 1,
    }  # fmt: skip
    assert answer["scores"]["kept_share"]["kept"] == [4, 0, 0, 0]
    assert list(answer["scores"]) == ["identity_consistency", "kept_share"]


@pytest.mark.parametrize(
    "query",
    ["minimum=0.5", "after=77", "limit=201", "sort=beauty", "score=realism_percentile&minimum=nan"],
)
async def test_what_cannot_be_meant_is_refused(
    http: httpx.AsyncClient, done: str, query: str
) -> None:
    assert_problem(await http.get(f"/v1/jobs/{done}/composites?{query}"), 422, "invalid-request")


async def test_what_is_gone_is_told(
    http: httpx.AsyncClient, job_store: FakeJobStore, storage: StorageSettings, done: str
) -> None:
    shutil.rmtree(job_folder(storage.data_root, done))
    assert_problem(await http.get(f"/v1/jobs/{done}/composites"), 410, "job-expired")
    job_store.jobs[done] = replace(job_store.jobs[done], state="expired")
    assert_problem(await http.get(f"/v1/jobs/{done}/composites"), 410, "job-expired")
    answer = await http.get(f"/v1/jobs/gen_{'x' * 22}/composites")
    assert_problem(answer, 404, "unknown-job")


@pytest.mark.parametrize("damage", [b"no JSON\n", b"[]\n", b'{"position": 0}\n', b"\xff\n"])
async def test_a_damaged_manifest_is_told(
    http: httpx.AsyncClient, storage: StorageSettings, done: str, damage: bytes
) -> None:
    manifest = job_folder(storage.data_root, done) / "manifest.jsonl"
    manifest.write_bytes(lines(0) + damage)
    answer = await http.get(f"/v1/jobs/{done}/composites")
    assert "is damaged" in assert_problem(answer, 503, "storage-failed")["detail"]


async def test_indexes_stay_within_their_memory(
    jobs: FakeJobs, job_store: FakeJobStore, storage: StorageSettings, done: str
) -> None:
    room = ServiceSettings(max_index_bytes=1024 if BYTES_A_ROW * 6 < 1024 else BYTES_A_ROW * 7)
    app = create_app(room, jobs, job_store, storage)
    most = room.max_index_bytes // BYTES_A_ROW
    composites = app.state.dependencies.bulk.composites
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        created, _ = await job_store.submit(spec_from({"source": {"folder": "m"}, "count": 6}))
        other = created.job_id
        write_set(job_folder(storage.data_root, other))
        await job_store.change(other, state="done")
        for job in (done, other, done):
            assert len(await positions(http, job)) == 6
            assert composites.kept_bytes <= room.max_index_bytes
        manifest = job_folder(storage.data_root, other) / "manifest.jsonl"
        manifest.write_bytes(lines(0) * (most + 1))
        answer = await http.get(f"/v1/jobs/{other}/composites")
        detail = assert_problem(answer, 422, "too-many-to-browse")["detail"]
        assert f"more than {most} composites" in detail


def test_rows_are_found_again_across_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composite_index, "_BLOCK_BYTES", 100)  # less than a row
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_bytes(lines(*range(len(FEW))))
    index = CompositeIndex.empty().with_parts([manifest], max_rows=10)
    assert b"".join(line + b"\n" for line in index.lines(range(6))) == manifest.read_bytes()


def test_a_name_that_is_no_text_hides_no_row(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.jsonl"
    strange = lines(0).replace(b"0001_c1s1", b"\\udc80_c1s1")
    manifest.write_bytes(strange + lines(1))
    index = CompositeIndex.empty().with_parts([manifest], max_rows=10)
    found: list[dict[str, Any]] = [composite_index.loads(line) for line in index.lines([0, 1])]
    assert found[0]["appearance_path"] == "\udc80_c1s1_000000_00.jpg"
    assert found[1] == row(1)
