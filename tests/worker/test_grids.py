"""Grids: pictures are encoded once, cells come in their order, and nobody is kept waiting."""

from __future__ import annotations

import asyncio

import pytest

from dgnet.jobs.client import JobClient
from dgnet.jobs.contract import GridCell, GridJob, GridResult, SwapResult
from dgnet.jobs.errors import BadJob, JobFailed, QueueFull
from tests.worker.fakes import FAILS, GRID, FakePredictor, grid_job, swap_job
from tests.worker.harness import (
    Connect,
    queue_settings,
    ready_workers,
    running_client,
    running_worker,
    until,
)


async def made(client: JobClient, job: GridJob) -> list[int]:
    """The colors of the job's composites."""
    result = await client.wait(await client.submit(job, lane="grid"), timeout_seconds=60)
    assert isinstance(result, GridResult)
    assert result.composites.shape[1:] == (8, 4, 3)
    return [int(composite[0, 0, 0]) for composite in result.composites]


async def ready(client: JobClient) -> bool:
    return await ready_workers(client) > 0


async def test_each_picture_is_encoded_once_and_cells_come_in_their_order(
    connect: Connect,
) -> None:
    settings, predictor = queue_settings(), FakePredictor()
    async with (
        running_worker(connect(), predictor, settings, grid_batch=4),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: ready(client))
        assert await made(client, grid_job()) == [55, 65, 75, 60, 70, 80]
    # Two appearances, three structures; six cells in pieces of four. Nothing else was computed.
    after_canary = predictor.batches[2:]
    for kind, count in (("appearance", 2), ("structure", 3), ("cell", 6)):
        assert sum(size for name, size in after_canary if name == kind) == count
    assert max(size for _, size in after_canary) <= 4
    assert {name for name, _ in after_canary} == {"appearance", "structure", "cell"}


async def test_a_walk_goes_from_one_appearance_to_the_other(connect: Connect) -> None:
    settings = queue_settings()
    cells = (
        *(GridCell(appearance=0, second=1, weight=w, structure=0) for w in (0.0, 0.25, 1.0)),
        GridCell(appearance=1, structure=1),
    )
    async with (
        running_worker(connect(), FakePredictor(), settings),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: ready(client))
        job = grid_job((20, 60), (100, 200), cells)
        # (20 + weight * 40) // 2 + 100 // 2, and last 60 // 2 + 200 // 2
        assert await made(client, job) == [60, 65, 80, 130]


async def test_the_scene_of_a_grid_is_kept_or_refused(connect: Connect) -> None:
    settings = queue_settings()
    async with (
        running_worker(connect(), FakePredictor(keeps_scene=True), settings) as worker,
        running_client(connect(), settings) as client,
    ):
        await until(lambda: ready(client))
        assert await made(client, grid_job(scene="keep")) == [100, 120, 140] * 2
        worker.stop()
    async with (
        running_worker(connect(), FakePredictor(), settings),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: ready(client))
        with pytest.raises(BadJob, match="has no mask"):
            await made(client, grid_job(scene="keep"))


async def test_cells_of_pictures_that_are_not_there_are_refused(connect: Connect) -> None:
    settings = queue_settings()
    wrong = (
        GridCell(appearance=2, structure=0),
        GridCell(appearance=0, structure=-1),
        GridCell(appearance=0, structure=0, second=5),
        GridCell(appearance=0, structure=0, second=1, weight=1.5),
        GridCell(appearance=0, structure=0, second=1, weight=float("nan")),
    )
    async with (
        running_worker(connect(), FakePredictor(), settings),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: ready(client))
        for cell in wrong:
            with pytest.raises(BadJob, match="expected positions of these"):
                await made(client, grid_job(cells=(GRID[0], cell)))
        with pytest.raises(BadJob, match="without a cell"):
            await made(client, grid_job(cells=()))


async def test_a_picture_that_fails_fails_its_grid_alone(connect: Connect) -> None:
    settings = queue_settings()
    async with (
        running_worker(connect(), FakePredictor(), settings),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: ready(client))
        good, bad = await asyncio.gather(
            made(client, grid_job()),
            made(client, grid_job(structures=(100, FAILS, 140))),
            return_exceptions=True,
        )
        assert good == [55, 65, 75, 60, 70, 80]
        assert isinstance(bad, JobFailed)


async def test_a_swap_goes_before_the_next_piece_of_a_grid(connect: Connect) -> None:
    settings, predictor = queue_settings(), FakePredictor(open_gate=False)
    async with (
        running_worker(connect(), predictor, settings, grid_batch=2),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: ready(client))
        # Three at once: two are held, one waits in its lane and keeps no swap from being claimed.
        grids = [await client.submit(grid_job(), lane="grid") for _ in range(3)]
        await until(lambda: len(predictor.batches) == 3)  # a piece is on the device
        swaps = [await client.submit(swap_job()) for _ in range(3)]
        await until(lambda: running(client, swaps))
        assert (await client.status(grids[2])).state == "queued"
        predictor.gate.set()
        for job_id in (*swaps, *grids):
            assert isinstance(
                await client.wait(job_id, timeout_seconds=60), SwapResult | GridResult
            )
    kinds = [kind for kind, _ in predictor.batches[2:]]
    assert kinds[1] == "swap", kinds  # right behind the piece that was on the device


async def running(client: JobClient, job_ids: list[str]) -> bool:
    states = [(await client.status(job_id)).state for job_id in job_ids]
    return states == ["running"] * len(job_ids)


async def test_the_grid_lane_has_a_bound_of_its_own(connect: Connect) -> None:
    settings, predictor = queue_settings(grid_lane_depth=2), FakePredictor(open_gate=False)
    async with (
        running_worker(connect(), predictor, settings),
        running_client(connect(), settings) as client,
    ):
        await until(lambda: ready(client))
        for _ in range(2):
            await client.submit(grid_job(), lane="grid")
        with pytest.raises(QueueFull, match="2 jobs are unfinished in the grid lane"):
            await client.submit(grid_job(), lane="grid")
        assert await client.submit(swap_job())
        assert (await client.depth("grid"), await client.depth("small")) == (2, 1)
        predictor.gate.set()
