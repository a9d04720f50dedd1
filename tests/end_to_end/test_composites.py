"""Real processes and a real network: what HTTP gives is what the predictor gives."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import httpx
import numpy as np
import pytest

from dgnet.arrays import Pixels
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


def test_a_grid_and_a_walk_over_http_equal_the_predictors(
    server: str, predictor: Predictor
) -> None:
    def ask(path: str, appearances: list[Path], structures: list[Path]) -> Pixels:
        roles = [("appearance", path) for path in appearances]
        roles += [("structure", path) for path in structures]
        files = [(role, path.read_bytes()) for role, path in roles]
        as_arrays = {"Accept": "application/x-npz"}
        answer = httpx.post(f"{server}{path}", files=files, headers=as_arrays, timeout=60)
        assert answer.status_code == 200, answer.text
        return np.load(io.BytesIO(answer.content))["composites"]

    size = {"height": predictor.height, "width": predictor.width}
    styles = predictor.appearance_styles(read_pictures(APPEARANCES, **size))
    codes = predictor.structure_codes(read_pictures(STRUCTURES, **size))
    rows = [row for row in range(4) for _ in range(4)]
    columns = [column for _ in range(4) for column in range(4)]
    expected = predictor.compose(styles[rows], codes[columns]).astype(int)
    composites = ask("/v1/swaps/grid", APPEARANCES, STRUCTURES)
    assert np.abs(composites.reshape(expected.shape) - expected).max() <= 1

    weights = [0.0, 0.25, 0.5, 0.75, 1.0]
    first, second, structure = ([index] * 5 for index in (0, 1, 0))
    walk = predictor.interpolate(styles[first], styles[second], weights, codes[structure])
    composites = ask("/v1/swaps/interpolation", APPEARANCES[:2], STRUCTURES[:1])
    assert np.abs(composites.astype(int) - walk).max() <= 1


def test_embeddings_over_http_equal_the_predictors(server: str, predictor: Predictor) -> None:
    paths = [*APPEARANCES, *STRUCTURES]
    embeddings, model_version = embed_pictures(paths, server=server, api_key=None)
    images = read_pictures(paths, height=predictor.height, width=predictor.width)
    np.testing.assert_allclose(embeddings, predictor.embed(images), atol=1e-4)
    assert model_version == predictor.model_version
