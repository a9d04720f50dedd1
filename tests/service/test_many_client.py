"""Grids, lists of pairs and walks through the Python clients, against a front end on a real socket.

Composites of the fake worker are half of each picture added, so that pictures of one color are told
by hand; single swaps of the fake are the structure upside down, which is the structure itself.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from dgnet.client import AsyncClient, Client, DGNetError, many, parts
from dgnet.jobs.contract import GridJob, ModelInfo, SwapJob, WorkerInfo
from dgnet.pictures import AnyPicture
from dgnet.service.app import create_app
from dgnet.service.settings import ServiceSettings
from tests.service.fakes import MODEL, READY_WORKER, FakeJobs, png
from tests.service.server import serving

PATHS = ("/v1/swaps/grid", "/v1/swaps/batch", "/v1/swaps/interpolation")


@pytest.fixture
def client(jobs: FakeJobs) -> Generator[Client]:
    with at(create_app(ServiceSettings(), jobs)) as client:
        yield client


@contextmanager
def at(app: FastAPI) -> Generator[Client]:
    with serving(app) as url, Client(url) as client:
        yield client


def grays(*values: int) -> list[bytes]:
    return [png((value, value, value)) for value in values]


def colors(composites: Any) -> list[Any]:
    """Of pictures of one color."""
    assert composites.dtype == np.uint8
    assert (composites == composites[..., :1, :1, :1]).all()
    return composites[..., 0, 0, 0].tolist()


def sizes(jobs: FakeJobs) -> list[int]:
    """How many composites each request asked for."""
    return [len(job.cells) if isinstance(job, GridJob) else 1 for job in jobs.queued]


def test_five_appearances_on_seven_structures_are_one_request(
    client: Client, jobs: FakeJobs
) -> None:
    told: list[tuple[int, int]] = []
    composites = client.grid(
        grays(0, 20, 40, 60, 80), grays(100, 110, 120, 130, 140, 150, 160),
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert composites.shape == (5, 7, 16, 8, 3)
    assert colors(composites) == [[50 + 10 * n + 5 * m for m in range(7)] for n in range(5)]
    assert sizes(jobs) == [35]
    assert told == [(35, 35)]
    assert colors(client.grid(png((0, 0, 0)), grays(100))) == [[50]]  # single ones, too


def test_a_larger_grid_is_cut_into_tiles(client: Client, jobs: FakeJobs) -> None:
    """At most 11 x 11 of 128 composites: 13 x 12 are 11 x 11, 11 x 1, 2 x 11 and 2 x 1."""
    told: list[tuple[int, int]] = []
    composites = client.grid(
        grays(*range(0, 52, 4)), grays(*range(100, 148, 4)),
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert colors(composites) == [[50 + 2 * n + 2 * m for m in range(12)] for n in range(13)]
    assert sorted(sizes(jobs)) == [2, 11, 22, 121]
    assert told == [(121, 156), (132, 156), (154, 156), (156, 156)]


@pytest.mark.parametrize(
    ("rows", "columns", "tiles"),
    [(5, 7, [(5, 7)]), (1, 40, [(1, 31), (1, 9)]), (40, 1, [(31, 1), (9, 1)]), (57, 71, 42)],
)
def test_tiles_keep_to_the_bounds(rows: int, columns: int, tiles: Any) -> None:
    place: list[tuple[int, AnyPicture]] = [(0, b"")]
    whole = parts.Grid(appearances=place * rows, structures=place * columns)
    made = [(len(t.appearances), len(t.structures)) for line in whole.tiles() for t in line]
    assert (len(made) if isinstance(tiles, int) else made) == tiles
    assert all(n * m <= 128 and n + m <= 32 for n, m in made)


def test_pairs_send_each_picture_once(client: Client, jobs: FakeJobs, tmp_path: Path) -> None:
    dark, light = tmp_path / "dark.png", tmp_path / "light.png"
    dark.write_bytes(png((0, 0, 0)))
    light.write_bytes(png((200, 200, 200)))
    composites = client.swap_pairs([(dark, light), (str(light), dark), (dark, dark)])
    assert composites.shape == (3, 16, 8, 3)
    assert colors(composites) == [100, 100, 0]
    (job,) = jobs.queued
    assert isinstance(job, GridJob)
    assert len(job.appearance_images) == len(job.structure_images) == 2


def test_many_pairs_are_cut_by_their_pictures(client: Client, jobs: FakeJobs) -> None:
    """A request has 32 pictures: 16 pairs of new ones."""
    pairs = list(zip(grays(*range(20)), grays(*range(100, 120)), strict=True))
    assert colors(client.swap_pairs(pairs)) == [50 + n for n in range(20)]
    assert sorted(sizes(jobs)) == [4, 16]
    jobs.queued.clear()
    assert colors(client.swap_pairs(pairs[:1] * 130)) == [50] * 130
    assert sorted(sizes(jobs)) == [2, 128]


def test_a_walk_goes_from_one_appearance_to_another(client: Client, jobs: FakeJobs) -> None:
    first, second = grays(20, 100)
    assert colors(client.interpolate(first, second, png((100, 100, 100)))) == [60, 70, 80, 90, 100]
    some = client.interpolate(first, second, grays(100, 0), weights=[1, 0.5, 0])
    assert colors(some) == [[100, 50], [80, 30], [60, 10]]
    assert sizes(jobs) == [5, 3, 3]
    with pytest.raises(DGNetError, match="steps is 1; expected at least 2"):
        client.interpolate(first, second, second, steps=1)
    for wrong in ([], [1.5]):
        with pytest.raises(DGNetError, match="expected at least one, from 0 to 1"):
            client.interpolate(first, second, second, weights=wrong)


@pytest.mark.parametrize("bounds", [{"max_composites": 4}, {"max_pictures": 4}])
def test_a_server_that_allows_less_is_asked_for_less(
    jobs: FakeJobs, bounds: dict[str, int]
) -> None:
    appearances, structures = grays(0, 20, 40), grays(100, 110, 120, 130)
    expected = [[50 + 10 * n + 5 * m for m in range(4)] for n in range(3)]
    with at(create_app(ServiceSettings(**bounds), jobs)) as client:  # pyright: ignore[reportArgumentType]
        assert colors(client.grid(appearances, structures)) == expected
        assert max(sizes(jobs)) <= 4
        pairs = [(first, second) for first in appearances for second in structures]
        assert colors(client.swap_pairs(pairs)) == [color for row in expected for color in row]
        dark, light = grays(20, 100)
        walk = client.interpolate(dark, light, structures[0], steps=9)
        assert colors(walk) == [60 + 5 * n for n in range(9)]


def test_pictures_of_many_bytes_go_in_smaller_requests(
    client: Client, jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many, "BYTES_PER_REQUEST", 3 * max(map(len, grays(0, 100))))
    assert colors(client.grid(grays(0, 0), grays(100, 100))) == [[50, 50]] * 2
    assert sorted(sizes(jobs)) == [2, 2]


def test_the_picture_at_fault_is_named(client: Client, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"x")
    good = png()
    with pytest.raises(DGNetError, match=rf"{bad}: .*begin with 78") as caught:
        client.grid([good] * 13, [*[good] * 11, bad])  # the first picture of the second column
    assert caught.value.index == 24
    with pytest.raises(DGNetError, match=rf"{bad}: ") as caught:
        client.swap_pairs([(good, good), (good, bad)])
    assert caught.value.index == 1
    with pytest.raises(DGNetError, match=rf"{bad}: ") as caught:
        client.interpolate(good, good, [good, bad])
    assert caught.value.index == 3
    with pytest.raises(DGNetError, match=r"gone.png cannot be read"):
        client.grid(good, tmp_path / "gone.png")
    with pytest.raises(DGNetError, match="no structure picture given"):
        client.grid(good, [])


class OlderRelease:
    """Middleware that hides the routes which an older release has not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hidden = scope.get("path") in PATHS
        await self._app({**scope, "path": "/unknown"} if hidden else scope, receive, send)


