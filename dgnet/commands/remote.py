"""Asks a server for composites and embeddings, a few requests at a time.

Pictures travel as they lie on disk, where the server knows their format; it decodes and resizes
them.

Legend: N pictures, D embedding values, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from dgnet.arrays import Floats, Pixels
from dgnet.client import DGNetClient, DGNetError, PictureFormat
from dgnet.commands.failures import CommandError, InputError
from dgnet.commands.pictures import web_bytes
from dgnet.commands.progress import track
from dgnet.jobs.contract import Scene
from dgnet.pictures import PictureRefused, open_picture

CONCURRENT_REQUESTS: Final = 8
# Below the server's default limits for one request: 64 pictures, 10 MB.
PICTURES_PER_REQUEST: Final = 32
BYTES_PER_REQUEST: Final = 8_000_000
# The server refused what the user gave; anything else is the server's own trouble.
_INPUT_STATUSES: Final = frozenset({400, 401, 404, 406, 409, 410, 413, 415, 422})

T = TypeVar("T")
R = TypeVar("R")


def swap_pairs(
    pairs: Sequence[tuple[Path, Path]],
    *,
    server: str,
    api_key: str | None,
    scene: Scene | None = None,
    picture_format: PictureFormat = "png",
) -> list[bytes]:
    """The composite file of every (appearance, structure) pair, in their order."""
    with connected(server, api_key) as client:

        def ask(pair: tuple[Path, Path]) -> bytes:
            appearance, structure = pair
            try:
                return client.swap(
                    web_bytes(appearance),
                    web_bytes(structure),
                    scene=scene,
                    picture_format=picture_format,
                )
            except DGNetError as error:
                raise as_failure(error, f"{appearance} on {structure}") from error

        return _ask_all(ask, pairs, "Swapping")


def decode_composite(data: bytes) -> Pixels:
    """A composite file as pixels (H, W, 3)."""
    try:
        return np.asarray(open_picture(data).rgb())
    except PictureRefused as refused:
        raise CommandError(f"the server answered with something that {refused.what}") from refused


def embed_pictures(
    paths: Sequence[Path], *, server: str, api_key: str | None
) -> tuple[Floats, str]:
    """Embeddings (N, D) and the version of the model that made them."""
    with connected(server, api_key) as client:

        def ask(batch: Sequence[Path]) -> Floats:
            try:
                return client.embed([web_bytes(path) for path in batch])
            except DGNetError as error:
                what = batch[error.index] if error.index is not None else f"{len(batch)} pictures"
                raise as_failure(error, str(what)) from error

        embeddings = _ask_all(ask, list(batches_of(paths)), "Embedding")
        try:
            model = client.models()[0]
        except DGNetError as error:
            raise as_failure(error, server) from error
    return np.concatenate(embeddings), str(model["version"])


def batches_of(paths: Iterable[Path]) -> Generator[list[Path]]:
    """The paths in order, in batches that fit into one request."""
    batch: list[Path] = []
    batch_bytes = 0
    for path in paths:
        size_bytes = path.stat().st_size
        full = len(batch) == PICTURES_PER_REQUEST or batch_bytes + size_bytes > BYTES_PER_REQUEST
        if batch and full:
            yield batch
            batch, batch_bytes = [], 0
        batch.append(path)
        batch_bytes += size_bytes
    if batch:
        yield batch


@contextmanager
def connected(server: str, api_key: str | None) -> Generator[DGNetClient]:
    """A client of a server; an InputError for what is no address."""
    try:
        client = DGNetClient(server, api_key)
    except DGNetError as error:
        raise InputError(str(error)) from error
    with client:
        yield client


def _ask_all(ask: Callable[[T], R], items: Sequence[T], description: str) -> list[R]:
    """Answers in the order of the items; the first failure calls off what has not begun."""
    with ThreadPoolExecutor(CONCURRENT_REQUESTS) as pool:
        answers = [pool.submit(ask, item) for item in items]
        try:
            return [answer.result() for answer in track(answers, description)]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def as_failure(error: DGNetError, what: str) -> CommandError:
    """What the server said of `what`, with the exit code that tells whose trouble it is."""
    kind = InputError if error.status in _INPUT_STATUSES else CommandError
    return kind(f"{what}: {error}")
