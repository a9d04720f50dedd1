"""`dgnet jobs` and `dgnet datasets` against a front end on a real socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from dgnet.client import Client
from dgnet.jobs.storage import StorageSettings
from tests.commands.test_cli import exit_code
from tests.service.archives import PEOPLE, zip_of
from tests.service.fake_job_store import FILES, FakeJobStore, job_id
from tests.service.server import serving

Run = Callable[..., str]


@pytest.fixture
def url(app: FastAPI, job_store: FakeJobStore, storage: StorageSettings) -> Generator[str]:
    (storage.data_root / "market").mkdir(parents=True)

    async def finish(job: str) -> None:
        await job_store.finish(job)

    async def fail(job: str) -> None:
        await job_store.change(
            job, state="failed", error_code="storage-full", error_message="The volume is full."
        )

    app.add_api_route("/finish", finish)
    app.add_api_route("/fail", fail)
    with serving(app) as url, Client(url) as client:
        for number in range(2):
            spec = {"source": {"folder": "market"}, "count": 4, "name": f"set {number}"}
            client.jobs.submit(spec)
        yield url


@pytest.fixture
def run(url: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """What a command prints; it has to end with `code`."""

    def call(*words: str | Path, code: int = 0) -> str:
        assert exit_code(*map(str, words), "--server", url) == code
        printed = capsys.readouterr()
        return printed.out if code == 0 else printed.err

    return call


def test_jobs_are_listed_stopped_carried_on_and_deleted(run: Run) -> None:
    head, newest, oldest = run("jobs", "list").splitlines()
    assert head.split() == ["id", "name", "state", "made", "kept", "error"]
    assert newest.split()[:4] == [job_id(1), "set", "1", "queued"]
    assert oldest.startswith(job_id(0))
    listed: list[dict[str, Any]] = json.loads(run("jobs", "list", "--limit", "1", "--json"))
    assert [job["id"] for job in listed] == [job_id(1)]
    assert run("jobs", "cancel", job_id(0), job_id(1)).splitlines() == [
        f"{job_id(0)} is cancelled",
        f"{job_id(1)} is cancelled",
    ]
    assert run("jobs", "resume", job_id(0), "--quiet") == ""
    assert json.loads(run("jobs", "show", job_id(0), "--json"))["state"] == "queued"
    run("jobs", "delete", job_id(0))
    assert "No such job" in run("jobs", "show", job_id(0), code=2)


def test_a_job_that_failed_says_why(run: Run, url: str, tmp_path: Path) -> None:
    httpx.get(f"{url}/fail", params={"job": job_id(0)})
    assert "The volume is full." in run("jobs", "list")
    assert "is failed: The volume is full." in run("jobs", "show", job_id(0), code=1)
    out = tmp_path / "out"
    assert "is failed: The volume is full." in run("jobs", "fetch", job_id(0), "-o", out, code=1)
    assert not out.exists()


def test_what_a_job_made_is_fetched(run: Run, url: str, tmp_path: Path) -> None:
    httpx.get(f"{url}/finish", params={"job": job_id(1)})
    out = tmp_path / "out"
    assert "2 of 2 composites kept" in run("jobs", "fetch", job_id(1), "-o", out)
    assert {path.relative_to(out).as_posix() for path in out.rglob("*.*")} == set(FILES)
    assert "is not empty" in run("jobs", "fetch", job_id(1), "-o", out, code=2)


def test_data_sets_come_and_go(run: Run, tmp_path: Path) -> None:
    archive = tmp_path / "people.zip"
    archive.write_bytes(zip_of(PEOPLE))
    sent = run("datasets", "upload", archive, "--name", "four people")
    dataset_id, _, state = sent.split()
    assert state == "ready"
    there = json.loads(run("datasets", "register", "market", "--json"))
    assert there["folder"] == "market"
    assert "four people" in run("datasets", "list")
    listed = json.loads(run("datasets", "list", "--json"))
    assert {dataset["id"] for dataset in listed} == {dataset_id, there["id"]}
    assert f"id           {dataset_id}" in run("datasets", "show", dataset_id)
    assert json.loads(run("datasets", "check", dataset_id, "--json"))["findings"] == []
    assert run("datasets", "delete", dataset_id) == f"{dataset_id} is deleted\n"
    assert "A job uses the data set" in run("datasets", "delete", there["id"], code=2)
    assert dataset_id in run("datasets", "show", dataset_id, code=2)
    assert "does not exist" in run("datasets", "upload", tmp_path / "gone.zip", code=2)