def test_an_older_server_is_asked_for_single_swaps_aloud(jobs: FakeJobs) -> None:
    app = create_app(ServiceSettings(), jobs)
    app.add_middleware(OlderRelease)
    with at(app) as client:
        with pytest.warns(UserWarning, match=r"grid is not served .*: asks for one composite at a"):
            composites = client.grid(grays(1, 2), grays(100, 200, 250))
        assert colors(composites) == [[100, 200, 250]] * 2
        assert [type(job) for job in jobs.queued] == [SwapJob] * 6
        with pytest.warns(UserWarning, match="batch is not served"):
            assert colors(client.swap_pairs([tuple(grays(1, 100))])) == [100]  # pyright: ignore
        with pytest.raises(DGNetError, match="cannot be made of single swaps: update the server"):
            client.interpolate(png(), png(), png())
        with pytest.raises(DGNetError, match="nor may it know model='tiny'"):
            client.grid(grays(1, 2), grays(3), model="tiny")


def test_older_workers_are_asked_for_single_swaps_aloud(client: Client, jobs: FakeJobs) -> None:
    jobs.live_workers = [replace(READY_WORKER, model=replace(MODEL, makes_grids=False))]
    with pytest.warns(UserWarning, match="one composite at a time"):
        assert colors(client.grid(grays(1), grays(100, 200), model="tiny")) == [[100, 200]]
    jobs.live_workers = []
    with (
        pytest.warns(UserWarning, match="one composite at a time"),
        pytest.raises(DGNetError) as caught,
    ):
        client.grid(grays(1), grays(100))
    assert caught.value.code == "no-worker"


def test_a_model_is_chosen_by_id_or_version(client: Client, jobs: FakeJobs) -> None:
    def worker(**model: Any) -> WorkerInfo:
        info: ModelInfo = replace(MODEL, **model)
        return replace(READY_WORKER, worker_id=info.model_version, model=info)

    other = worker(model_id="other", model_version="f" * 12)
    jobs.live_workers = [worker(), worker(model_version="1" * 12), other]
    one = png()
    for wanted in ("other", "f" * 12):
        client.swap(one, one, model=wanted)
        client.swap([one], [one], model=wanted)
        client.grid(one, one, model=wanted)
        client.swap_pairs([(one, one)], model=wanted)
        client.interpolate(one, one, one, model=wanted)
        client.embed(one, model=wanted)
    assert jobs.models == ["f" * 12] * 12
    with pytest.raises(DGNetError, match="'nobody'") as caught:
        client.grid(one, one, model="nobody")
    assert (caught.value.status, caught.value.code) == (404, "unknown-model")


async def test_the_same_without_blocking(jobs: FakeJobs) -> None:
    with serving(create_app(ServiceSettings(), jobs)) as url:
        async with AsyncClient(url) as client:
            grid = await client.grid(grays(*range(0, 24, 2)), grays(*range(100, 124, 2)))
            assert colors(grid) == [[50 + n + m for m in range(12)] for n in range(12)]
            first, second = grays(0, 100)
            assert colors(await client.swap_pairs([(first, second)])) == [50]
            assert colors(await client.interpolate(first, second, first, steps=2)) == [0, 50]
