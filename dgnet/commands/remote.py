"""Asks a server for composites and embeddings, with a bar and a command's errors.

Pictures travel as they lie on disk, where the server knows their format; it decodes and resizes
them.

Legend: N pictures, D embedding values, H x W pixels.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, get_args

import numpy as np
import typer

from dgnet.arrays import Floats, Pixels
from dgnet.client import Client, DGNetError, PictureFormat
from dgnet.commands.failures import CommandError, InputError
from dgnet.commands.progress import counted
from dgnet.jobs.contract import Scene
from dgnet.pictures import PictureRefused, Reason, open_picture

# The server refused what the user gave; anything else is the server's own trouble.
_INPUT_STATUSES: Final = frozenset({400, 401, 404, 406, 409, 410, 413, 415, 422})


def swap_pairs(
    pairs: Sequence[tuple[Path, Path]],
    *,
    server: str,
    api_key: str | None,
    scene: Scene | None = None,
    model: str | None = None,
    picture_format: PictureFormat = "png",
) -> list[bytes]:
    """The composite file of every (appearance, structure) pair, in their order."""
    appearances, structures = zip(*pairs, strict=True)
    with connected(server, api_key) as client, counted("Swapping") as progress:
        try:
            return client.swap(
                appearances,
                structures,
                scene=scene,
                model=model,
                picture_format=picture_format,
                progress=progress,
            )
        except DGNetError as error:
            raise as_failure(error) from error


def swap_grid(
    appearances: Sequence[Path],
    structures: Sequence[Path],
    *,
    server: str,
    api_key: str | None,
    scene: Scene | None = None,
    model: str | None = None,
) -> Pixels:
    """Composites (N, M, H, W, 3) of every appearance on every structure, in few requests."""
    if len(appearances) == len(structures) == 1:
        pair = [(appearances[0], structures[0])]
        (file,) = swap_pairs(pair, server=server, api_key=api_key, scene=scene, model=model)
        return decode_composite(file)[None, None]
    with connected(server, api_key) as client, counted("Swapping") as progress, _warnings_told():
        try:
            return client.grid(appearances, structures, scene=scene, model=model, progress=progress)
        except DGNetError as error:
            raise as_failure(error) from error


def interpolate(
    appearances: Sequence[Path],
    structures: Sequence[Path],
    *,
    steps: int,
    server: str,
    api_key: str | None,
    scene: Scene | None = None,
    model: str | None = None,
) -> Pixels:
    """Composites (steps, M, H, W, 3) from the first to the second of two appearances."""
    first, second = appearances
    with connected(server, api_key) as client, counted("Interpolating") as progress:
        try:
            return client.interpolate(
                first,
                second,
                list(structures),
                steps=steps,
                scene=scene,
                model=model,
                progress=progress,
            )
        except DGNetError as error:
            raise as_failure(error) from error


def decode_composite(data: bytes) -> Pixels:
    """A composite file as pixels (H, W, 3)."""
    try:
        return np.asarray(open_picture(data).rgb())
    except PictureRefused as refused:
        raise CommandError(f"the server answered with something that {refused.what}") from refused


def embed_pictures(
    paths: Sequence[Path], *, server: str, api_key: str | None, model: str | None = None
) -> tuple[Floats, str]:
    """Embeddings (N, D) and the version of the model that made them: of one, whatever becomes the
    server's default meanwhile.
    """
    with connected(server, api_key) as client, counted("Embedding") as progress:
        try:
            # Most ready workers first, as the server chooses among versions of an id.
            cards = client.models()
            wanted = [card for card in cards if model in (card.id, card.version)]
            default = [card for card in cards if card.default] or cards
            # Of a model that is not served the server says what is.
            chosen = wanted if model is not None else default
            version = chosen[0].version if chosen else model
            embeddings = client.embed(paths, model=version, progress=progress)
            return embeddings, version or ""
        except DGNetError as error:
            raise as_failure(error) from error


@contextmanager
def _warnings_told() -> Generator[None]:
    """As a command says them, when they come."""

    def tell(message: Warning | str, *_: object, **__: object) -> None:
        typer.echo(f"warning: {message}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = tell
        yield


@contextmanager
def connected(server: str, api_key: str | None) -> Generator[Client]:
    """A client of a server; an InputError for what is no address."""
    try:
        client = Client(server, api_key)
    except DGNetError as error:
        raise InputError(str(error)) from error
    with client:
        yield client


def as_failure(error: DGNetError, what: str | None = None) -> CommandError:
    """What the server said, of `what`, with the exit code that tells whose trouble it is."""
    mine = error.status in _INPUT_STATUSES or error.code in get_args(Reason)
    kind = InputError if mine else CommandError
    return kind(f"{what}: {error}" if what else str(error))
