"""Two ways to wait: `AsyncWire` in an event loop, `BlockingWire` in whatever thread calls.

What is asked, and what follows from an answer, is written once, as coroutines over a wire
(`connection`, `jobs`, `datasets`, `async_client`). Those of a blocking wire never suspend, for each
of its methods is done when it returns, so `finished` runs one to its end without any event loop: in
threads, and in notebooks, whose loop runs already.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterator,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeVar, cast

import httpx
from httpx_sse import EventSource, ServerSentEvent

T = TypeVar("T")

CONCURRENT_REQUESTS = 8
"""Of one call that takes several."""


class Reply(Protocol):
    """An answer that is read bit by bit."""

    @property
    def response(self) -> httpx.Response: ...

    async def read(self) -> bytes:
        """All of it."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """As they arrive."""
        ...

    def events(self) -> AsyncIterator[ServerSentEvent]:
        """Of an event stream."""
        ...


class Wire(Protocol):
    """Sends requests of httpx, and waits."""

    async def send(self, request: httpx.Request) -> httpx.Response: ...

    def stream(self, request: httpx.Request) -> AbstractAsyncContextManager[Reply]: ...

    def build(self, method: str, path: str, content: Iterator[bytes] | None, **options: Any) -> Any:
        """The request; `content` is a body that is made while it is sent."""
        ...

    async def all(
        self,
        calls: Sequence[Callable[[], Coroutine[Any, Any, T]]],
        done: Callable[[int], None],
        *,
        at_once: int = CONCURRENT_REQUESTS,
    ) -> list[T]:
        """The answers in order, `at_once` calls at a time; the first failure calls off the rest.
        `done` hears of each call by its place.
        """
        ...

    async def aside(self, call: Callable[[], T]) -> T:
        """What reads or writes files, out of the way of who waits."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    async def close(self) -> None: ...


class BlockingReply:
    def __init__(self, response: httpx.Response) -> None:
        self.response = response

    async def read(self) -> bytes:
        return self.response.read()

    async def chunks(self) -> AsyncGenerator[bytes]:
        for chunk in self.response.iter_raw():
            yield chunk

    async def events(self) -> AsyncGenerator[ServerSentEvent]:
        for event in EventSource(self.response).iter_sse():
            yield event


class BlockingWire:
    """Every method is done when it returns."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def build(
        self, method: str, path: str, content: Iterator[bytes] | None, **options: Any
    ) -> httpx.Request:
        return self._http.build_request(method, path, content=content, **options)

    async def send(self, request: httpx.Request) -> httpx.Response:
        return self._http.send(request)

    @asynccontextmanager
    async def stream(self, request: httpx.Request) -> AsyncGenerator[Reply]:
        response = self._http.send(request, stream=True)
        try:
            yield BlockingReply(response)
        finally:
            response.close()

    async def all(
        self,
        calls: Sequence[Callable[[], Coroutine[Any, Any, T]]],
        done: Callable[[int], None],
        *,
        at_once: int = CONCURRENT_REQUESTS,
    ) -> list[T]:
        with ThreadPoolExecutor(at_once) as pool:
            answers = [pool.submit(_finished_call, call) for call in calls]
            results: list[T] = []
            try:
                for place, answer in enumerate(answers):
                    results.append(answer.result())
                    done(place)
                return results
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    async def aside(self, call: Callable[[], T]) -> T:
        return call()

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251  # no loop runs this

    async def close(self) -> None:
        self._http.close()


class AsyncReply:
    def __init__(self, response: httpx.Response) -> None:
        self.response = response

    async def read(self) -> bytes:
        return await self.response.aread()

    def chunks(self) -> AsyncIterator[bytes]:
        return self.response.aiter_raw()

    def events(self) -> AsyncIterator[ServerSentEvent]:
        return EventSource(self.response).aiter_sse()


class AsyncWire:
    """For an event loop of asyncio."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    def build(
        self, method: str, path: str, content: Iterator[bytes] | None, **options: Any
    ) -> httpx.Request:
        drawn = None if content is None else _drawn(content)
        return self._http.build_request(method, path, content=drawn, **options)

    async def send(self, request: httpx.Request) -> httpx.Response:
        return await self._http.send(request)

    @asynccontextmanager
    async def stream(self, request: httpx.Request) -> AsyncGenerator[Reply]:
        response = await self._http.send(request, stream=True)
        try:
            yield AsyncReply(response)
        finally:
            await response.aclose()

    async def all(
        self,
        calls: Sequence[Callable[[], Coroutine[Any, Any, T]]],
        done: Callable[[int], None],
        *,
        at_once: int = CONCURRENT_REQUESTS,
    ) -> list[T]:
        turns = asyncio.Semaphore(at_once)

        async def in_turn(place: int) -> T:
            async with turns:
                answer = await calls[place]()
                done(place)
                return answer

        tasks = [asyncio.ensure_future(in_turn(place)) for place in range(len(calls))]
        try:
            return list(await asyncio.gather(*tasks))
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def aside(self, call: Callable[[], T]) -> T:
        return await asyncio.to_thread(call)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        await self._http.aclose()


def finished(awaited: Awaitable[T]) -> T:
    """What comes of a coroutine over a `BlockingWire`."""
    try:
        cast("Coroutine[Any, Any, T]", awaited).send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("what a blocking wire does is done when it returns")


def _finished_call(call: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return finished(call())


def each(items: AsyncIterator[T]) -> Generator[T]:
    """The items of an asynchronous generator over a `BlockingWire`."""
    try:
        while True:
            try:
                item = finished(items.__anext__())
            except StopAsyncIteration:
                return
            yield item
    finally:
        finished(cast("AsyncGenerator[T]", items).aclose())


async def _drawn(chunks: Iterator[bytes]) -> AsyncGenerator[bytes]:
    """Chunks that are read from the disk in a thread."""
    while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
        yield chunk
