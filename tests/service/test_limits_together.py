"""Requests that are each small enough, together too much for the memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import httpx
import pytest

from dgnet.jobs.contract import Result
from dgnet.service.app import create_app
from dgnet.service.settings import ServiceSettings
from tests.service.fakes import FakeJobs, png
from tests.service.problem import assert_problem
from tests.worker.harness import until

FORM = {"appearance": png(), "structure": png() + bytes(300)}  # a body of about 700 bytes


class SlowJobs(FakeJobs):
    """Answers once the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def wait(self, job_id: str, *, timeout_seconds: float) -> Result:
        await self.gate.wait()
        return await super().wait(job_id, timeout_seconds=timeout_seconds)


@pytest.mark.parametrize("announced", [True, False])
async def test_bodies_of_unanswered_requests_are_bounded_together(announced: bool) -> None:
    jobs = SlowJobs()
    settings = ServiceSettings(max_held_bytes=1024, max_body_bytes=1024, max_picture_bytes=512)
    transport = httpx.ASGITransport(app=create_app(settings, jobs))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        first = asyncio.create_task(http.post("/v1/swaps", files=FORM))
        await until(lambda: len(jobs.queued) == 1)
        request = http.build_request("POST", "/v1/swaps", files=FORM)
        body = await request.aread()

        async def chunks() -> AsyncGenerator[bytes]:
            yield body

        headers = {"Content-Type": request.headers["content-type"]}
        response = await http.post(
            "/v1/swaps", content=body if announced else chunks(), headers=headers
        )
        assert_problem(response, 503, "overloaded")
        assert int(response.headers["retry-after"]) >= 1
        assert len(jobs.queued) == 1
        jobs.gate.set()
        assert (await first).status_code == 200
        assert (await http.post("/v1/swaps", files=FORM)).status_code == 200  # room again
