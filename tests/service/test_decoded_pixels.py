"""Kilobytes that decode to gigabytes: what is alive at once is bounded, whatever arrives."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest

from dgnet.pictures import OpenedPicture
from dgnet.service.app import create_app
from dgnet.service.settings import ServiceSettings
from tests.pictures.made import one_color_png
from tests.service.fakes import FakeJobs
from tests.service.problem import assert_problem

SIDE = 4000
MEBIBYTE = 2**20

# 16 pictures of 16 megapixels in two requests: a gigabyte if they were alive together.
MEASURED = """
import asyncio, resource, httpx
from dgnet.service.app import create_app
from dgnet.service.settings import ServiceSettings
from tests.pictures.made import one_color_png
from tests.service.fakes import FakeJobs

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

async def main():
    picture = one_color_png(4000)
    transport = httpx.ASGITransport(app=create_app(ServiceSettings(), FakeJobs()))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        before = peak()
        answers = await asyncio.gather(*(
            http.post("/v1/embeddings", files=[("files", picture)] * 8) for _ in range(2)
        ))
        assert [answer.status_code for answer in answers] == [200] * 2, answers[0].text
        print(peak() - before)

asyncio.run(main())
"""


@asynccontextmanager
async def client(settings: ServiceSettings) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(settings, FakeJobs()))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        yield http


@pytest.mark.slow
def test_requests_of_many_megapixels_take_the_memory_of_a_few_pictures() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURED], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    # Two pictures of 64 MB and what turns them into RGB; 16 of them would be 1,000.
    assert int(done.stdout) < 400


async def test_more_pixels_than_a_request_may_have_are_refused_before_any_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoded: list[object] = []
    monkeypatch.setattr(OpenedPicture, "_decode", decoded.append)
    picture = one_color_png(SIDE)
    async with client(ServiceSettings()) as http:
        response = await http.post("/v1/embeddings", files=[("files", picture)] * 64)
    assert_problem(response, 413, "too-many-pictures")
    detail = response.json()["detail"]
    assert f"{64 * SIDE * SIDE} pixels" in detail
    assert "256000000" in detail
    assert decoded == []


async def test_pixels_of_all_requests_together_stay_within_the_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    side = 1000
    settings = ServiceSettings(
        max_picture_pixels=side * side, max_decoded_pixels=2 * side * side, decode_threads=8
    )
    guard = threading.Lock()
    alive = most = 0
    decode = OpenedPicture._decode  # pyright: ignore[reportPrivateUsage]

    def counted(picture: OpenedPicture) -> object:
        nonlocal alive, most
        with guard:
            alive += picture.pixel_count
            most = max(most, alive)
        try:
            return decode(picture)
        finally:
            with guard:
                alive -= picture.pixel_count

    monkeypatch.setattr(OpenedPicture, "_decode", counted)
    picture = one_color_png(side)
    async with client(settings) as http:
        answers = await asyncio.gather(
            *(http.post("/v1/embeddings", files=[("files", picture)] * 4) for _ in range(8))
        )
    assert {answer.status_code for answer in answers} == {200}
    assert side * side <= most <= 2 * side * side


async def test_a_bad_picture_among_large_ones_is_named_by_its_index() -> None:
    picture = one_color_png(1500)
    files = [("files", data) for data in (picture, picture, b"nothing", picture)]
    async with client(ServiceSettings()) as http:
        response = await http.post("/v1/embeddings", files=files)
        assert_problem(response, 415, "not-a-picture")
        assert response.json()["index"] == 2
        partial = await http.post("/v1/embeddings?partial=true", files=files)
    assert [item["embedding"] is None for item in partial.json()["data"]] == [
        False, False, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["max_request_pixels", "max_decoded_pixels"])
def test_a_room_without_place_for_one_picture_stops_the_start(name: str) -> None:
    with pytest.raises(ValueError, match=f"DGNET_{name.upper()}"):
        ServiceSettings.model_validate({name: 1000})
