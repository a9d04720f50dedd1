"""The front end's side of the queue: submits jobs and waits for their results.

One client per process. However many requests wait, they share one subscription to the process's
reply channel, which brings the outcomes themselves. A channel may lose a message; the job's record
does not, and is polled slowly: a lost reply delays a request by `poll_seconds` at most. Redis that
is silent for `outage_seconds` fails requests; a pulse finds that out before they ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar, cast

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import ResponseError

from dgnet.jobs.codec import (
    Kind,
    Outcome,
    decode_outcome,
    encode_job,
    kind_named,
    kind_of,
    split_closed_record,
)
from dgnet.jobs.combining import Combiner
from dgnet.jobs.connection import connect, run_script
from dgnet.jobs.contract import Job, JobStatus, Lane, Result, WorkerInfo
from dgnet.jobs.errors import (
    BadJob,
    JobError,
    NoWorker,
    QueueFull,
    QueueUnavailable,
    ResultExpired,
    UnknownJob,
    WaitTimeout,
)
from dgnet.jobs.keys import GROUP, Keys, Stream
from dgnet.jobs.live_workers import read_workers
from dgnet.jobs.outages import REDIS_ERRORS, Backoff, answered_within, unavailable
from dgnet.jobs.rate import RateMeter
from dgnet.jobs.scripts import COLLECT, PULSE, SUBMIT
from dgnet.jobs.settings import QueueSettings
from dgnet.jobs.tasks import Background

T = TypeVar("T")

_log = logging.getLogger(__name__)

_MAX_SUBMIT_BATCH = 64
_MAX_FETCH_BATCH = 256
# Own jobs without a reply so far; beyond this a wait costs one extra read.
_MAX_UNANSWERED = 16_384
# Replies that came before anybody waited; beyond this, too, a wait costs one extra read.
_MAX_EARLY = 64
_SILENCE_SECONDS = 5.0  # after this a subscription is asked whether it lives
_PULSE_TTL_MILLISECONDS = 60_000


@dataclass(frozen=True, kw_only=True)
class _Submission:
    job_id: str
    stream: Stream
    kind: Kind
    payload: bytes


class JobClient:
    """Submits jobs and waits for results; one per process, one reply connection for all waiters."""

    def __init__(self, redis: Redis, settings: QueueSettings) -> None:
        self._redis = redis
        self._settings = settings
        self._keys = Keys(settings.key_prefix)
        self._reply_channel = self._keys.replies(secrets.token_urlsafe(9))
        self._submissions: Combiner[_Submission, QueueFull | None] = Combiner(
            self._submit_batch, max_items=_MAX_SUBMIT_BATCH
        )
        self._rates: defaultdict[Stream, RateMeter] = defaultdict(RateMeter)
        self._waiting: dict[str, list[asyncio.Future[Outcome]]] = {}
        self._unanswered: dict[str, None] = {}  # own jobs without a reply so far, oldest first
        self._early: dict[str, bytes] = {}  # replies that nobody has waited for yet, oldest first
        self._collected: list[str] = []  # records whose outcome a waiter has
        self._due: set[str] = set()  # waiting jobs whose record is to be read
        self._something_due = asyncio.Event()
        self._down_since: float | None = None
        self._workers: list[WorkerInfo] = []
        self._workers_read_at = float("-inf")
        self._workers_lock = asyncio.Lock()
        self._background: Background | None = None
        self._owns_connections = False

    @classmethod
    def from_url(cls, redis_url: str, settings: QueueSettings) -> JobClient:
        """A client with its own connections, closed by `close`."""
        client = cls(connect(redis_url), settings)
        client._owns_connections = True
        return client

    @property
    def redis(self) -> Redis:
        """The connections, for whatever else this process asks of Redis; closed with the client."""
        return self._redis

    async def start(self) -> None:
        """Starts to listen for results. Does not need Redis to be up yet."""
        if self._background is None:
            self._background = Background()
            self._background.start("queue-replies", self._listen)
            self._background.start("queue-results", self._collect)
            self._background.start("queue-pulse", self._feel_pulse)

    async def close(self) -> None:
        """Stops listening; those who still wait get QueueUnavailable."""
        if self._background is not None:
            await self._background.close()
            self._background = None
        self._fail_waiting(QueueUnavailable("the front end is shutting down; try again shortly"))
        await self._let_go_of_collected()
        if self._owns_connections:
            await self._redis.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def submit(self, job: Job, *, lane: Lane = "small", model: str = "") -> str:
        """Queues a job, for workers of one model's version or for any, and gives its id.

        Raises QueueFull, NoWorker or QueueUnavailable.
        """
        if not any(worker.ready for worker in await self.workers()):
            raise NoWorker(
                "no worker is ready to take the job; start one or wait until it has loaded",
                retry_after_seconds=self._settings.heartbeat_ttl_seconds,
            )
        submission = _Submission(
            job_id=secrets.token_urlsafe(16),
            stream=Stream(lane, model),
            kind=kind_of(job),
            payload=encode_job(job),
        )
        refusal = await self._ask(self._submissions(submission))
        if refusal is not None:
            raise refusal
        return submission.job_id

    async def wait(self, job_id: str, *, timeout_seconds: float) -> Result:
        """The result of a job, its own error, or WaitTimeout, UnknownJob, QueueUnavailable."""
        if self._is_down():
            raise unavailable(ConnectionError())
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job_id, []).append(answer)
        if (early := self._early.pop(job_id, None)) is not None:
            self._deliver(job_id, early)
        elif job_id not in self._unanswered:  # finished long ago, or another process's job
            self._due.add(job_id)
            self._something_due.set()
        try:
            async with asyncio.timeout(timeout_seconds):
                outcome = await answer
        except TimeoutError:
            raise WaitTimeout(f"no result within {timeout_seconds:g} s; the job goes on") from None
        finally:
            if (others := self._waiting.get(job_id)) is not None and answer in others:
                others.remove(answer)
                if not others:
                    del self._waiting[job_id]
        return _result_of(outcome)

    async def status(self, job_id: str) -> JobStatus:
        """What is known of a job. Raises UnknownJob or QueueUnavailable."""
        record, running = await self._ask(self._read_record(job_id))
        if record is None:
            raise _unknown(job_id)
        if record.startswith(b"x"):
            raise _expired(job_id)
        if record.startswith(b"o"):
            return JobStatus(
                job_id=job_id, kind=_open_kind(record), state="running" if running else "queued"
            )
        outcome = decode_outcome(split_closed_record(record)[1])
        return JobStatus(
            job_id=job_id,
            kind=outcome.kind,
            state="failed" if outcome.error else "done",
            result=outcome.result,
            error_code=outcome.error.code if outcome.error else None,
            error_message=str(outcome.error) if outcome.error else None,
        )

    async def workers(self) -> list[WorkerInfo]:
        """Heartbeats of live workers, at most `workers_cache_seconds` old."""
        if not self._knows_workers():
            async with self._workers_lock:
                if not self._knows_workers():  # nobody asked while we waited
                    asked_at = time.monotonic()
                    self._workers = await self._ask(read_workers(self._redis, self._keys))
                    self._workers_read_at = asked_at
        return list(self._workers)

    def _knows_workers(self) -> bool:
        age = time.monotonic() - self._workers_read_at
        return age < self._settings.workers_cache_seconds

    async def depth(self, lane: Lane) -> int:
        """Unfinished jobs in a lane, waiting or running: those of all live models, and of none."""
        models = {"", *(worker.model.model_version for worker in await self.workers())}
        pipeline = self._redis.pipeline(transaction=False)
        for model in models:
            pipeline.xlen(self._keys.lane(lane, model))
        return sum(cast("list[int]", await self._ask(pipeline.execute())))

    async def check(self) -> None:
        """Raises QueueUnavailable unless Redis takes what a submission needs: a script, a write."""
        pulse = run_script(
            self._redis, PULSE, [self._keys.pulse], [self._reply_channel, _PULSE_TTL_MILLISECONDS]
        )
        await self._ask(pulse)

    async def _submit_batch(self, batch: Sequence[_Submission]) -> Sequence[QueueFull | None]:
        """One answer for each job: None if it is queued."""
        for submission in batch:  # before it is sent: its reply may be faster than our answer
            self._unanswered[submission.job_id] = None
        while len(self._unanswered) > _MAX_UNANSWERED:
            del self._unanswered[next(iter(self._unanswered))]
        streams = sorted({submission.stream for submission in batch})
        keys = [
            *(self._keys.lane(stream.lane, stream.model) for stream in streams),
            *(self._keys.finished(stream.lane, stream.model) for stream in streams),
            *(self._keys.record(submission.job_id) for submission in batch),
        ]
        arguments: list[str | bytes | int] = [
            len(streams),
            self._settings.job_ttl_seconds,
            self._reply_channel,
            *(self._settings.lane_depth(stream.lane) for stream in streams),
        ]
        for submission in batch:
            arguments += [
                streams.index(submission.stream) + 1,
                str(submission.stream),
                submission.job_id,
                submission.kind,
                submission.payload,
            ]
        script = run_script(self._redis, SUBMIT, keys, arguments)
        reply = await answered_within(self._settings.outage_seconds, script)
        count = len(streams)
        depths = dict(zip(streams, reply[:count], strict=True))
        for stream, finished in zip(streams, reply[count : 2 * count], strict=True):
            self._rates[stream].observe(finished)
        return [
            None if entered else self._refuse(submission, depths[submission.stream])
            for submission, entered in zip(batch, reply[2 * count :], strict=True)
        ]

    def _refuse(self, submission: _Submission, depth: int) -> QueueFull:
        self._unanswered.pop(submission.job_id, None)
        lane = submission.stream.lane
        # Half a lane's time: room for everybody who is told the same.
        retry_after = self._rates[submission.stream].seconds_for(depth / 2)
        return QueueFull(
            f"{depth} jobs are unfinished in the {lane} lane, its bound is "
            f"{self._settings.lane_depth(lane)}; try again in {retry_after:.0f} s",
            retry_after_seconds=retry_after,
        )

    async def _feel_pulse(self) -> None:
        """Finds out soon that Redis is silent, and that it answers again; for ever."""
        seconds = self._settings.outage_seconds
        while True:
            asked_at = time.monotonic()
            try:
                ping = cast("Awaitable[Any]", self._redis.ping())  # pyright: ignore[reportUnknownMemberType]
                await answered_within(seconds, ping)
            except ResponseError:  # it answers, if only to refuse
                self._mark_up()
            except REDIS_ERRORS as error:
                self._mark_down(error, since=asked_at)
            else:
                self._mark_up()
            await asyncio.sleep(min(1.0, seconds) / (4 if self._is_down() else 1))

    async def _listen(self) -> None:
        """Subscribes to the replies, for ever."""
        backoff = Backoff()
        while True:
            try:
                async with self._subscription() as subscription:
                    await subscription.subscribe(self._reply_channel)
                    async for kind, data in _heard(subscription):
                        backoff.reset()
                        self._mark_up()
                        if kind == "message":
                            self._take_reply(data)
                        elif kind == "subscribe":
                            self._miss_nothing()
            except REDIS_ERRORS as error:
                self._mark_down(error)
                await backoff.pause()

    def _subscription(self) -> PubSub:
        return self._redis.pubsub()  # pyright: ignore[reportUnknownMemberType]

    def _miss_nothing(self) -> None:
        """Looks at all records: replies may have gone out before the subscription."""
        self._unanswered.clear()
        self._due.update(self._waiting)
        self._something_due.set()

    def _take_reply(self, record: bytes) -> None:
        try:
            job_id, _ = split_closed_record(record)
        except BadJob as error:  # anybody may publish; the records have the truth
            _log.warning("%s", error)
            return
        is_own = job_id in self._unanswered
        self._unanswered.pop(job_id, None)
        if job_id in self._waiting:
            self._deliver(job_id, record)
        elif is_own:
            self._early[job_id] = record
            if len(self._early) > _MAX_EARLY:
                del self._early[next(iter(self._early))]

    def _deliver(self, job_id: str, record: bytes) -> None:
        """Gives the outcome in a closed record to who waits for it."""
        try:
            self._resolve(job_id, decode_outcome(split_closed_record(record)[1]))
        except BadJob as error:
            self._resolve(job_id, error)
        self._collected.append(self._keys.record(job_id))

    async def _collect(self) -> None:
        """Reads the records of due jobs, for ever, and now and then of all that wait."""
        next_poll = time.monotonic() + self._settings.poll_seconds
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(
                    asyncio.get_running_loop().time() + self._settings.poll_seconds
                ):
                    await self._something_due.wait()
            self._something_due.clear()
            if time.monotonic() >= next_poll:
                self._due.update(self._waiting)
                await self._let_go_of_collected()
                next_poll = time.monotonic() + self._settings.poll_seconds
            while self._due:
                batch = [self._due.pop() for _ in range(min(len(self._due), _MAX_FETCH_BATCH))]
                try:
                    await self._fetch(batch)
                except REDIS_ERRORS as error:
                    self._mark_down(error)
                    break  # the next poll looks at all who wait

    async def _fetch(self, job_ids: Sequence[str]) -> None:
        keys = [self._keys.record(job_id) for job_id in job_ids]
        records = cast("list[bytes | None]", await self._redis.mget(keys))
        for job_id, record in zip(job_ids, records, strict=True):
            if record is None:
                self._resolve(job_id, _unknown(job_id))
            elif record.startswith(b"c"):
                self._unanswered.pop(job_id, None)
                self._deliver(job_id, record)
            elif record.startswith(b"x"):
                self._unanswered.pop(job_id, None)
                self._resolve(job_id, _expired(job_id))

    async def _let_go_of_collected(self) -> None:
        """Lets the records of collected jobs end soon; if Redis is away they end by themselves."""
        collected, self._collected = self._collected, []
        for start in range(0, len(collected), _MAX_FETCH_BATCH):
            keys = collected[start : start + _MAX_FETCH_BATCH]
            try:
                await run_script(
                    self._redis,
                    COLLECT,
                    [self._keys.uncollected, self._keys.uncollected_bytes, *keys],
                    [self._settings.collected_ttl_seconds],
                )
            except REDIS_ERRORS as error:
                _log.warning("%d collected results stay for their whole time: %r", len(keys), error)
                return

    def _resolve(self, job_id: str, outcome: Outcome | JobError) -> None:
        for answer in self._waiting.pop(job_id, []):
            if answer.done():
                continue
            if isinstance(outcome, JobError):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)

    async def _ask(self, asked: Awaitable[T]) -> T:
        """Commands on behalf of a request: an answer, or QueueUnavailable soon."""
        asked_at = time.monotonic()
        task = asyncio.ensure_future(asked)
        if self._is_down():
            task.cancel()  # the pulse tells when it is worth asking again
            raise unavailable(ConnectionError())
        try:
            answer = await answered_within(self._settings.outage_seconds, task)
        except REDIS_ERRORS as error:
            if not isinstance(error, ResponseError):
                self._mark_down(error, since=asked_at)
            raise unavailable(error) from error
        self._mark_up()
        return answer

    def _mark_down(self, error: BaseException, *, since: float | None = None) -> None:
        if self._down_since is None:
            self._down_since = time.monotonic() if since is None else since
            _log.warning("the queue does not answer: %r", error)
        if self._is_down():
            self._fail_waiting(unavailable(error))

    def _mark_up(self) -> None:
        if self._down_since is not None:
            _log.info("the queue answers again")
            self._down_since = None
            self._workers_read_at = float("-inf")  # they were gone with it

    def _is_down(self) -> bool:
        """Whether Redis has been silent for so long that requests should be told."""
        since = self._down_since
        return since is not None and time.monotonic() - since >= self._settings.outage_seconds

    def _fail_waiting(self, error: JobError) -> None:
        for job_id in list(self._waiting):
            self._resolve(job_id, error)

    async def _read_record(self, job_id: str) -> tuple[bytes | None, bool]:
        """The record and, if it is open, whether a worker holds the job."""
        key = self._keys.record(job_id)
        record = cast("bytes | None", await self._redis.get(key))
        if record is None or not record.startswith(b"o"):
            return record, False
        name, _, entry = record[1:].decode().split(" ")
        stream = Stream.named(name)
        try:
            pending = await self._redis.xpending_range(
                self._keys.lane(stream.lane, stream.model), GROUP, min=entry, max=entry, count=1
            )
        except ResponseError:  # no group: no worker has ever been here
            pending = []
        if pending:
            return record, True
        # Not held: it waits, or it was finished between the two reads.
        return cast("bytes | None", await self._redis.get(key)), False


async def _heard(subscription: PubSub) -> AsyncIterator[tuple[str, bytes]]:
    """(type, data) of what arrives on a subscription; raises if it has died in silence."""
    was_silent = False
    while True:
        message = cast(
            "dict[str, Any] | None", await subscription.get_message(timeout=_SILENCE_SECONDS)
        )
        if message is not None:
            was_silent = False
            yield message["type"], message["data"]
        elif was_silent:
            raise ConnectionError(f"no answer to a ping for {_SILENCE_SECONDS:g} s")
        else:
            was_silent = True
            await subscription.ping()  # pyright: ignore[reportUnknownMemberType]


def _open_kind(record: bytes) -> Kind:
    return kind_named(record[1:].decode().split(" ")[1])


def _unknown(job_id: str) -> UnknownJob:
    return UnknownJob(f"no job {job_id!r} is queued, running or remembered")


def _expired(job_id: str) -> ResultExpired:
    return ResultExpired(
        f"the result of {job_id!r} expired: too many wait to be collected, and the oldest make "
        "room; submit the job anew and fetch its result sooner"
    )


def _result_of(outcome: Outcome) -> Result:
    if outcome.error is not None:
        raise outcome.error
    if outcome.result is None:
        raise ValueError("an outcome has neither result nor error")
    return outcome.result
