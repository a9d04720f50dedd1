"""Generation jobs in memory with the interface of `dgnet.jobs.generation.job_store.JobStore`.

A test moves a job on by hand; every change is an event, and `finish` writes files as workers do.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from dgnet.jobs.errors import IdempotencyConflict, JobDeleted, JobError, UnknownJob, WrongState
from dgnet.jobs.generation.jobs import FINAL_STATES, GenerationJob, JobEvent
from dgnet.jobs.generation.spec import GenerationSpec
from dgnet.jobs.storage import StorageSettings, job_folder
from tests.service.composites import lines

EPOCH = 1_700_000_000.0
FILES = {
    "bounding_box_train/0001_c1s9_000000000_99.jpg": b"\xff\xd8first",
    "bounding_box_train/0002_c2s9_000000001_99.jpg": b"\xff\xd8second" * 100,
    "card.md": b"# Composites\n",
    "job.json": b"{}\n",
    "manifest.jsonl": lines(0, 1),
    "manifest.parquet": b"PAR1" + bytes(range(200)) + b"PAR1",
    "plots/persons.png": b"\x89PNG plot",
    "sheet.png": b"\x89PNG sheet",
}


def job_id(number: int) -> str:
    return f"gen_{number:022d}"


class FakeJobStore:
    """`JobStore` without Redis."""

    def __init__(self, storage: StorageSettings) -> None:
        self.storage = storage
        self.jobs: dict[str, GenerationJob] = {}
        self.history: dict[str, list[JobEvent]] = {}
        self.keys: dict[str, tuple[str, str]] = {}
        self.error: JobError | None = None
        self.sweeps = 0
        self.changed = asyncio.Condition()

    async def submit(
        self,
        spec: GenerationSpec,
        *,
        idempotency_key: str | None = None,
        model: str = "",
        named: str | None = None,
    ) -> tuple[GenerationJob, bool]:
        self._fail()
        text = json.dumps(spec.to_json())
        if idempotency_key in self.keys:
            known, before = self.keys[idempotency_key]
            if before != text:
                raise IdempotencyConflict("this idempotency key was used for another spec")
            if known not in self.jobs:
                raise JobDeleted(f"this idempotency key stands for {known}, which was deleted")
            return self.jobs[known], False
        number = len(self.jobs)
        job = GenerationJob(
            job_id=job_id(number), state="queued", spec=spec.to_json(), created=EPOCH + number,
            updated=EPOCH + number, finished=None, planned=0, made=0, kept=0, dropped={},
            unreadable=0, shards=0, shards_done=0, rate=None, eta_seconds=None, error_code=None,
            error_message=None, model_version=model or None,
        )  # fmt: skip
        if idempotency_key is not None:
            self.keys[idempotency_key] = (job.job_id, text)
        await self._put(job)
        return job, True

    async def get(self, job_id: str) -> GenerationJob:
        self._fail()
        if job_id not in self.jobs:
            raise UnknownJob(f"no generation job {job_id!r} is known")
        return self.jobs[job_id]

    async def list(
        self, *, limit: int = 100, before: float | None = None, before_id: str = ""
    ) -> list[GenerationJob]:
        self._fail()
        jobs = sorted(self.jobs.values(), key=lambda job: (job.created, job.job_id), reverse=True)
        latest = (float("inf") if before is None else before, before_id)
        return [job for job in jobs if (job.created, job.job_id) < latest][:limit]

    async def unfinished(self) -> list[GenerationJob]:
        self._fail()
        return [job for job in self.jobs.values() if job.state not in FINAL_STATES]

    async def cancel(self, job_id: str) -> GenerationJob:
        job = await self.get(job_id)
        if job.state in FINAL_STATES and job.state != "cancelled":
            raise WrongState(f"{job_id} is {job.state}")
        return await self.change(job_id, state="cancelled", finished=EPOCH + 100)

    async def resume(self, job_id: str) -> GenerationJob:
        if (await self.get(job_id)).state == "done":
            raise WrongState(f"{job_id} is done; there is nothing to resume")
        return await self.change(job_id, state="queued", finished=None)

    async def delete(self, job_id: str) -> None:
        self._fail()
        self.jobs.pop(job_id, None)

    async def events(
        self, job_id: str, *, after: str | None = None
    ) -> AsyncIterator[Sequence[JobEvent]]:
        await self.get(job_id)
        seen = 0 if after is None else int(after.partition("-")[0])
        while True:
            async with self.changed:
                while len(self.history[job_id]) <= seen:
                    await self.changed.wait()
            events = self.history[job_id][seen:]
            seen += len(events)
            yield events
            self._fail()
            # As in `JobStore`: an end may have been followed by a resumption.
            if events[-1].job.state in FINAL_STATES and self.jobs[job_id].state in FINAL_STATES:
                return

    async def expire_finished(self) -> int:
        return 0

    async def sweep(self) -> None:
        self.sweeps += 1

    async def change(self, job_id: str, **changes: Any) -> GenerationJob:
        """Something happens to a job."""
        before = self.jobs[job_id]
        job = replace(before, updated=before.updated + 1, **changes)
        await self._put(job, kind="state" if "state" in changes else "progress")
        return job

    async def finish(self, job_id: str) -> None:
        """The job is done, and its files are there."""
        for name, content in FILES.items():
            path = job_folder(self.storage.data_root, job_id) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        await self.change(
            job_id, state="done", finished=EPOCH + 100, planned=2, made=2, kept=2, shards=1,
            shards_done=1,
        )  # fmt: skip

    async def _put(self, job: GenerationJob, kind: Any = "state") -> None:
        self.jobs[job.job_id] = job
        events = self.history.setdefault(job.job_id, [])
        events.append(JobEvent(event_id=f"{len(events) + 1}-0", kind=kind, job=job))
        async with self.changed:
            self.changed.notify_all()

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error
