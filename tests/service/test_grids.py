"""Grids, lists of pairs and walks over a fake queue, whose cells are half of each picture added."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from dgnet.jobs.contract import SCENES, GridJob
from dgnet.jobs.errors import QueueFull, WaitTimeout
from dgnet.service.settings import ServiceSettings
from tests.service.fakes import MODEL, READY_WORKER, FakeJobs, encode, png
from tests.service.problem import assert_problem

Files = list[tuple[str, Any]]
GRID, BATCH, WALK = (f"/v1/swaps/{name}" for name in ("grid", "batch", "interpolation"))


@pytest.fixture
def settings() -> ServiceSettings:
    return ServiceSettings(
        max_body_bytes=200_000, max_picture_bytes=100_000, max_pictures=6, max_composites=8
    )


def gray(value: int) -> bytes:
    return png((value, value, value))


def files(role: str, *values: int) -> Files:
    return [(role, gray(value)) for value in values]


def grid_form(appearances: tuple[int, ...] = (20, 40), structures: tuple[int, ...] = (100, 200)):
    return files("appearance", *appearances) + files("structure", *structures)


def batch_form(pairs: object, *values: int) -> Files:
    return [*files("pictures", *values), ("pairs", (None, json.dumps(pairs)))]


def colors(composites: Any) -> list[Any]:
    """Of pictures of one color."""
    array = np.asarray(composites)
    assert (array == array[..., :1, :1, :1]).all()
    return array[..., 0, 0, 0].tolist()


def npz(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    with np.load(io.BytesIO(response.content), allow_pickle=False) as arrays:
        return dict(arrays)


AS_NPZ = {"Accept": "application/x-npz"}
AS_ZIP = {"Accept": "application/zip"}


async def test_a_grid_has_every_appearance_on_every_structure(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    response = await http.post(GRID, files=grid_form(structures=(100, 200, 0)), headers=AS_NPZ)
    arrays = npz(response)
    assert arrays["composites"].shape == (2, 3, 16, 8, 3)
    assert colors(arrays["composites"]) == [[60, 110, 10], [70, 120, 20]]
    assert arrays["appearances"].tolist() == [0, 0, 0, 1, 1, 1]
    assert arrays["structures"].tolist() == [0, 1, 2, 0, 1, 2]
    assert str(arrays["model_version"]) == MODEL.model_version
    assert response.headers["x-model-version"] == MODEL.model_version
    assert response.headers["vary"] == "Accept"
    assert "decode;dur=" in response.headers["server-timing"]
    (job,) = jobs.queued
    assert isinstance(job, GridJob)
    assert (len(job.appearance_images), len(job.structure_images)) == (2, 3)


async def test_a_sheet_shows_the_composites_between_their_sources(
    http: httpx.AsyncClient,
) -> None:
    response = await http.post(GRID, files=grid_form())
    assert response.headers["content-type"] == "image/png"
    sheet = np.asarray(Image.open(io.BytesIO(response.content)))
    # Pictures are 16 x 8, 3 pixels lie around each and 9 more before the composites.
    assert sheet.shape == (3 * 19 + 3 + 9, 3 * 11 + 3 + 9, 3)
    assert [sheet[5, 3 + 11 + 9 + 1, 0], sheet[5, 3 + 22 + 9 + 1, 0]] == [100, 200]
    assert [sheet[3 + 19 + 9 + 1, 5, 0], sheet[3 + 38 + 9 + 1, 5, 0]] == [20, 40]
    assert [sheet[32, 24, 0], sheet[32, 35, 0]] == [60, 110]
    assert [sheet[51, 24, 0], sheet[51, 35, 0]] == [70, 120]
    assert (sheet[:3] == 255).all()

    response = await http.post(GRID, files=grid_form(), headers={"Accept": "image/jpeg"})
    assert response.content.startswith(b"\xff\xd8\xff")


async def test_a_zip_holds_single_files_and_says_what_they_are(http: httpx.AsyncClient) -> None:
    response = await http.post(GRID, files=grid_form(), headers=AS_ZIP)
    assert response.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        index = json.loads(archive.read("index.json"))
        made = {
            one["file"]: int(np.asarray(Image.open(archive.open(one["file"])))[0, 0, 0])
            for one in index["data"]
        }
        assert archive.namelist() == ["index.json", *made]
    assert made == {
        "appearance-000-structure-000.png": 60,
        "appearance-000-structure-001.png": 110,
        "appearance-001-structure-000.png": 70,
        "appearance-001-structure-001.png": 120,
    }
    assert index["model_version"] == MODEL.model_version
    last = {"appearance": 1, "structure": 1, "second_appearance": None, "weight": 0.0}
    assert index["data"][-1] == {"file": "appearance-001-structure-001.png", **last}


async def test_pairs_name_pictures_that_are_sent_once(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    form = batch_form([[0, 1], [1, 0], [0, 0], [0, 3]], 20, 100, 55, 200)
    arrays = npz(await http.post(BATCH, files=form, headers=AS_NPZ))
    assert colors(arrays["composites"]) == [60, 60, 20, 110]
    assert arrays["appearances"].tolist() == [0, 1, 0, 0]
    assert arrays["structures"].tolist() == [1, 0, 0, 3]
    (job,) = jobs.queued
    assert isinstance(job, GridJob)
    # Each once in its role; the third picture, which is in no pair, is not encoded at all.
    assert job.appearance_images[:, 0, 0, 0].tolist() == [20, 100]
    assert job.structure_images[:, 0, 0, 0].tolist() == [20, 100, 200]

    sheet = await http.post(BATCH, files=form)
    picture = np.asarray(Image.open(io.BytesIO(sheet.content)))
    assert picture.shape == (16 + 6, 4 * (3 * 8 + 3) + 3, 3)
    assert [int(picture[5, 4 + 8 * n, 0]) for n in range(3)] == [20, 100, 60]
    with zipfile.ZipFile(
        io.BytesIO((await http.post(BATCH, files=form, headers=AS_ZIP)).content)
    ) as archive:
        assert archive.namelist()[1:] == [f"pair-{number:04}.png" for number in range(4)]


@pytest.mark.parametrize(
    ("query", "weights", "expected"),
    [
        ("", [0, 0.25, 0.5, 0.75, 1], [60, 70, 80, 90, 100]),
        ("?steps=3", [0, 0.5, 1], [60, 80, 100]),
        ("?weight=1&weight=0.1", [1, 0.1], [100, 64]),
    ],
)
async def test_a_walk_goes_from_one_appearance_to_another(
    http: httpx.AsyncClient, query: str, weights: list[float], expected: list[int]
) -> None:
    form = grid_form((20, 100), (100,))
    arrays = npz(await http.post(f"{WALK}{query}", files=form, headers=AS_NPZ))
    assert colors(arrays["composites"]) == expected
    assert arrays["weights"].tolist() == pytest.approx(weights)
    sheet = np.asarray(
        Image.open(io.BytesIO((await http.post(f"{WALK}{query}", files=form)).content))
    )
    assert [int(sheet[5, 5 + 11 * n, 0]) for n in range(len(weights) + 2)] == [20, *expected, 100]


@pytest.mark.parametrize("path", [GRID, BATCH, WALK])
async def test_the_scene_travels_with_the_job(
    http: httpx.AsyncClient, jobs: FakeJobs, path: str
) -> None:
    form = batch_form([[0, 1]], 1, 2) if path == BATCH else grid_form((1, 2), (3,))
    response = await http.post(f"{path}?scene=keep", files=form)
    assert_problem(response, 422, "invalid-request")
    assert not jobs.queued
    jobs.live_workers = [replace(READY_WORKER, model=replace(MODEL, scenes=SCENES))]
    assert (await http.post(f"{path}?scene=keep", files=form)).status_code == 200
    (job,) = jobs.queued
    assert isinstance(job, GridJob)
    assert job.scene == "keep"


@pytest.mark.parametrize(
    ("path", "form", "status", "code", "words"),
    [
        (GRID, files("appearance", 1), 422, "missing-part", "no part 'structure'"),
        (GRID, grid_form((1, 2, 3), (1, 2, 3)), 413, "too-many-composites", "9 composites"),
        (GRID, grid_form((1, 2, 3, 4), (1, 2, 3)), 413, "too-many-pictures", "more than 6 parts"),
        (GRID, [*grid_form(), ("scene", (None, "keep"))], 422, "invalid-request", "?scene=keep"),
        (GRID, [*grid_form(), ("structure", b"no")], 415, "not-a-picture", "structure picture 2"),
        (BATCH, files("pictures", 1, 2), 422, "missing-part", "no part 'pairs'"),
        (BATCH, batch_form([[0, 2]], 1, 2), 422, "invalid-request", "pairs.0 is [0, 2]"),
        (BATCH, batch_form([[0, -1]], 1, 2), 422, "invalid-request", "0 to 1"),
        (BATCH, batch_form([[0, 1, 2]], 1, 2), 422, "invalid-request", "pairs.0"),
        (BATCH, batch_form([[0, 0.5]], 1, 2), 422, "invalid-request", "pairs.0.1"),
        (BATCH, batch_form([["0", "1"]], 1, 2), 422, "invalid-request", "pairs.0.0"),
        (BATCH, batch_form([], 1), 422, "invalid-request", "empty"),
        (BATCH, batch_form({"a": 1}, 1), 422, "invalid-request", "pairs: "),
        (BATCH, batch_form([[0, 0]] * 9, 1), 413, "too-many-composites", "9 composites"),
        (WALK, grid_form((1,), (1,)), 422, "missing-part", "expected two and one"),
        (WALK, grid_form((1, 2, 3), (1,)), 413, "too-many-pictures", "expected two and one"),
        (f"{WALK}?steps=9", grid_form((1, 2), (1,)), 413, "too-many-composites", "9 composites"),
        (f"{WALK}?steps=1", grid_form((1, 2), (1,)), 422, "invalid-request", "steps"),
        (f"{WALK}?weight=1.1", grid_form((1, 2), (1,)), 422, "invalid-request", "weight"),
        (f"{WALK}?weight=nan", grid_form((1, 2), (1,)), 422, "invalid-request", "weight"),
        (f"{WALK}?steps=3&weight=1", grid_form((1, 2), (1,)), 422, "invalid-request", "one of"),
    ],
)
async def test_what_cannot_be_made_is_refused_before_it_is_queued(
    http: httpx.AsyncClient,
    jobs: FakeJobs,
    path: str,
    form: Files,
    status: int,
    code: str,
    words: str,
) -> None:
    response = await http.post(path, files=form)
    assert_problem(response, status, code)
    assert words in response.json()["detail"]
    assert not jobs.queued


async def test_a_bad_picture_is_named_by_its_index(http: httpx.AsyncClient) -> None:
    damaged = encode(Image.new("RGB", (64, 64)))[:50]
    response = await http.post(GRID, files=[*grid_form(), ("structure", damaged)])
    assert_problem(response, 422, "damaged-picture")
    assert response.json()["index"] == 4  # two appearances, then the third structure


async def test_other_formats_are_not_acceptable(http: httpx.AsyncClient) -> None:
    response = await http.post(GRID, files=grid_form(), headers={"Accept": "image/webp"})
    assert_problem(response, 406, "not-acceptable")
    offered = response.json()["offered"]
    assert offered == ["image/png", "image/jpeg", "application/zip", "application/x-npz"]


async def test_a_full_lane_is_429_and_a_slow_worker_504(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    jobs.submit_error = QueueFull("the grid lane is full", retry_after_seconds=7)
    response = await http.post(GRID, files=grid_form())
    assert_problem(response, 429, "queue-full")
    assert response.headers["retry-after"] == "7"
    jobs.submit_error, jobs.wait_error = None, WaitTimeout("no result")
    assert_problem(await http.post(GRID, files=grid_form()), 504, "worker-too-slow")


async def test_no_grid_is_asked_of_workers_of_an_older_release(
    http: httpx.AsyncClient, jobs: FakeJobs
) -> None:
    older = replace(READY_WORKER, model=replace(MODEL, makes_grids=False))
    jobs.live_workers = [older]
    response = await http.post(GRID, files=grid_form())
    assert_problem(response, 503, "no-worker")
    assert "one composite at a time" in response.json()["detail"]
    jobs.live_workers = [older, replace(READY_WORKER, worker_id="w2")]  # it takes them all
    assert (await http.post(GRID, files=grid_form())).status_code == 200
