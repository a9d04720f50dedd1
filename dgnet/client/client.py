"""`Client`: what `AsyncClient` does, for whom waits in its own thread.

No request is written a second time: each method runs the coroutine of the same name over a wire
that blocks (`wires`). Threads may share one client.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar, overload

import httpx

from dgnet.client.async_client import TIMEOUT_SECONDS, AsyncClient, PictureFormat
from dgnet.client.connection import ReportProgress, http_client, no_report
from dgnet.client.datasets import AsyncDatasets
from dgnet.client.jobs import AsyncJobs
from dgnet.client.wires import BlockingWire, each, finished
from dgnet.jobs.contract import Scene
from dgnet.pictures import AnyPicture, AnyPictures

P = ParamSpec("P")
T = TypeVar("T")
Side = TypeVar("Side")
SideOf = TypeVar("SideOf", covariant=True)


class _Over(Protocol[SideOf]):
    """Whoever has an asynchronous side."""

    @property
    def asynchronous(self) -> SideOf: ...


def _blocking(
    method: Callable[Concatenate[Side, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[_Over[Side], P], T]:
    @wraps(method)
    def call(self: _Over[Side], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return finished(method(self.asynchronous, *args, **kwargs))

    return call


def _iterating(
    method: Callable[Concatenate[Side, P], AsyncGenerator[T]],
) -> Callable[Concatenate[_Over[Side], P], Generator[T]]:
    @wraps(method)
    def call(self: _Over[Side], /, *args: P.args, **kwargs: P.kwargs) -> Generator[T]:
        return each(method(self.asynchronous, *args, **kwargs))

    return call


class Datasets:
    """Part of `Client`; every method raises DGNetError."""

    def __init__(self, asynchronous: AsyncDatasets) -> None:
        self.asynchronous = asynchronous

    upload = _blocking(AsyncDatasets.upload)
    register = _blocking(AsyncDatasets.register)
    list = _blocking(AsyncDatasets.list)
    get = _blocking(AsyncDatasets.get)
    delete = _blocking(AsyncDatasets.delete)


class Jobs:
    """Part of `Client`; every method raises DGNetError."""

    def __init__(self, asynchronous: AsyncJobs) -> None:
        self.asynchronous = asynchronous

    submit = _blocking(AsyncJobs.submit)
    get = _blocking(AsyncJobs.get)
    list = _iterating(AsyncJobs.list)
    composites = _iterating(AsyncJobs.composites)
    cancel = _blocking(AsyncJobs.cancel)
    resume = _blocking(AsyncJobs.resume)
    delete = _blocking(AsyncJobs.delete)
    wait = _blocking(AsyncJobs.wait)
    follow = _iterating(AsyncJobs.follow)
    download_archive = _blocking(AsyncJobs.download_archive)
    download_manifest = _blocking(AsyncJobs.download_manifest)
    download_preview = _blocking(AsyncJobs.download_preview)


class Client:
    """One server, one connection pool; a context manager."""

    def __init__(
        self,
        server_url: str,
        api_key: str | None = None,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        http = http_client(
            httpx.Client, server_url, api_key, timeout=timeout_seconds, transport=transport
        )
        self.asynchronous = AsyncClient.over(BlockingWire(http), server_url)
        self.datasets = Datasets(self.asynchronous.datasets)
        self.jobs = Jobs(self.asynchronous.jobs)

    close = _blocking(AsyncClient.aclose)
    embed = _blocking(AsyncClient.embed)
    grid = _blocking(AsyncClient.grid)
    swap_pairs = _blocking(AsyncClient.swap_pairs)
    interpolate = _blocking(AsyncClient.interpolate)
    models = _blocking(AsyncClient.models)

    @overload
    def swap(  # pyright: ignore[reportOverlappingOverload]  # a str is a sequence of str, too
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
    def swap(
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

    @wraps(AsyncClient.swap)
    def swap(
        self, appearance: AnyPictures, structure: AnyPictures, **options: Any
    ) -> bytes | list[bytes]:
        return finished(self.asynchronous.swap(appearance, structure, **options))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
