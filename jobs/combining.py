"""Gathers calls that arrive while a round trip is under way into the next one.

The first call goes out at once; those that come meanwhile share the next trip. One caller alone
waits for nobody, thirty-two at once need two trips instead of thirty-two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

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
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                taken = self._waiting[: self._max_items]
                del self._waiting[: self._max_items]
                # A caller that has gone away no longer wants its item sent.
                wanted = [(item, answer) for item, answer in taken if not answer.done()]
                if wanted:
                    await self._send(wanted)
        finally:
            self._task = None

    async def _send(self, wanted: list[tuple[ItemT, asyncio.Future[AnswerT]]]) -> None:
        try:
            answers = await self._flush([item for item, _ in wanted])
        except Exception as error:
            for _, answer in wanted:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, future), answer in zip(wanted, answers, strict=True):
            if not future.done():
                future.set_result(answer)
