"""What somebody says about how a data set is read reaches its check and the jobs on it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from PIL import Image

from dgnet.client import Client
from dgnet.jobs.contract import DatasetCheckJob
from dgnet.jobs.storage import StorageSettings
from dgnet.worker.bulk import Halt
from dgnet.worker.dataset_check import checked
from tests.service.archives import PEOPLE, zip_of
from tests.service.fakes import FakeJobs
from tests.service.problem import assert_problem
from tests.service.server import serving

FOLDER = "sets/market1501"
SPELLED = {"junk": ["trash", "-1"], "distractors": ["none"]}


@pytest.fixture
def market(storage: StorageSettings) -> Path:
    folder = storage.data_root / FOLDER
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("way", ["upload", "folder"])
async def test_spellings_reach_the_check_and_jobs(
    http: httpx.AsyncClient, market: Path, jobs: FakeJobs, way: str
) -> None:
    if way == "upload":
        created = await http.post(
            "/v1/datasets", params=SPELLED, files={"archive": ("a.zip", zip_of(PEOPLE))}
        )
    else:
        created = await http.post("/v1/datasets", json={"folder": FOLDER, **SPELLED})
    assert created.status_code == 201, created.text
    body = created.json()
    assert {name: body[name] for name in SPELLED} == SPELLED
    assert jobs.queued == [
        DatasetCheckJob(folder=body["folder"], junk=("trash", "-1"), distractors=("none",))
    ]
    spec = {"source": {"dataset": body["id"]}, "count": 1}
    source = (await http.post("/v1/jobs", json=spec)).json()["spec"]["source"]
    assert {name: source[name] for name in SPELLED} == SPELLED
    spec = {"source": {"dataset": body["id"], "junk": ["none"]}, "count": 1}
    source = (await http.post("/v1/jobs", json=spec)).json()["spec"]["source"]
    assert (source["junk"], source["distractors"]) == (["none"], ["none"])


async def test_spellings_are_lists_of_text(http: httpx.AsyncClient, market: Path) -> None:
    for wrong in ("-1", [1], [None], {"a": 1}):
        response = await http.post("/v1/datasets", json={"folder": FOLDER, "junk": wrong})
        assert_problem(response, 422, "invalid-request")


def test_the_client_sends_them(app: FastAPI, market: Path, jobs: FakeJobs, tmp_path: Path) -> None:
    archive = tmp_path / "people.zip"
    archive.write_bytes(zip_of(PEOPLE))
    with serving(app) as url, Client(url) as client:
        client.datasets.upload(archive, junk=["trash", "-1"], distractors=["none"])
        client.datasets.register(FOLDER, junk=["trash"])
    first, second = jobs.queued
    assert isinstance(first, DatasetCheckJob)
    assert (first.junk, first.distractors) == (("trash", "-1"), ("none",))
    assert second == DatasetCheckJob(folder=FOLDER, junk=("trash",))


def test_a_check_counts_by_them(tmp_path: Path) -> None:
    """Persons numbered from 0: all of two pictures are people's, nobody is a distractor."""
    train = tmp_path / "set" / "bounding_box_train"
    train.mkdir(parents=True)
    for person in (0, 1):
        Image.new("RGB", (8, 16), (person, 0, 0)).save(train / f"{person:04}_c1s1_000001_00.png")
    usual = checked(DatasetCheckJob(folder="set"), tmp_path, Halt()).report
    assert (usual["splits"]["train"]["people"], usual["splits"]["train"]["distractors"]) == (1, 1)
    told = checked(DatasetCheckJob(folder="set", distractors=("none",)), tmp_path, Halt()).report
    assert (told["splits"]["train"]["people"], told["splits"]["train"]["distractors"]) == (2, 0)
