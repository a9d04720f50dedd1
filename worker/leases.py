"""The worker's side of the queue: claims, leases, take-over, and the one way a job leaves.

A lane is a stream, the consumer group's pending list is its lease table: an entry's idle time is
the age of its lease, its delivery counter says how many workers have held it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError
from redis.typing import StreamIdT

from dgnet.jobs.codec import KINDS, Kind, Outcome, encode_closed_record
from dgnet.jobs.combining import Combiner
from dgnet.jobs.connection import Entry, run_script, stream_entries
from dgnet.jobs.contract import Lane
from dgnet.jobs.keys import GROUP, Keys, Stream
from dgnet.jobs.scripts import FINISH, FORGET_CONSUMERS, PUT_BACK
from dgnet.jobs.settings import QueueSettings

_log = logging.getLogger(__name__)

_MAX_FINISH_BATCH = 64
_DEAD_LETTERS_LENGTH = 1_000
_EXPIRED_LENGTH = 10_000  # results that had to make room and are remembered as such


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A message this worker holds the lease of. `job_id` is empty if the message has none."""

    stream: Stream
    entry_id: str
    job_id: str
    kind: Kind | Literal["generation"]
    reply_channel: str
    payload: bytes
    deliveries: int = 1
    """Workers that were given the message, this one included."""

    @property
    def lane(self) -> Lane:
        return self.stream.lane

    @property
    def submitted(self) -> float:
        """Seconds since the epoch by Redis's clock."""
        return int(self.entry_id.partition("-")[0]) / 1000


@dataclass(frozen=True, kw_only=True)
class Abandoned:
    """A message whose lease ran out after so many deliveries."""

    stream: Stream
    entry_id: str
    deliveries: int


@dataclass(frozen=True, kw_only=True)
class _Finish:
    claim: Claim
    closed_record: bytes
    dead_reason: str


