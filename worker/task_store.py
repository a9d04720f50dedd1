"""The workers' side of a generation job's record: what was done, and whether it still counts.

Every method belongs to a task, whose epoch the scripts compare: what comes from a task that is
stale changes nothing. Methods whose work must not be undone by an outage try until Redis takes it.
Light: no torch.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from redis.asyncio import Redis

from dgnet.jobs.contract import WorkerInfo
from dgnet.jobs.generation.errors import SpecError, UnreadableRecord
from dgnet.jobs.generation.jobs import GenerationTask
from dgnet.jobs.generation.records import change, new_epoch
from dgnet.jobs.generation.scripts import (
    ASSEMBLE,
    COMPLETE,
    FAIL,
    FINISH,
    OPEN_WINDOW,
    REPORT,
    START,
)
from dgnet.jobs.generation.spec import GenerationSpec, spec_from
from dgnet.jobs.keys import Keys
from dgnet.jobs.live_workers import read_workers
from dgnet.jobs.outages import until_taken
from dgnet.jobs.settings import QueueSettings
from dgnet.jobs.text import utf8
from dgnet.release import RELEASE

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a task needs to know of its job."""

    spec: GenerationSpec
    window: tuple[int, int]
    """Positions of the plan that are being made."""
    window_shard: int
    """Number of the window's first shard."""
    model_version: str
    """Of the model that makes it; empty while any may."""


class TaskStore:
    """One per worker, whose model's version is that of all tasks which it causes."""

    def __init__(self, redis: Redis, settings: QueueSettings, model_version: str = "") -> None:
        self._model_version = model_version
        self._redis = redis
        self._keys = Keys(settings.key_prefix)

    async def order(self, task: GenerationTask) -> Order | None:
        """None if the task is stale; raises UnreadableRecord."""
        names = ("epoch", "spec", "state", "model_version")
        window_names = ("window_start", "window_stop", "window_shard")
        values = await self._until_taken(lambda: self._fields(task, *names, *window_names))
        epoch, spec, state, model_version, *window = values
        if epoch != task.epoch or spec is None:
            return None
        if task.step == "shard" and state != "running":  # all shards are there already
            return None
        try:
            start, stop, first = (int(value or 0) for value in window)
            values = json.loads(spec)
            if not isinstance(values, dict):
                raise ValueError("the spec is no mapping")
        except ValueError as error:
            raise UnreadableRecord("the job's record is damaged; submit the job anew") from error
        if task.step == "shard" and task.number < first:  # of a window that is complete
            return None
        try:
            read = spec_from(cast("dict[str, Any]", values))
        except SpecError as error:
            raise UnreadableRecord(
                f"release {RELEASE} cannot read the job's record: {error}. If a newer release "
                "wrote it, bring the workers up to date"
            ) from error
        return Order(
            spec=read,
            window=(start, stop),
            window_shard=first,
            model_version=model_version or "",
        )

    async def is_current(self, task: GenerationTask) -> bool:
        return (await self._fields(task, "epoch"))[0] == task.epoch

    async def was_deleted(self, task: GenerationTask) -> bool:
        """Whether the job was deleted or has expired: it must have no files."""
        state = (await self._until_taken(lambda: self._fields(task, "state")))[0]
        return state in ("deleted", "expired")

    async def start(self, task: GenerationTask, model_version: str) -> bool:
        """Listing and plan are about to be read."""
        return await self._surely(task, START, model_version)

    async def open_window(
        self, task: GenerationTask, window: tuple[int, int], first_shard: int, shards: int
    ) -> bool:
        """Shards `first_shard` to before `shards` are to be made, and cover the window."""
        return await self._surely(task, OPEN_WINDOW, *window, first_shard, shards)

    async def report(self, task: GenerationTask, made: int) -> bool:
        """So many composites of the task's shard are made; False if nobody wants them any more.

        Tried once.
        """
        return bool(await self._change(task, REPORT, task.number, made))

    async def complete(
        self,
        task: GenerationTask,
        *,
        composites: int,
        kept: int,
        found: int,
        dropped: Mapping[str, int],
        unreadable: Iterable[str],
    ) -> bool:
        """The task's shard is published; `found` of its composites were there already."""
        counts = [part for pair in dropped.items() for part in pair]
        return await self._surely(
            task,
            COMPLETE,
            task.number,
            composites,
            kept,
            found,
            len(dropped),
            *counts,
            *map(utf8, unreadable),
        )  # fmt: skip

    async def assemble(self, task: GenerationTask) -> bool:
        """All shards are there, the data set is about to be put together."""
        return await self._surely(task, ASSEMBLE)

    async def finish(
        self,
        task: GenerationTask,
        *,
        composites: int,
        kept: int,
        dropped: Mapping[str, int],
        unreadable: Iterable[str],
    ) -> bool:
        """The data set is complete: every task of the job is stale from now on."""
        counts = [part for pair in dropped.items() for part in pair]
        return await self._surely(
            task, FINISH, new_epoch(),
            composites, kept, len(dropped), *counts, *map(utf8, unreadable),
        )  # fmt: skip

    async def fail(self, task: GenerationTask, code: str, message: str) -> bool:
        """The job ends here, until somebody resumes it."""
        shard = task.number if task.step == "shard" else ""
        return await self._surely(task, FAIL, new_epoch(), code, utf8(message), shard)

    async def workers(self) -> list[WorkerInfo]:
        """Everybody alive."""
        return await self._until_taken(lambda: read_workers(self._redis, self._keys))

    async def _fields(self, task: GenerationTask, *names: str) -> list[str | None]:
        values = cast(
            "list[bytes | None]",
            await self._redis.hmget(self._keys.generation(task.job_id), [*names]),  # pyright: ignore[reportGeneralTypeIssues]
        )
        return [None if value is None else value.decode(errors="replace") for value in values]

    async def _change(self, task: GenerationTask, script: str, *arguments: str | int) -> Any:
        return await change(
            self._redis, self._keys, script, task.job_id, task.epoch, *arguments,
            model=self._model_version,
        )  # fmt: skip

    async def _surely(self, task: GenerationTask, script: str, *arguments: str | int) -> bool:
        return bool(await self._until_taken(lambda: self._change(task, script, *arguments)))

    async def _until_taken(self, call: Callable[[], Awaitable[T]]) -> T:
        def tell(error: BaseException) -> None:
            _log.warning("a generation job's record is out of reach: %r", error)

        return await until_taken(call, tell)
