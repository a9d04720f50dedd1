"""The Python client against a front end on a real socket."""

from __future__ import annotations

import io
from collections.abc import Generator

import httpx
import numpy as np
import pytest
from PIL import Image
from pydantic import SecretStr

from dgnet.client import DGNetClient, DGNetError, PictureFormat
from dgnet.jobs.contract import SwapJob
from dgnet.jobs.errors import QueueFull
from dgnet.service.app import create_app
from dgnet.service.settings import ServiceSettings
from tests.service.fakes import FakeJobs, encode, gradient, png
from tests.service.server import serving


@pytest.fixture
def client(jobs: FakeJobs, settings: ServiceSettings) -> Generator[DGNetClient]:
    with serving(create_app(settings, jobs)) as url, DGNetClient(url + "/") as client:
        yield client


@pytest.mark.parametrize("picture_format", ["png", "jpeg", "webp"])
def test_swap_gives_the_composite_in_the_wished_format(
    client: DGNetClient, picture_format: PictureFormat
) -> None:
    content = client.swap(png(), encode(gradient()), picture_format=picture_format)
    image = Image.open(io.BytesIO(content))
    assert (image.format, image.size) == (picture_format.upper(), (8, 16))


def test_swap_can_take_the_size_of_the_structure_picture(client: DGNetClient) -> None:
    content = client.swap(png(), encode(gradient(20, 30)), resize_to_structure=True)
    assert Image.open(io.BytesIO(content)).size == (20, 30)


def test_swap_can_say_what_becomes_of_the_scene(client: DGNetClient, jobs: FakeJobs) -> None:
    client.swap(png(), png(), scene="generate")
    (job,) = jobs.queued
    assert isinstance(job, SwapJob)
    assert job.scene == "generate"
    with pytest.raises(DGNetError, match=r"scene is 'keep', and model tiny .* has no mask"):
        client.swap(png(), png(), scene="keep")


def test_embed_gives_unit_rows_in_order(client: DGNetClient) -> None:
    rows = client.embed([png((255, 0, 0)), png((0, 0, 0))])
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [[0.5**0.5, 0, 0, 0.5**0.5], [0, 0, 0, 1]], atol=1e-6)


def test_models_lists_the_cards(client: DGNetClient) -> None:
    assert [model["id"] for model in client.models()] == ["tiny"]


def test_a_refusal_keeps_what_the_server_said(client: DGNetClient) -> None:
    with pytest.raises(DGNetError, match=r"picture 1 .* begin with 78") as caught:
        client.embed([png(), b"x"])
    error = caught.value
    assert (error.status, error.code, error.index) == (415, "not-a-picture", 1)
    assert error.request_id


def test_a_full_queue_says_when_to_try_again(client: DGNetClient, jobs: FakeJobs) -> None:
    jobs.submit_error = QueueFull("the lane is full", retry_after_seconds=4)
    with pytest.raises(DGNetError) as caught:
        client.swap(png(), png())
    assert (caught.value.status, caught.value.retry_after_seconds) == (429, 4.0)


def test_keys_are_sent(jobs: FakeJobs) -> None:
    with serving(create_app(ServiceSettings(api_keys=(SecretStr("k"),)), jobs)) as url:
        with DGNetClient(url, "k") as client:
            assert client.models()
        with DGNetClient(url) as client, pytest.raises(DGNetError, match="API key") as caught:
            client.models()
    assert caught.value.status == 401


def test_a_server_that_is_not_there_is_a_clear_error() -> None:
    with (
        DGNetClient("http://127.0.0.1:9") as client,
        pytest.raises(DGNetError, match="dgnet serve") as caught,
    ):
        client.models()
    assert caught.value.status is None


def test_an_answer_of_something_else_is_named_by_its_status() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(502, text="<html>Bad gateway"))
    with (
        DGNetClient("http://proxy.example", transport=transport) as client,
        pytest.raises(DGNetError, match=r"proxy.example answered 502.*Bad gateway") as caught,
    ):
        client.models()
    assert caught.value.code is None
