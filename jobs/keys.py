"""The names of everything the queue keeps in Redis; docs/queue.md says what each key holds."""

from __future__ import annotations

from dataclasses import dataclass

from dgnet.jobs.contract import Lane
from dgnet.jobs.errors import BadJob

GROUP = "workers"  # the consumer group on every lane
LANES: tuple[Lane, ...] = ("small", "grid", "bulk")  # in the order they are served


@dataclass(frozen=True, order=True)
class Stream:
    """One lane of one model: jobs for that version alone, or for whoever comes if it is empty."""

    lane: Lane
    model: str = ""

    def __str__(self) -> str:
        return f"{self.lane}{self.model and ':'}{self.model}"

    @classmethod
    def named(cls, name: str) -> Stream:
        """The one that an open record names; the first releases wrote 1 and 2."""
        first: dict[str, Lane] = {"1": "small", "2": "bulk"}
        kind, _, model = name.partition(":")
        for lane in LANES:
            if lane in (kind, first.get(kind)):
                return cls(lane, model)
        raise BadJob(f"a record names the lane {name[:20]!r}; known are {', '.join(LANES)}")


@dataclass(frozen=True)
class Keys:
    """Key names below one prefix."""

    prefix: str

    def lane(self, lane: Lane, model: str = "") -> str:
        """Stream of unfinished jobs, of one model's version or of whoever comes; its pending list
        holds the leases.
        """
        return f"{self.prefix}:lane:{Stream(lane, model)}"

    def finished(self, lane: Lane, model: str = "") -> str:
        """Counter of jobs that left the lane; the client measures the rate with it."""
        return f"{self.prefix}:finished:{Stream(lane, model)}"

    def record(self, job_id: str) -> str:
        """A job's record: open (where it waits) or closed (its outcome)."""
        return f"{self.prefix}:job:{job_id}"

    def replies(self, client_id: str) -> str:
        """Channel on which one front-end process hears the outcomes of its jobs."""
        return f"{self.prefix}:replies:{client_id}"

    @property
    def generations(self) -> str:
        """Sorted set of generation job ids by the time they were submitted."""
        return f"{self.prefix}:generations"

    def generation(self, job_id: str, part: str = "") -> str:
        """A generation job's record, or one of its parts, named in `jobs/generation/scripts.py`."""
        return f"{self.prefix}:generation:{job_id}{part and ':'}{part}"

    def idempotency(self, digest: str) -> str:
        """The job that a client's idempotency key stands for."""
        return f"{self.prefix}:idempotency:{digest}"

    @property
    def dead_letters(self) -> str:
        """Stream of messages that were given up."""
        return f"{self.prefix}:dead-letters"

    @property
    def uncollected(self) -> str:
        """Sorted set of records whose result nobody has fetched, by age: bytes and key of each."""
        return f"{self.prefix}:uncollected"

    @property
    def uncollected_bytes(self) -> str:
        """What they come to."""
        return f"{self.prefix}:uncollected:bytes"

    @property
    def expired(self) -> str:
        """List of records that say that their result had to make room."""
        return f"{self.prefix}:expired"

    @property
    def pulse(self) -> str:
        """Written by whoever asks whether Redis takes anything."""
        return f"{self.prefix}:pulse"

    @property
    def workers(self) -> str:
        """Set of worker ids that have announced themselves."""
        return f"{self.prefix}:workers"

    def worker(self, worker_id: str) -> str:
        """A worker's heartbeat."""
        return f"{self.prefix}:worker:{worker_id}"
