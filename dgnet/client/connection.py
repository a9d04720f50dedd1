"""Requests to one server, and their failures as `DGNetError`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import httpx

from dgnet.jobs.addresses import without_secrets
from dgnet.jobs.media_types import PROBLEM

ReportProgress = Callable[[int, int], None]
"""Is told the bytes so far, and all there are."""


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

    @property
    def may_pass(self) -> bool:
        """Whether the same request may succeed later: nobody answered, or somebody was too busy."""
        return self.status is None or self.status in (429, 502, 503, 504)


class Connection:
    """A connection pool; every method raises DGNetError for what is no success."""

    def __init__(
        self,
        server_url: str,
        api_key: str | None,
        *,
        timeout_seconds: float,
        transport: httpx.BaseTransport | None,
    ) -> None:
        self.server_url = server_url.rstrip("/")
        self._shown = without_secrets(self.server_url)
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        try:
            self._http = httpx.Client(
                base_url=self.server_url,
                headers=headers,
                timeout=timeout_seconds,
                transport=transport,
            )
        except httpx.InvalidURL as error:
            raise DGNetError(
                f"{self._shown!r} is not a server address; expected http://HOST:PORT"
            ) from error

    def close(self) -> None:
        self._http.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | Sequence[str]] | None = None,
        headers: Mapping[str, str] | None = None,
        files: Sequence[tuple[str, tuple[str, bytes]]] | None = None,
        json: object = None,
        content: Iterable[bytes] | None = None,
    ) -> httpx.Response:
        """The whole answer."""
        with self._told():
            response = self._http.request(
                method,
                path,
                params=params,
                headers=headers,
                files=files or None,
                json=json,
                content=content,
            )
        if not response.is_success:
            raise error_of(response)
        return response

    def json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The JSON object of an answer."""
        return cast("dict[str, Any]", self.request(method, path, **options).json())

    @contextmanager
    def stream(
        self, path: str, *, headers: Mapping[str, str] | None = None
    ) -> Generator[httpx.Response]:
        """GET an answer to be read bit by bit; a connection that breaks within is told, too."""
        with self._told(), self._http.stream("GET", path, headers=headers) as response:
            if not response.is_success:
                response.read()
                raise error_of(response)
            yield response

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


def error_of(response: httpx.Response) -> DGNetError:
    """The server's problem as an exception; answers of others (a proxy, say) by their status."""
    problem: dict[str, Any] = {}
    if response.headers.get("content-type", "").startswith(PROBLEM):
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
