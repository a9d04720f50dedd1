"""What is asked of a server and what follows from its answers: all of `AsyncClient`.

`Client` is the same over a wire that blocks. Bulk generation is in the two parts `datasets` and
`jobs`.

Legend: N pictures, D embedding values.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Any, Final, Literal, Self, overload

import httpx
import numpy as np

from dgnet.arrays import Floats, Pixels
from dgnet.client.connection import Connection, ReportProgress, http_client, no_report
from dgnet.client.datasets import AsyncDatasets
from dgnet.client.errors import DGNetError
from dgnet.client.jobs import AsyncJobs
from dgnet.client.many import ManyComposites
from dgnet.client.sent_files import BYTES_PER_REQUEST, PICTURES_PER_REQUEST, sent_files
from dgnet.client.wires import AsyncWire, Wire
from dgnet.jobs.contract import Scene
from dgnet.jobs.media_types import NPY
from dgnet.jobs.views import ModelList, ModelView
from dgnet.pictures import (
    AnyPicture,
    AnyPictures,
    as_list,
    is_single,
    name_of,
    open_picture,
)

PictureFormat = Literal["png", "jpeg", "webp"]

TIMEOUT_SECONDS: Final = 150.0


class AsyncClient(ManyComposites):
    """One server, one connection pool, in an event loop; an asynchronous context manager."""

    def __init__(
        self,
        server_url: str,
        api_key: str | None = None,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        http = http_client(
            httpx.AsyncClient, server_url, api_key, timeout=timeout_seconds, transport=transport
        )
        self._over(AsyncWire(http), server_url)

    @classmethod
    def over(cls, wire: Wire, server_url: str) -> Self:
        """The same requests over another wire."""
        client = cls.__new__(cls)
        client._over(wire, server_url)
        return client

    def _over(self, wire: Wire, server_url: str) -> None:
        self._wire = wire
        self._connection = Connection(wire, server_url)
        self.datasets = AsyncDatasets(self._connection)
        self.jobs = AsyncJobs(self._connection)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._wire.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    @overload
    async def swap(  # pyright: ignore[reportOverlappingOverload]  # a str is a sequence of str, too
        self,
        appearance: AnyPicture,
        structure: AnyPicture,
        *,
        picture_format: PictureFormat = "png",
        resize_to_structure: bool = False,
        scene: Scene | None = None,
        model: str | None = None,
        progress: ReportProgress = no_report,
    ) -> bytes: ...

    @overload
    async def swap(
        self,
        appearance: AnyPictures,
        structure: AnyPictures,
        *,
        picture_format: PictureFormat = "png",
        resize_to_structure: bool = False,
        scene: Scene | None = None,
        model: str | None = None,
        progress: ReportProgress = no_report,
    ) -> list[bytes]: ...

    async def swap(
        self,
        appearance: AnyPictures,
        structure: AnyPictures,
        *,
        picture_format: PictureFormat = "png",
        resize_to_structure: bool = False,
        scene: Scene | None = None,
        model: str | None = None,
        progress: ReportProgress = no_report,
    ) -> bytes | list[bytes]:
        """The composite of two pictures, as a file of `picture_format`; of several, one for each
        pair. A single picture on one side goes with each of the other side.

        Pictures are paths, bytes of files, PIL images or arrays of any size. `scene` is kept or
        generated as the server's model does, if absent. `model` is the id or version of one that
        the server has, its default one if absent. `progress` hears of pairs.
        """
        ask = partial(
            self._swap,
            params={
                **({"resize": "structure"} if resize_to_structure else {}),
                **({} if scene is None else {"scene": scene}),
                **_choice(model),
            },
            accept=f"image/{picture_format}",
        )
        appearances, structures = paired(appearance, structure)
        if is_single(appearance) and is_single(structure):
            return await ask(appearances[0], structures[0])

        async def one(index: int) -> bytes:
            try:
                return await ask(appearances[index], structures[index])
            except DGNetError as error:
                names = name_of(appearances[index], index), name_of(structures[index], index)
                raise error.about(" on ".join(names), index) from error

        pairs = len(appearances)
        return await self._wire.all(
            [partial(one, index) for index in range(pairs)],
            lambda place: progress(place + 1, pairs),
        )

    async def embed(
        self,
        pictures: AnyPictures,
        *,
        model: str | None = None,
        progress: ReportProgress = no_report,
    ) -> Floats:
        """Embeddings (N, D) of unit length of N pictures, in as many requests as it takes; (D,) of
        a single one.

        Pictures are paths, bytes of files, PIL images or arrays of any size. `model` is the id or
        version of one that the server has, its default one if absent. `progress` hears of pictures.
        """
        everything = as_list(pictures)
        starts = range(0, len(everything), PICTURES_PER_REQUEST)
        if not everything:
            raise DGNetError("no picture given; expected at least one")

        def done(place: int) -> None:
            progress(min(starts[place] + PICTURES_PER_REQUEST, len(everything)), len(everything))

        calls = [partial(self._embed, everything, start, model) for start in starts]
        embeddings = np.concatenate(await self._wire.all(calls, done))
        return embeddings[0] if is_single(pictures) else embeddings

    async def models(self) -> list[ModelView]:
        """The cards of the models that live workers serve."""
        return (await self._connection.model(ModelList, "GET", "/v1/models")).data

    async def _swap(
        self, appearance: AnyPicture, structure: AnyPicture, *, params: dict[str, str], accept: str
    ) -> bytes:
        roles = {"appearance": appearance, "structure": structure}
        named = [(given, f"{role} picture") for role, given in roles.items()]
        files = await sent_files(self._wire, named)
        response = await self._connection.request(
            "POST",
            "/v1/swaps",
            params=params,
            headers={"Accept": accept},
            files=[(role, (role, data)) for role, data in zip(roles, files, strict=True)],
        )
        return response.content

    async def _singles(
        self,
        pairs: Sequence[tuple[AnyPicture, AnyPicture]],
        *,
        scene: Scene | None,
        model: str | None,
        progress: ReportProgress,
    ) -> Pixels:
        appearances, structures = (list(role) for role in zip(*pairs, strict=True))
        options: dict[str, Any] = {"scene": scene, "model": model, "progress": progress}
        files = await self.swap(appearances, structures, **options)
        return np.stack([np.asarray(open_picture(file).rgb()) for file in files])

    async def _embed(
        self, everything: Sequence[AnyPicture], start: int, model: str | None
    ) -> Floats:
        """Of the pictures from `start` on, as many as a request may have."""
        part = everything[start : start + PICTURES_PER_REQUEST]
        named = [(picture, name_of(picture, start + row)) for row, picture in enumerate(part)]
        files = await sent_files(self._wire, named)
        parts: list[Floats] = []
        for rows in requests_of([len(data) for data in files]):
            try:
                response = await self._connection.request(
                    "POST",
                    "/v1/embeddings",
                    params=_choice(model),
                    headers={"Accept": NPY},
                    files=[("files", (str(row - rows.start), files[row])) for row in rows],
                )
            except DGNetError as error:
                if error.index is None:
                    raise
                index = error.index + start + rows.start
                raise error.about(name_of(everything[index], index), index) from error
            parts.append(np.load(io.BytesIO(response.content), allow_pickle=False))
        return np.concatenate(parts)


def _choice(model: str | None) -> dict[str, str]:
    return {} if model is None else {"model": model}


def paired(
    appearance: AnyPictures, structure: AnyPictures
) -> tuple[list[AnyPicture], list[AnyPicture]]:
    """As many of one as of the other; a single one is repeated."""
    appearances, structures = as_list(appearance), as_list(structure)
    if is_single(appearance):
        appearances *= len(structures)
    elif is_single(structure):
        structures *= len(appearances)
    if len(appearances) != len(structures) or not appearances:
        raise DGNetError(
            f"{len(appearances)} appearance pictures and {len(structures)} structure pictures; "
            "expected as many of one as of the other, and at least one"
        )
    return appearances, structures


def requests_of(sizes: Sequence[int]) -> list[range]:
    """Rows of pictures of so many bytes, in order, that fit into one request each; one that is too
    large goes alone.
    """
    requests: list[range] = []
    start, total = 0, 0
    for row, size in enumerate(sizes):
        if row > start and total + size > BYTES_PER_REQUEST:
            requests.append(range(start, row))
            start, total = row, 0
        total += size
    return [*requests, range(start, len(sizes))]
