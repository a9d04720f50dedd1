"""The front end's side of generation jobs: submits, shows, cancels, resumes, deletes, follows.

A job is a record in Redis and a folder on the shared volume; a request file beside the folder
brings the record back if Redis lost it. What workers write into the record is in
`dgnet.worker.task_store`, the atomic steps of both in `scripts`. Light: neither torch nor `model`
is imported.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar, cast

from redis.asyncio import Redis

from dgnet.jobs.combining import Combiner
from dgnet.jobs.errors import (
    BadJob,
    IdempotencyConflict,
    JobDeleted,
    JobError,
    JobExpired,
    JobFailed,
    QueueFull,
    QueueUnavailable,
    StorageFailed,
    StorageFull,
    UnknownJob,
    WrongState,
)
from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.feed import EventFeed
from dgnet.jobs.generation.jobs import FINAL_STATES, GenerationJob, JobEvent
from dgnet.jobs.generation.leftovers import look_through
from dgnet.jobs.generation.records import (
    change,
    free_storage,
    has_storage,
    is_final,
    is_job_id,
    job_of,
    located,
    new_epoch,
    new_job_id,
    read_request,
    settle_request,
    text_fields,
    write_request,
)
from dgnet.jobs.generation.scripts import CANCEL, DELETE, EXPIRE, GIVE_UP, RESUME, SUBMIT
from dgnet.jobs.generation.spec import GenerationSpec
from dgnet.jobs.keys import Keys
from dgnet.jobs.live_workers import read_workers
from dgnet.jobs.outages import answered_within, asked_for_a_request, is_outage, unavailable
from dgnet.jobs.settings import QueueSettings
from dgnet.jobs.storage import StorageSettings, job_folder, storage_problems

T = TypeVar("T")
Records = dict[str, GenerationJob | None]
"""Those jobs that there are; None for one whose record cannot be read."""

_log = logging.getLogger(__name__)

IDEMPOTENCY_SECONDS = 86_400
TOMBSTONE_SECONDS = 86_400
FULL_RETRY_SECONDS = 30.0
STATES_AT_ONCE = 500
MOST_READING = 64


class JobStore:
    """All generation jobs of one installation; every method raises QueueUnavailable if need be."""

    def __init__(self, redis: Redis, settings: QueueSettings, storage: StorageSettings) -> None:
        self._redis = redis
        self._settings = settings
        self._storage = storage
        self._keys = Keys(settings.key_prefix)
        self._reads: Combiner[str, Records] = Combiner(self._read_for_all, max_items=MOST_READING)
        self._listing = asyncio.Lock()
        self._outage_at = float("-inf")
        self._feed = EventFeed(redis, self._keys, settings.outage_seconds)

    async def submit(
        self,
        spec: GenerationSpec,
        *,
        idempotency_key: str | None = None,
        model: str = "",
        named: str | None = None,
    ) -> tuple[GenerationJob, bool]:
        """The job, and whether it is new: a key that was used within a day gives its job again.

        Workers of the version `model` make it, and no others; any, if it is empty. `named` is how
        the client named a model: a key stands for this, too.

        Raises IdempotencyConflict for a key that stands for another spec, BadJob for a source that
        is not below the data root or a destination that is not allowed, QueueFull, JobDeleted for
        a key whose job was deleted, StorageFull, StorageFailed.
        """
        self._check(spec)
        job_id, text = new_job_id(), json.dumps(spec.to_json(), sort_keys=True)
        await asyncio.to_thread(self._keep_request, job_id, spec, time.time(), model)
        value = f"{job_id} {_digest(text if named is None else f'{text} {named}')}"
        try:
            entered = await self._enter(job_id, text, "", idempotency_key, value, model)
        except QueueUnavailable:
            raise  # nobody knows whether it was taken: `sweep` finds out
        except JobError:
            await self._in_the_end(job_id, free_storage)
            raise
        if entered != job_id:
            await self._in_the_end(job_id, free_storage)
        await self._in_the_end(entered, settle_request)
        try:
            return await self.get(entered), entered == job_id
        except UnknownJob as error:
            raise JobDeleted(
                f"this idempotency key stands for {entered}, which was deleted; use another key to "
                "have the set made again"
            ) from error

    async def get(self, job_id: str) -> GenerationJob:
        """Raises UnknownJob. Many who ask at once share round trips."""
        found = await self._ask(self._reads(job_id)) if is_job_id(job_id) else {}
        if job_id not in found:
            raise UnknownJob(f"no generation job {job_id[:64]!r} is known")
        job = found[job_id]
        if job is None:
            raise JobFailed(f"the record of {job_id} is damaged; delete the job, submit it anew")
        return job

    async def list(
        self, *, limit: int = 100, before: float | None = None, before_id: str = ""
    ) -> list[GenerationJob]:
        """Newest first, those of one millisecond by their ids; `before` and `before_id` are
        `created` and id of the last one of the page before. Fewer than `limit` are the last ones.
        """
        found: list[GenerationJob] = []
        while len(found) < limit:
            wanted = min(limit - len(found), MOST_READING)
            page, jobs = await self._listed_in_turn(wanted, before, before_id)
            found += [job for job in jobs.values() if job is not None]
            if len(page) < wanted:
                break
            before_id, before = page[-1]
        return found

    async def _listed_in_turn(
        self, limit: int, before: float | None, before_id: str
    ) -> tuple[list[tuple[str, float]], Records]:
        """`_page` and its jobs. Many who list at once would keep all others waiting: they take
        turns, and an outage that one of them meets is told to all who wait.
        """
        came_at = time.monotonic()
        async with self._listing:
            if self._outage_at >= came_at:
                raise unavailable(ConnectionError())
            try:
                page = await self._ask(self._page(limit, before, before_id))
                jobs = await self._ask(self._read([job_id for job_id, _ in page])) if page else {}
            except QueueUnavailable:
                self._outage_at = time.monotonic()
                raise
            return page, jobs

    async def unfinished(self) -> list[GenerationJob]:
        """All that are not at an end, however many others there are."""
        reply: Any = self._redis.zrange(self._keys.generations, 0, -1)  # pyright: ignore[reportUnknownMemberType]
        members = cast("list[bytes]", await self._ask(reply))
        states = await self._states([member.decode() for member in members])
        job_ids = [job_id for job_id, state in states.items() if state not in FINAL_STATES]
        found: list[GenerationJob] = []
        for start in range(0, len(job_ids), MOST_READING):
            jobs = await self._ask(self._read(job_ids[start : start + MOST_READING]))
            found += [job for job in jobs.values() if job is not None and not is_final(job)]
        return found

    async def _page(
        self, limit: int, before: float | None, before_id: str
    ) -> list[tuple[str, float]]:
        """Ids with the time of submission, those of the time `before` and then earlier ones."""
        pipeline, key = self._redis.pipeline(transaction=False), self._keys.generations
        times = ("(+inf", "(+inf") if before is None else (f"{before:.3f}", f"({before:.3f}")
        pipeline.zrevrangebyscore(key, times[0], times[0], withscores=True)  # pyright: ignore[reportUnknownMemberType]
        pipeline.zrevrangebyscore(key, times[1], "-inf", start=0, num=limit, withscores=True)  # pyright: ignore[reportUnknownMemberType]
        replies = cast("list[list[tuple[bytes, float]]]", await pipeline.execute())
        same, earlier = ([(name.decode(), time) for name, time in reply] for reply in replies)
        return [*(entry for entry in same if entry[0] < before_id), *earlier][:limit]

    async def cancel(self, job_id: str) -> GenerationJob:
        """Stop within a batch; what is published stays. Raises UnknownJob, WrongState."""
        state = await self._change(job_id, CANCEL)
        if state in FINAL_STATES and state != "cancelled":
            raise WrongState(f"{job_id} is {state}; only a job that is under way can be cancelled")
        return await self.get(job_id)

    async def resume(self, job_id: str) -> GenerationJob:
        """Carry on what failed or was cancelled, or what Redis forgot; unchanged if it is active.

        Raises UnknownJob, WrongState if it is done, JobExpired, QueueFull.
        """
        model = await self._model_to_resume_with(job_id)
        state = await self._change(job_id, RESUME, self._settings.bulk_lane_depth, model=model)
        if state == "full":
            raise self._full(self._settings.bulk_lane_depth)
        if state == "done":
            raise WrongState(f"{job_id} is done; there is nothing to resume")
        if state == "expired":
            raise JobExpired(f"what {job_id} made was removed; submit the job anew")
        if state == "":
            await self._restore(job_id)
        return await self.get(job_id)

    async def delete(self, job_id: str) -> None:
        """Forget a job and free what it made; nothing happens if there is none.

        Raises StorageFailed while the volume lets nothing be removed: the job is deleted then, and
        its files go by `sweep` or by deleting it again.
        """
        if is_job_id(job_id):
            has_files = await asyncio.to_thread(has_storage, self._storage, job_id)
            await self._change(job_id, DELETE, TOMBSTONE_SECONDS, int(has_files))
            with storage_problems():
                await asyncio.to_thread(free_storage, self._storage, job_id)

    async def sweep(self) -> None:
        """Remove what was to go and did not, because a process was killed or the volume failed:
        folders half deleted, files of deleted and expired jobs, requests that were never taken.

        Nothing else, and nothing only because Redis does not know it: `resume` brings jobs back
        from files after Redis lost them. May be called at any time, by everybody.
        """
        settling_seconds = 30.0 * max(1.0, self._settings.outage_seconds)
        with storage_problems():
            found = await asyncio.to_thread(
                look_through, self._storage, settling_seconds=settling_seconds
            )
        for job_id in sorted(found.unsettled - found.jobs):
            state = await self._give_up(job_id, int(settling_seconds))
            if state in ("", "deleted"):
                await self._in_the_end(job_id, free_storage)
            else:
                await self._in_the_end(job_id, settle_request)
        for job_id, state in (await self._states(sorted(found.jobs))).items():
            if state == "deleted":
                try:
                    await self.delete(job_id)  # the tombstone stays until the files are gone
                except (StorageFull, StorageFailed) as error:
                    _log.warning(
                        "files of %s, which was deleted, are still there: %s", job_id, error
                    )
            elif state == "expired" and not await self._in_the_end(job_id, free_storage):
                record = self._keys.generation(job_id)
                await self._ask(self._redis.expire(record, TOMBSTONE_SECONDS))
        for job_id in sorted(found.unsettled & found.jobs):  # somebody works on it, or has
            await self._in_the_end(job_id, settle_request)

    async def events(
        self, job_id: str, *, after: str | None = None
    ) -> AsyncIterator[Sequence[JobEvent]]:
        """What happened since the event `after` (from the first if None), then what happens, until
        the job is at an end; events that are there at once come together. Raises UnknownJob; a
        damaged `after` is a BadJob.
        """
        last = _checked_event_id(after)
        spec = (await self.get(job_id)).spec
        events = self._feed.follow(job_id, spec, after=last, is_at_an_end=self._is_at_an_end)
        async with aclosing(events):
            async for some in events:
                yield some

    async def expire_finished(self) -> int:
        """Remove what ended longer ago than the retention time; how many jobs that were."""
        retention = self._storage.job_retention_seconds
        reply: Any = self._redis.zrange(self._keys.generations, 0, -1)  # pyright: ignore[reportUnknownMemberType]
        members = cast("list[bytes]", await self._ask(reply))
        expired = 0
        for job_id in [member.decode() for member in members]:
            arguments = (retention, int(max(retention, TOMBSTONE_SECONDS)))
            if not is_job_id(job_id) or not await self._change(job_id, EXPIRE, *arguments):
                continue
            if await asyncio.to_thread(job_folder(self._storage.data_root, job_id).exists):
                expired += await self._in_the_end(job_id, free_storage)
        return expired

    def _check(self, spec: GenerationSpec) -> None:
        """What no worker would do is refused before it is written down anywhere."""
        try:
            located(spec, self._storage)
        except GenerationError as error:
            raise BadJob(str(error)) from error

    def _keep_request(self, job_id: str, spec: GenerationSpec, created: float, model: str) -> None:
        with storage_problems():
            write_request(self._storage, job_id, spec, created, model)

    async def _in_the_end(
        self, job_id: str, change_files: Callable[[StorageSettings, str], None]
    ) -> bool:
        """Now if the volume allows it; else `sweep` comes back to it."""
        try:
            await asyncio.to_thread(change_files, self._storage, job_id)
        except OSError as error:
            _log.warning("files of %s are left for later: %s", job_id, error)
            return False
        return True

    async def _enter(
        self,
        job_id: str,
        spec: str,
        created: str,
        idempotency_key: str | None,
        value: str,
        model: str,
    ) -> str:
        """Put a job into the job store; the id of the job that stands for it now."""
        more_keys = []
        if idempotency_key is not None:
            more_keys = [self._keys.idempotency(_digest(idempotency_key))]
        bound = self._settings.bulk_lane_depth
        kind, what = await self._ask(
            change(
                self._redis, self._keys, SUBMIT, job_id, new_epoch(),
                spec, created, bound, value, IDEMPOTENCY_SECONDS, model, more_keys=more_keys,
                model=await self._lane_of(model),
            )
        )  # fmt: skip
        if kind == b"full":
            raise self._full(int(what))
        if kind == b"gone":
            raise UnknownJob(f"no generation job {job_id!r} is known")
        if kind != b"same":
            return job_id
        before, digest = cast("bytes", what).decode().split(" ")
        if digest != value.partition(" ")[2]:
            raise IdempotencyConflict(
                "this idempotency key was used for another spec within the last day; use another "
                "key, or repeat that spec"
            )
        return before

    async def _restore(self, job_id: str) -> None:
        """Bring back a job that Redis lost, from its request."""
        kept = None
        if is_job_id(job_id):
            kept = await asyncio.to_thread(read_request, self._storage, job_id)
        if kept is None:
            raise UnknownJob(f"no generation job {job_id[:64]!r} is known")
        spec, created, model = kept
        self._check(spec)
        text = json.dumps(spec.to_json(), sort_keys=True)
        await self._enter(job_id, text, f"{created:.3f}", None, "", model)
        await self._in_the_end(job_id, settle_request)

    async def _give_up(self, job_id: str, seconds: int) -> str:
        """The state of a job whose submission was not answered; '' if it was never taken."""
        state: Any = await self._ask(
            change(self._redis, self._keys, GIVE_UP, job_id, new_epoch(), seconds)
        )
        return cast("bytes", state).decode()

    async def _states(self, job_ids: list[str]) -> dict[str, str]:
        """The states of those that Redis knows."""
        states: dict[str, str] = {}
        for start in range(0, len(job_ids), STATES_AT_ONCE):
            states |= await self._ask(self._some_states(job_ids[start : start + STATES_AT_ONCE]))
        return states

    async def _some_states(self, job_ids: list[str]) -> dict[str, str]:
        pipeline = self._redis.pipeline(transaction=False)
        for job_id in job_ids:
            pipeline.hget(self._keys.generation(job_id), "state")
        states: dict[str, str] = {}
        replies = await pipeline.execute(raise_on_error=False)
        for job_id, state in zip(job_ids, replies, strict=True):
            if isinstance(state, Exception) and is_outage(state):
                raise state
            if isinstance(state, bytes):
                states[job_id] = state.decode(errors="replace")
        return states

    async def _model_to_resume_with(self, job_id: str) -> str:
        """The lane for the tasks of a job that has a model."""
        if not is_job_id(job_id):
            return ""
        record = self._keys.generation(job_id)
        version = await self._ask(self._redis.hget(record, "model_version"))  # pyright: ignore[reportArgumentType]
        return await self._lane_of(cast("bytes", version or b"").decode(errors="replace"))

    async def _lane_of(self, model: str) -> str:
        """The model, where somebody serves it: else whoever finds the job says that nobody does."""
        workers = await self._ask(read_workers(self._redis, self._keys)) if model else []
        return model if any(one.model.model_version == model for one in workers) else ""

    async def _change(
        self, job_id: str, script: str, *arguments: str | int | float, model: str = ""
    ) -> Any:
        if not is_job_id(job_id):
            raise UnknownJob(f"no generation job {job_id[:64]!r} is known")
        answer = await self._ask(
            change(self._redis, self._keys, script, job_id, new_epoch(), *arguments, model=model)
        )
        if not isinstance(answer, bytes):
            return answer
        state = answer.decode()
        if state == "deleted" or (state == "" and script is not RESUME):
            raise UnknownJob(f"no generation job {job_id!r} is known")
        return state

    async def _read_for_all(self, job_ids: Sequence[str]) -> Sequence[Records]:
        """What those ask who share a round trip: each record is read once."""
        reading = self._read(list(dict.fromkeys(job_ids)))
        found = await answered_within(self._settings.outage_seconds, reading)
        return [found] * len(job_ids)

    async def _read(self, job_ids: list[str]) -> Records:
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.time()  # pyright: ignore[reportUnknownMemberType]
        for job_id in job_ids:
            pipeline.hgetall(self._keys.generation(job_id))
        seconds, *records = await pipeline.execute(raise_on_error=False)
        for reply in (seconds, *records):
            if isinstance(reply, Exception) and is_outage(reply):
                raise reply
        found: Records = {}
        for job_id, record in zip(job_ids, records, strict=True):
            if isinstance(record, Exception) or "spec" in text_fields(record):
                found[job_id] = _job_in(job_id, record, now=float(seconds[0]))
        if gone := [job_id for job_id in job_ids if job_id not in found]:  # their records ran out
            await self._redis.zrem(self._keys.generations, *gone)
        return found

    async def _ask(self, asked: Awaitable[T], *, more_seconds: float = 0.0) -> T:
        """Commands on behalf of a request, some of which may take `more_seconds`."""
        return await asked_for_a_request(self._settings.outage_seconds + more_seconds, asked)

    async def _is_at_an_end(self, job_id: str) -> bool:
        try:
            return is_final(await self.get(job_id))
        except UnknownJob:
            return True

    def _full(self, depth: int) -> QueueFull:
        return QueueFull(
            f"{depth} jobs are unfinished in the bulk lane, its bound is "
            f"{self._settings.bulk_lane_depth}; try again later",
            retry_after_seconds=FULL_RETRY_SECONDS,
        )


def _job_in(job_id: str, record: Any, *, now: float) -> GenerationJob | None:
    """The job of a record; None for a damaged one, which must not hide the others."""
    if not isinstance(record, dict):
        _log.error("the record of %s is of the wrong type: %r", job_id, record)
        return None
    fields = text_fields(record)
    try:
        spec: Any = json.loads(fields["spec"])
    except ValueError:  # its worker says so, too
        spec = None
    known = cast("dict[str, Any]", spec) if isinstance(spec, dict) else {}
    try:
        return job_of(job_id, fields, spec=known, now=now)
    except (KeyError, ValueError):
        _log.exception("the record of %s is damaged", job_id)
        return None


def _checked_event_id(event_id: str | None) -> str:
    if event_id is None:
        return "0-0"
    first, dash, second = event_id.partition("-")
    if not (dash and first.isdecimal() and second.isdecimal() and len(event_id) <= 40):
        raise BadJob(f"{event_id[:40]!r} is no event's id; expected two numbers joined by a dash")
    return event_id


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
