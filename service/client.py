"""A small synchronous client of the HTTP API.

    with DGNetClient("http://127.0.0.1:8000") as client:
        composite_png = client.swap(appearance_bytes, structure_bytes)

Every failure is a `DGNetError`; where the server sent a problem, its status, kind and detail are
kept. Needs httpx and numpy only.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, cast

import httpx
import numpy as np
from numpy.typing import NDArray

from service.encoding import NPY_MEDIA_TYPE

PictureFormat = Literal["png", "jpeg", "webp"]


class DGNetError(Exception):
    """The server refused or could not be reached; `str(error)` says why and what to do.

    `status` is the HTTP status, None when no answer came; `code` the kind of problem, such as
    "not-a-picture"; `index` the position of the picture at fault, where one is.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after_seconds: float | None = None,
        index: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after_seconds = retry_after_seconds
        self.index = index


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
        self._server_url = server_url.rstrip("/")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        try:
            self._http = httpx.Client(
                base_url=self._server_url,
                headers=headers,
                timeout=timeout_seconds,
                transport=transport,
            )
        except httpx.InvalidURL as error:
            raise DGNetError(f"{server_url!r} is not a server address: {error}") from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

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
    ) -> bytes:
        """The composite of two picture files, as a file of `picture_format`."""
        response = self._request(
            "POST",
            "/v1/swaps",
            params={"resize": "structure"} if resize_to_structure else {},
            headers={"Accept": f"image/{picture_format}"},
            files=[("appearance", ("appearance", appearance)), ("structure", ("s", structure))],
        )
        return response.content

    def embed(self, pictures: Sequence[bytes]) -> NDArray[np.float32]:
        """Embeddings (N, D) of unit length of N picture files, in one request.

        The server bounds N (64 by default) and the size of the request (10 MB).
        """
        response = self._request(
            "POST",
            "/v1/embeddings",
            headers={"Accept": NPY_MEDIA_TYPE},
            files=[("files", (str(index), data)) for index, data in enumerate(pictures)],
        )
        return np.load(io.BytesIO(response.content), allow_pickle=False)

    def models(self) -> list[dict[str, Any]]:
        """The cards of the models that live workers serve."""
        body = cast("dict[str, Any]", self._request("GET", "/v1/models").json())
        return body["data"]

    def _request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        files: Sequence[tuple[str, tuple[str, bytes]]] | None = None,
    ) -> httpx.Response:
        try:
            response = self._http.request(
                method, path, params=params, headers=headers, files=files or None
            )
        except httpx.TimeoutException as error:
            raise DGNetError(f"{self._server_url} did not answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DGNetError(
                f"{self._server_url} cannot be reached ({error}); is `dgnet serve` running there?"
            ) from error
        if response.status_code != 200:
            raise _error_of(response)
        return response


def _error_of(response: httpx.Response) -> DGNetError:
    """The server's problem as an exception; answers of others (a proxy, say) by their status."""
    problem: dict[str, Any] = {}
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        problem = response.json()
    retry_after = response.headers.get("retry-after", "")
    title = problem.get("title", f"{response.url.host} answered {response.status_code}")
    detail = problem.get("detail", response.text[:200])
    return DGNetError(
        f"{title}: {detail}" if detail else title,
        status=response.status_code,
        code=str(problem.get("type", "")).rpartition(":")[2] or None,
        request_id=problem.get("request_id"),
        retry_after_seconds=float(retry_after) if retry_after.isdigit() else None,
        index=problem.get("index"),
    )
