"""The Python client against a front end on a real socket."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Generator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from pydantic import SecretStr

from dgnet.client import AsyncClient, Client, DGNetError, PictureFormat, async_client
from dgnet.jobs.contract import SwapJob
from dgnet.jobs.errors import QueueFull
from dgnet.service.app import create_app
from dgnet.service.settings import ServiceSettings
from tests.service.fakes import FakeJobs, encode, gradient, png
from tests.service.server import serving


@pytest.fixture
def client(jobs: FakeJobs, settings: ServiceSettings) -> Generator[Client]:
    with serving(create_app(settings, jobs)) as url, Client(url + "/") as client:
        yield client


@pytest.mark.parametrize("picture_format", ["png", "jpeg", "webp"])
def test_swap_gives_the_composite_in_the_wished_format(
    client: Client, picture_format: PictureFormat
) -> None:
    content = client.swap(png(), encode(gradient()), picture_format=picture_format)
    image = Image.open(io.BytesIO(content))
    assert (image.format, image.size) == (picture_format.upper(), (8, 16))


def test_swap_can_take_the_size_of_the_structure_picture(client: Client) -> None:
    content = client.swap(png(), encode(gradient(20, 30)), resize_to_structure=True)
    assert Image.open(io.BytesIO(content)).size == (20, 30)


def test_swap_can_say_what_becomes_of_the_scene(client: Client, jobs: FakeJobs) -> None:
    client.swap(png(), png(), scene="generate")
    (job,) = jobs.queued
    assert isinstance(job, SwapJob)
    assert job.scene == "generate"
    with pytest.raises(DGNetError, match=r"scene is 'keep', and model tiny .* has no mask"):
        client.swap(png(), png(), scene="keep")


def test_embed_gives_unit_rows_in_order(client: Client) -> None:
    rows = client.embed([png((255, 0, 0)), png((0, 0, 0))])
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [[0.5**0.5, 0, 0, 0.5**0.5], [0, 0, 0, 1]], atol=1e-6)


def test_pictures_come_in_any_form(
    client: Client, jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every form is queued as the same pixels; one picture gives one answer, several a list."""
    pixels = np.asarray(Image.open(io.BytesIO(png((255, 0, 0)))))
    path, bitmap = tmp_path / "a.png", tmp_path / "a.bmp"
    path.write_bytes(png((255, 0, 0)))
    Image.fromarray(pixels).save(bitmap)  # a format that the server does not take
    forms = [path, str(path), png((255, 0, 0)), Image.fromarray(pixels), pixels, bitmap]
    composites = client.swap(forms, png())
    assert len(composites) == len(forms) == len(jobs.queued)
    appearances = [job.appearance_image for job in jobs.queued if isinstance(job, SwapJob)]
    assert all(np.array_equal(appearance, appearances[0]) for appearance in appearances)
    monkeypatch.setattr(async_client, "PICTURES_PER_REQUEST", 4)  # the server's bound
    rows = client.embed(forms)
    assert rows.shape == (len(forms), 4)
    assert np.array_equal(client.embed(path), rows[0])


def test_several_swaps_name_the_pair_that_is_at_fault(client: Client, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"x")
    with pytest.raises(DGNetError, match=rf"{bad} on picture 1: .*begin with 78") as caught:
        client.swap([png(), bad], [png(), png()])
    assert caught.value.index == 1
    with pytest.raises(DGNetError, match=r"gone.png cannot be read \(No such file"):
        client.embed([png(), tmp_path / "gone.png"])
    with pytest.raises(DGNetError, match="2 appearance pictures and 3 structure pictures"):
        client.swap([png()] * 2, [png()] * 3)


def test_pictures_are_shared_out_over_requests(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [10, 10, 10, 10, 95, 10, 200, 10]
    monkeypatch.setattr(async_client, "BYTES_PER_REQUEST", 100)
    assert [[sizes[row] for row in rows] for rows in async_client.requests_of(sizes)] == [
        [10, 10, 10, 10], [95], [10], [200], [10],
    ]  # fmt: skip
    monkeypatch.setattr(async_client, "PICTURES_PER_REQUEST", 2)
    told: list[tuple[int, int]] = []
    rows = client.embed(
        [png((255, 0, 0)), png((0, 0, 0)), png((255, 0, 0))],
        progress=lambda done, total: told.append((done, total)),
    )
    np.testing.assert_allclose(rows[0], rows[2])
    assert told == [(2, 3), (3, 3)]
    with pytest.raises(DGNetError, match="begin with 78") as caught:
        client.embed([png(), png(), png(), b"x"])
    assert caught.value.index == 3


async def test_the_same_without_blocking(jobs: FakeJobs, settings: ServiceSettings) -> None:
    with serving(create_app(settings, jobs)) as url:
        async with AsyncClient(url) as client:
            composite, others, row, models = await asyncio.gather(
                client.swap(png(), png()), client.swap([png()] * 3, png()),
                client.embed(png((0, 0, 0))), client.models(),
            )  # fmt: skip
            assert others == [composite] * 3
            np.testing.assert_allclose(row, [0, 0, 0, 1])
            assert [model.id for model in models] == ["tiny"]
            with pytest.raises(DGNetError, match=r"picture 2: .*begin with 78"):
                await client.swap(png(), [png(), png(), b"x", png()])


def test_models_lists_the_cards(client: Client) -> None:
    assert [model.id for model in client.models()] == ["tiny"]


def test_a_refusal_keeps_what_the_server_said(client: Client) -> None:
    with pytest.raises(DGNetError, match=r"picture 1 .* begin with 78") as caught:
        client.embed([png(), b"x"])
    error = caught.value
    assert (error.status, error.code, error.index) == (415, "not-a-picture", 1)
    assert error.request_id


def test_a_full_queue_says_when_to_try_again(client: Client, jobs: FakeJobs) -> None:
    jobs.submit_error = QueueFull("the lane is full", retry_after_seconds=4)
    with pytest.raises(DGNetError) as caught:
        client.swap(png(), png())
    assert (caught.value.status, caught.value.retry_after_seconds) == (429, 4.0)


def test_keys_are_sent(jobs: FakeJobs) -> None:
    with serving(create_app(ServiceSettings(api_keys=(SecretStr("k"),)), jobs)) as url:
        with Client(url, "k") as client:
            assert client.models()
        with Client(url) as client, pytest.raises(DGNetError, match="API key") as caught:
            client.models()
    assert caught.value.status == 401


def test_a_server_that_is_not_there_is_a_clear_error() -> None:
    with (
        Client("http://127.0.0.1:9") as client,
        pytest.raises(DGNetError, match="dgnet serve") as caught,
    ):
        client.models()
    assert caught.value.status is None


def test_an_answer_of_something_else_is_named_by_its_status() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(502, text="<html>Bad gateway"))
    with (
        Client("http://proxy.example", transport=transport) as client,
        pytest.raises(DGNetError, match=r"proxy.example answered 502.*Bad gateway") as caught,
    ):
        client.models()
    assert caught.value.code is None
