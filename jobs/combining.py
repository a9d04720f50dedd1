"""Gathers calls that arrive while a round trip is under way into the next one.

The first call goes out at once; those that come meanwhile share the next trip. One caller alone
waits for nobody, thirty-two at once need two trips instead of thirty-two. A trip that is refused
for what is in it is made again for each caller alone, so that one bad item harms no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from redis.exceptions import ConnectionError

from dgnet.jobs.outages import is_outage

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")


class Combiner(Generic[ItemT, AnswerT]):
    """`flush` takes up to `max_items` items and gives one answer for each, in order."""

    def __init__(
        self,
        flush: Callable[[Sequence[ItemT]], Awaitable[Sequence[AnswerT]]],
        *,
        max_items: int,
    ) -> None:
        self._flush = flush
        self._max_items = max_items
        self._waiting: list[tuple[ItemT, asyncio.Future[AnswerT]]] = []
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, item: ItemT) -> AnswerT:
        """The answer for one item; raises what its flush raised."""
        answer: asyncio.Future[AnswerT] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        self._set_out()
        return await answer

    def _set_out(self) -> None:
        if self._task is None and any(not answer.done() for _, answer in self._waiting):
            self._task = asyncio.create_task(self._run(), name="combined trips")
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Those who came too late for a trip that was ended by others get one of their own."""
        self._task = None
        if not task.cancelled():
            task.exception()  # told to those who waited
        self._set_out()

    async def _run(self) -> None:
        while self._waiting:
            taken = self._waiting[: self._max_items]
            del self._waiting[: self._max_items]
            # A caller that has gone away no longer wants its item sent.
            wanted = [(item, answer) for item, answer in taken if not answer.done()]
            if wanted:
                try:
                    await self._send(wanted)
                finally:  # whatever ended the trip: nobody may wait for ever
                    self._fail(wanted, ConnectionError("the trip was ended before its answer"))

    async def _send(self, wanted: list[tuple[ItemT, asyncio.Future[AnswerT]]]) -> None:
        try:
            answers = await self._flush([item for item, _ in wanted])
            pairs = list(zip(wanted, answers, strict=True))
        except Exception as error:
            if len(wanted) > 1 and not is_outage(error):
                for one in wanted:
                    await self._send([one])
                return
            self._fail(wanted, error)
        else:
            for (_, future), answer in pairs:
                if not future.done():
                    future.set_result(answer)

    @staticmethod
    def _fail(wanted: list[tuple[ItemT, asyncio.Future[AnswerT]]], error: Exception) -> None:
        for _, answer in wanted:
            if not answer.done():
                answer.set_exception(error)
