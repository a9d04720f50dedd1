"""Requests to one server over a wire, their answers as models, their failures as `DGNetError`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from dgnet.client.errors import DGNetError, error_of
from dgnet.client.wires import Reply, Wire
from dgnet.jobs.addresses import without_secrets

Model = TypeVar("Model", bound=BaseModel)
Http = TypeVar("Http")

ReportProgress = Callable[[int, int], None]
"""Is told how much is done so far, and how much there is: bytes, or pictures."""


def no_report(done: int, total: int) -> None:
    """For whom nobody listens."""


class Connection:
    """Every method raises DGNetError for what is no success."""

    def __init__(self, wire: Wire, server_url: str) -> None:
        self.wire = wire
        self._shown = without_secrets(server_url)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | Sequence[str]] | None = None,
        headers: Mapping[str, str] | None = None,
        files: Sequence[tuple[str, tuple[str | None, bytes]]] | None = None,
        json: object = None,
        content: Iterator[bytes] | None = None,
    ) -> httpx.Response:
        """The whole answer."""
        with self._told():
            request = self.wire.build(
                method,
                path,
                content,
                params=params,
                headers=headers,
                files=files or None,
                json=json,
            )
            response = await self.wire.send(request)
        if not response.is_success:
            raise error_of(response)
        return response

    async def model(self, kind: type[Model], method: str, path: str, **options: Any) -> Model:
        """The JSON of an answer."""
        response = await self.request(method, path, **options)
        return self.read(kind, response.content)

    def read(self, kind: type[Model], data: bytes | str) -> Model:
        """JSON of the server; fields that this release does not know are passed over."""
        try:
            return kind.model_validate_json(data)
        except ValidationError as error:
            raise DGNetError(
                f"{self._shown} answered what this release does not understand "
                f"({kind.__name__}: {error.error_count()} fields); use the release of the server"
            ) from error

    @asynccontextmanager
    async def stream(
        self, path: str, *, headers: Mapping[str, str] | None = None
    ) -> AsyncGenerator[Reply]:
        """GET an answer to be read bit by bit; a connection that breaks within is told, too."""
        with self._told():
            request = self.wire.build("GET", path, None, headers=headers)
            async with self.wire.stream(request) as reply:
                if not reply.response.is_success:
                    await reply.read()
                    raise error_of(reply.response)
                yield reply

    @contextmanager
    def _told(self) -> Generator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise DGNetError(f"{self._shown} did not answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DGNetError(
                f"{self._shown} cannot be reached ({error}); is `dgnet serve` running there?"
            ) from error


def http_client(
    kind: Callable[..., Http], server_url: str, api_key: str | None, **options: Any
) -> Http:
    """One of httpx's two clients, made for a server; DGNetError for what is no address."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        return kind(base_url=server_url.rstrip("/"), headers=headers, **options)
    except httpx.InvalidURL as error:
        raise DGNetError(
            f"{without_secrets(server_url)!r} is not a server address; expected http://HOST:PORT"
        ) from error
