"""The client itself: composites and embeddings here, bulk generation in its two parts."""

from __future__ import annotations

import io
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Literal, Self

import httpx
import numpy as np

from dgnet.arrays import Floats
from dgnet.client.connection import Connection
from dgnet.client.datasets import Datasets
from dgnet.client.jobs import Jobs
from dgnet.jobs.contract import Scene
from dgnet.jobs.media_types import NPY

PictureFormat = Literal["png", "jpeg", "webp"]


class DGNetClient:
    """One server, one connection pool; a context manager."""

    def __init__(
        self,
        server_url: str,
        api_key: str | None = None,
        *,
        timeout_seconds: float = 150.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._connection = Connection(
            server_url, api_key, timeout_seconds=timeout_seconds, transport=transport
        )
        self.datasets = Datasets(self._connection)
        self.jobs = Jobs(self._connection)

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def swap(
        self,
        appearance: bytes,
        structure: bytes,
        *,
        picture_format: PictureFormat = "png",
        resize_to_structure: bool = False,
        scene: Scene | None = None,
    ) -> bytes:
        """The composite of two picture files, as a file of `picture_format`.

        `scene` is kept or generated as the server's model does, if absent.
        """
        response = self._connection.request(
            "POST",
            "/v1/swaps",
            params={
                **({"resize": "structure"} if resize_to_structure else {}),
                **({} if scene is None else {"scene": scene}),
            },
            headers={"Accept": f"image/{picture_format}"},
            files=[("appearance", ("appearance", appearance)), ("structure", ("s", structure))],
        )
        return response.content

    def embed(self, pictures: Sequence[bytes]) -> Floats:
        """Embeddings (N, D) of unit length of N picture files, in one request.

        The server bounds N (64 by default) and the size of the request (10 MB).
        """
        response = self._connection.request(
            "POST",
            "/v1/embeddings",
            headers={"Accept": NPY},
            files=[("files", (str(index), data)) for index, data in enumerate(pictures)],
        )
        return np.load(io.BytesIO(response.content), allow_pickle=False)

    def models(self) -> list[dict[str, Any]]:
        """The cards of the models that live workers serve."""
        return self._connection.json("GET", "/v1/models")["data"]
