"""Two workers on one card share a queue, and a swap through it is one of the predictor's."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from dgnet.jobs.client import JobClient
from dgnet.jobs.contract import SwapJob, SwapResult
from dgnet.jobs.settings import QueueSettings
from dgnet.model.predictor import Predictor
from tests.generation.jobs import save_tiny_checkpoint
from tests.model.tiny import HEIGHT, WIDTH
from tests.processes import STOP_SECONDS, command
from tests.redis_server import RedisServer, redis_server_binary

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(redis_server_binary() is None, reason="no redis-server here"),
]


async def test_two_workers_on_one_card_answer_as_the_predictor_does(
    device: str, tmp_path: Path
) -> None:
    checkpoint = save_tiny_checkpoint(tmp_path / "checkpoint")
    place = "cpu" if device == "cpu" else "cuda:0"
    size = (HEIGHT, WIDTH, 3)
    pictures = np.random.default_rng(0).integers(0, 256, (2, *size), dtype=np.uint8)
    expected = Predictor.load(checkpoint, device=device, precision="fp32").swap(
        pictures[:1], pictures[1:]
    )
    options = ("--devices", f"{place},{place}", "--checkpoint", str(checkpoint))
    with (
        RedisServer() as server,
        command("worker", *options, "--redis-url", server.url) as process,
    ):
        jobs = JobClient.from_url(server.url, QueueSettings(redis_url=server.url))
        await jobs.start()
        async with asyncio.timeout(STOP_SECONDS):
            while sum(worker.ready for worker in await jobs.workers()) < 2:
                assert process.poll() is None
                await asyncio.sleep(0.1)
        answers = await asyncio.gather(*(_swap(jobs, pictures) for _ in range(32)))
        process.terminate()
        assert await asyncio.to_thread(process.wait, STOP_SECONDS) == 0
        await jobs.close()
    for composite in answers:
        assert np.abs(composite.astype(int) - expected[0]).max() <= 1


async def _swap(
    jobs: JobClient, pictures: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    job = SwapJob(appearance_image=pictures[0], structure_image=pictures[1])
    result = await jobs.wait(await jobs.submit(job), timeout_seconds=STOP_SECONDS)
    assert isinstance(result, SwapResult)
    return result.composite