class LeasedQueue:
    """The lanes as one worker sees them; `consumer` is the worker's id, `model` the version that it
    serves. Of each lane it has two streams: jobs for its model, and jobs for whoever comes.
    """

    def __init__(
        self, redis: Redis, settings: QueueSettings, consumer: str, model: str = ""
    ) -> None:
        self._redis = redis
        self._settings = settings
        self._keys = Keys(settings.key_prefix)
        self._consumer = consumer
        self._model = model
        self._turn = False  # whose turn it is, of two streams that both have something
        self._lease_milliseconds = int(settings.lease_seconds * 1000)
        self._finishes: Combiner[_Finish, None] = Combiner(
            self._finish_batch, max_items=_MAX_FINISH_BATCH
        )

    async def ensure_group(self, lane: Lane) -> None:
        """Creates a lane's consumer groups where they are missing; they see all that is queued."""
        for stream in self.streams(lane):
            try:
                await self._redis.xgroup_create(self._key(stream), GROUP, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):  # it exists
                    raise

    def streams(self, lane: Lane) -> list[Stream]:
        """Where jobs of a lane come from."""
        return [Stream(lane, model) for model in dict.fromkeys((self._model, ""))]

    def _key(self, stream: Stream) -> str:
        return self._keys.lane(stream.lane, stream.model)

    async def waiting(self, lane: Lane) -> int:
        """Unfinished jobs in the lane of this worker's model that nobody has claimed."""
        stream = Stream(lane, self._model)
        pending = cast("dict[str, int]", await self._redis.xpending(self._key(stream), GROUP))
        return await self._redis.xlen(self._key(stream)) - pending["pending"]

    async def claim(self, lane: Lane, count: int, block_seconds: float) -> list[Claim]:
        """Up to `count` messages of a lane, as soon as there is one; none when time runs out."""
        streams = self.streams(lane)
        if len(streams) > 1 and count == 1:  # one of them alone may give what there is room for
            self._turn = not self._turn
            for stream in reversed(streams) if self._turn else streams:
                if found := await self._read([stream], 1, None):
                    return found
        share = max(1, count // len(streams))
        found = await self._read(streams, share, max(1, int(block_seconds * 1000)))
        for excess in found[count:]:  # both gave one in the same instant
            await self.put_back(excess)
        return found[:count]

    async def _read(self, streams: Sequence[Stream], count: int, block: int | None) -> list[Claim]:
        """Up to `count` messages of each."""
        by_key = {self._key(stream): stream for stream in streams}
        reply = await self._redis.xreadgroup(
            GROUP, self._consumer, dict.fromkeys(by_key, ">"), count=count, block=block
        )
        return [_claim_of(by_key[name], entry) for name, entry in stream_entries(reply)]

    async def abandoned(self, lane: Lane, count: int) -> list[Abandoned]:
        """Messages that nobody has renewed for a lease, oldest first."""
        found: list[Abandoned] = []
        for stream in self.streams(lane):
            pending = await self._redis.xpending_range(
                self._key(stream),
                GROUP,
                min="-",
                max="+",
                count=count,
                idle=self._lease_milliseconds,
            )
            found += [
                Abandoned(
                    stream=stream,
                    entry_id=cast("bytes", entry["message_id"]).decode(),
                    deliveries=cast("int", entry["times_delivered"]),
                )
                for entry in cast("list[dict[str, Any]]", pending)
            ]
        return found

    async def take_over(self, messages: Sequence[Abandoned]) -> list[Claim]:
        """Claims those that are still abandoned; another worker may have been faster."""
        claims: list[Claim] = []
        for stream in sorted({message.stream for message in messages}):
            deliveries = {one.entry_id: one.deliveries for one in messages if one.stream == stream}
            entries = await self._redis.xclaim(
                self._key(stream),
                GROUP,
                self._consumer,
                min_idle_time=self._lease_milliseconds,
                message_ids=[*deliveries],
            )
            # Redis 6 answers (None, None) for an entry that was deleted.
            found = [entry for entry in cast("list[Entry]", entries) if entry[0]]
            taken = [_claim_of(stream, entry) for entry in found]
            claims += [replace(claim, deliveries=deliveries[claim.entry_id] + 1) for claim in taken]
        return claims

    async def renew(self, claims: Sequence[Claim]) -> None:
        """Starts the leases of `claims` anew, without counting a delivery."""
        await self._set_idle(claims, idle_milliseconds=0)

    async def release(self, claims: Sequence[Claim]) -> None:
        """Lets the leases of `claims` run out at once."""
        await self._set_idle(claims, idle_milliseconds=self._lease_milliseconds)

    async def finish(self, claim: Claim, outcome: Outcome, *, dead_reason: str = "") -> None:
        """Publishes the outcome unless the job has one, and removes the message.

        With a `dead_reason` the message is kept among the dead letters. May be repeated.
        """
        closed_record = encode_closed_record(claim.job_id, outcome)
        await self._finishes(
            _Finish(claim=claim, closed_record=closed_record, dead_reason=dead_reason)
        )

    async def acknowledge(self, claim: Claim, *, dead_reason: str = "") -> None:
        """Finish a message whose outcome nobody waits for."""
        await self._finishes(_Finish(claim=claim, closed_record=b"", dead_reason=dead_reason))

    async def put_back(self, claim: Claim) -> None:
        """Lets another worker have a message, as if it had never been delivered."""
        await run_script(
            self._redis,
            PUT_BACK,
            [self._key(claim.stream), self._keys.record(claim.job_id)],
            [GROUP, claim.entry_id, f"o{claim.stream} {claim.kind}"],
        )

    async def forget_consumers(self, lane: Lane, gone_seconds: float) -> None:
        """Removes consumers that hold nothing and were last seen so long ago."""
        for stream in self.streams(lane):
            await run_script(
                self._redis,
                FORGET_CONSUMERS,
                [self._key(stream)],
                [GROUP, int(gone_seconds * 1000), self._consumer],
            )

    async def _set_idle(self, claims: Sequence[Claim], *, idle_milliseconds: int) -> None:
        for stream in sorted({claim.stream for claim in claims}):
            entry_ids: list[StreamIdT] = [c.entry_id for c in claims if c.stream == stream]
            await self._redis.xclaim(
                self._key(stream),
                GROUP,
                self._consumer,
                min_idle_time=0,
                message_ids=entry_ids,
                idle=idle_milliseconds,
                justid=True,
            )

    async def _finish_batch(self, batch: Sequence[_Finish]) -> Sequence[None]:
        streams = sorted({finish.claim.stream for finish in batch})
        keys = [
            *(self._key(stream) for stream in streams),
            *(self._keys.finished(stream.lane, stream.model) for stream in streams),
            self._keys.dead_letters,
            self._keys.uncollected,
            self._keys.uncollected_bytes,
            self._keys.expired,
        ]
        arguments: list[str | bytes | int] = [
            len(streams),
            GROUP,
            self._settings.result_ttl_seconds,
            _DEAD_LETTERS_LENGTH,
            self._settings.uncollected_bytes,
            _EXPIRED_LENGTH,
        ]
        for finish in batch:
            claim = finish.claim
            keys.append(self._keys.record(claim.job_id))
            arguments += [
                streams.index(claim.stream) + 1,
                claim.entry_id,
                claim.reply_channel,
                finish.closed_record,
                finish.dead_reason,
            ]
        await run_script(self._redis, FINISH, keys, arguments)
        return [None] * len(batch)


def _claim_of(stream: Stream, entry: Entry) -> Claim:
    entry_id, fields = entry
    return Claim(
        stream=stream,
        entry_id=entry_id.decode(),
        job_id=fields.get(b"job", b"").decode(errors="replace"),
        kind=_kind_in(fields),
        reply_channel=fields.get(b"reply", b"").decode(errors="replace"),
        payload=fields.get(b"data", b""),
    )


def _kind_in(fields: dict[bytes, bytes]) -> Kind | Literal["generation"]:
    """What a message says it is; garbage is a swap, and found out when it is decoded."""
    name = fields.get(b"kind", b"").decode(errors="replace")
    if name == "generation":
        return "generation"
    for kind in KINDS:
        if kind == name:
            return kind
    return "swap"
