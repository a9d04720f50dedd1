"""Real processes and a real network: what HTTP gives is what the predictor gives."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from dgnet.commands.pictures import read_pictures
from dgnet.commands.remote import decode_composite, embed_pictures, swap_pairs
from dgnet.model.predictor import Predictor
from dgnet.samples import SAMPLE_PEOPLE
from tests.processes import STOP_SECONDS, command, service, wait_until_ready
from tests.redis_server import RedisServer

APPEARANCES = sorted((SAMPLE_PEOPLE / "query").glob("*.jpg"))[:4]
STRUCTURES = sorted((SAMPLE_PEOPLE / "bounding_box_test").glob("*.jpg"))[-4:]
PAIRS = list(product(APPEARANCES, STRUCTURES))


@pytest.fixture(scope="module", params=["embedded", "redis"])
def server(request: pytest.FixtureRequest, checkpoint: Path) -> Iterator[str]:
    """A ready service; at the end every one of its processes must stop with 0."""
    networks = ["--checkpoint", str(checkpoint), "--device", "cpu", "--precision", "fp32"]
    if request.param == "embedded":
        with service(*networks) as (process, address):
            wait_until_ready(process, address)
            yield address
            process.terminate()
            assert process.wait(STOP_SECONDS) == 0
        return
    with RedisServer(append_only=True) as redis:
        queue = ["--redis-url", redis.url]
        with command("worker", *queue, *networks) as worker, service(*queue) as (process, address):
            wait_until_ready(process, address)
            yield address
            for part in (process, worker):
                part.terminate()
                assert part.wait(STOP_SECONDS) == 0


@pytest.fixture(scope="module")
def predictor(checkpoint: Path) -> Predictor:
    return Predictor.load(checkpoint, device="cpu", precision="fp32")


def test_composites_over_http_equal_the_predictors(server: str, predictor: Predictor) -> None:
    files = swap_pairs(PAIRS, server=server, api_key=None)
    size = {"height": predictor.height, "width": predictor.width}
    expected = predictor.swap(
        read_pictures([appearance for appearance, _ in PAIRS], **size),
        read_pictures([structure for _, structure in PAIRS], **size),
    )
    composites = np.stack([decode_composite(file) for file in files])
    difference = np.abs(composites.astype(int) - expected.astype(int))
    # The service's batches are not ours: in float32 that costs at most one step of 255.
    assert difference.max() <= 1
    # An untrained network, yet one that tells its inputs apart: no pair got another's composite.
    assert len({composite.tobytes() for composite in composites}) == len(PAIRS)


def test_embeddings_over_http_equal_the_predictors(server: str, predictor: Predictor) -> None:
    paths = [*APPEARANCES, *STRUCTURES]
    embeddings, model_version = embed_pictures(paths, server=server, api_key=None)
    images = read_pictures(paths, height=predictor.height, width=predictor.width)
    np.testing.assert_allclose(embeddings, predictor.embed(images), atol=1e-4)
    assert model_version == predictor.model_version
