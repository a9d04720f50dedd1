"""How a generation job lies in Redis and on the disk, and how both are read."""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis

from dgnet.files import write_file
from dgnet.jobs.connection import run_script
from dgnet.jobs.errors import BadJob
from dgnet.jobs.generation.errors import DestinationRefused, GenerationError
from dgnet.jobs.generation.jobs import FINAL_STATES, GenerationJob, GenerationTask, JobEvent, Step
from dgnet.jobs.generation.scripts import PARTS
from dgnet.jobs.generation.spec import GenerationSpec, spec_from
from dgnet.jobs.keys import Keys
from dgnet.jobs.storage import (
    StorageSettings,
    dataset_folder,
    job_folder,
    request_file,
    resolve_below,
    resolve_source,
    unsettled_request_file,
)

Fields = Mapping[str, str]

STALLED_SECONDS = 60.0
"""Without progress for so long a job has no rate any more."""

DELETED_SUFFIX = ".deleted"
"""Of hidden folders that are being removed."""

_JOB_ID = re.compile(r"gen_[A-Za-z0-9_-]{22}")
_DROPPED = "dropped:"
_STEPS: tuple[Step, ...] = ("begin", "shard", "advance")


def new_job_id() -> str:
    return f"gen_{secrets.token_urlsafe(16)}"


def is_job_id(text: str) -> bool:
    """Whether it can be a generation job's; only then it may become a path."""
    return _JOB_ID.fullmatch(text) is not None


def new_epoch() -> str:
    return secrets.token_hex(8)


async def change(
    redis: Redis,
    keys: Keys,
    script: str,
    job_id: str,
    epoch: str,
    *arguments: str | int | float,
    more_keys: Sequence[str] = (),
    model: str = "",
) -> Any:
    """Run one of `scripts` on a job, whose tasks are for workers of `model`, or for any."""
    parts = [keys.generation(job_id, part) for part in PARTS]
    shared = [keys.lane("bulk", model), keys.generations, keys.workers]
    return await run_script(
        redis, script, [*parts, *shared, *more_keys], [job_id, epoch, *arguments]
    )


def text_fields(reply: Any) -> dict[str, str]:
    """A hash or a stream entry as text."""
    pairs = cast("dict[bytes, bytes]", reply)
    return {
        name.decode(errors="replace"): value.decode(errors="replace")
        for name, value in pairs.items()
    }


def job_of(job_id: str, fields: Fields, *, spec: dict[str, Any], now: float) -> GenerationJob:
    """A record, or an event's snapshot of it, at the time `now`."""
    finished, rate = fields.get("finished"), fields.get("rate")
    planned, made = int(fields.get("planned", 0)), int(fields.get("made", 0))
    stalled = now - float(fields.get("progress_at", 0)) > STALLED_SECONDS
    per_second = None if rate is None or stalled else float(rate)
    return GenerationJob(
        job_id=job_id,
        state=cast("Any", fields["state"]),
        spec=spec,
        created=float(fields["created"]),
        updated=float(fields["updated"]),
        finished=None if finished is None else float(finished),
        planned=planned,
        made=made,
        kept=int(fields.get("kept", 0)),
        dropped={
            name.removeprefix(_DROPPED): int(count)
            for name, count in sorted(fields.items())
            if name.startswith(_DROPPED)
        },
        unreadable=int(fields.get("unreadable", 0)),
        shards=int(fields.get("shards", 0)),
        shards_done=int(fields.get("shards_done", 0)),
        rate=per_second,
        eta_seconds=(planned - made) / per_second if per_second else None,
        error_code=fields.get("error_code"),
        error_message=fields.get("error_message"),
        model_version=fields.get("model_version"),
    )


def event_of(job_id: str, entry: tuple[bytes, Any], spec: dict[str, Any]) -> JobEvent:
    entry_id, fields = entry[0].decode(), text_fields(entry[1])
    then = int(entry_id.partition("-")[0]) / 1000
    return JobEvent(
        event_id=entry_id,
        kind="state" if fields["kind"] == "state" else "progress",
        job=job_of(job_id, fields, spec=spec, now=then),
    )


def is_final(job: GenerationJob) -> bool:
    return job.state in FINAL_STATES


def task_of(job_id: str, payload: bytes) -> GenerationTask:
    """A task as `scripts` write it: `EPOCH STEP NUMBER`. Raises BadJob for anything else."""
    parts = payload.decode(errors="replace").split(" ")
    steps: list[Step] = [step for step in _STEPS if parts[1:2] == [step]]
    if not is_job_id(job_id) or len(parts) != 3 or not steps:
        raise BadJob(
            f"a generation task for {job_id[:40]!r} arrived with {payload[:40]!r}; expected an "
            "epoch, a step and a number"
        )
    epoch, _, number = parts
    if not re.fullmatch(r"\d{1,9}", number):
        raise BadJob(f"a generation task arrived for shard {number[:20]!r}; expected a number")
    return GenerationTask(job_id=job_id, epoch=epoch, step=steps[0], number=int(number))


def located(spec: GenerationSpec, storage: StorageSettings) -> GenerationSpec:
    """The spec with the source's real folder, which lies below the data root.

    Raises GenerationError where it does not, and DestinationRefused for a destination that is not
    allowed; messages are safe to show. Workers ask too: whoever reaches Redis can write specs.
    """
    source, url, data_root = spec.source, spec.output.destination, storage.data_root
    if url is not None and not storage.allows_destination(url):
        raise DestinationRefused(
            "output.destination is not below a place that is written to here; expected one below "
            "DGNET_JOB_DESTINATIONS, which front end and workers must agree on"
        )
    try:
        if source.dataset is not None:
            uploaded = dataset_folder(Path(), source.dataset)
            folder = resolve_below(data_root, uploaded)
        else:
            assert source.folder is not None
            folder = resolve_source(data_root, source.folder)
    except ValueError as error:
        raise GenerationError(f"the source cannot be used: {error}") from error
    place = source.model_copy(update={"folder": folder, "dataset": None})
    return spec.model_copy(update={"source": place})


def write_request(
    storage: StorageSettings, job_id: str, spec: GenerationSpec, created: float, model: str = ""
) -> None:
    """Keep what was asked for, whole or not at all, until `settle_request` or `free_storage`."""
    request = json.dumps({"created": created, "spec": spec.to_json(), "model": model}).encode()
    path = unsettled_request_file(storage.data_root, job_id)
    write_file(path, request, make_parents=True, durable=True)


def settle_request(storage: StorageSettings, job_id: str) -> None:
    """The job was taken: its request stays as long as the job. May be repeated."""
    root = storage.data_root
    with suppress(FileNotFoundError):
        unsettled_request_file(root, job_id).replace(request_file(root, job_id))


def read_request(storage: StorageSettings, job_id: str) -> tuple[GenerationSpec, float, str] | None:
    """Spec, time of submission and model's version; None where no request is kept."""
    path = request_file(storage.data_root, job_id)
    if not path.exists():
        path = unsettled_request_file(storage.data_root, job_id)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        # A release that knew no choice of scores computed none unasked.
        spec = spec_from({"scores": [], **values["spec"]})
        return spec, float(values["created"]), str(values.get("model", ""))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadJob(f"the request of {job_id} is damaged; submit the job anew") from error


def has_storage(storage: StorageSettings, job_id: str) -> bool:
    """Whether the job has files, be it only its request."""
    places = (job_folder, request_file, unsettled_request_file)
    return any(place(storage.data_root, job_id).exists() for place in places)


def free_storage(storage: StorageSettings, job_id: str) -> None:
    """Remove what a job made, and its request. May be repeated; what a kill or an error leaves is
    for `sweep`.
    """
    root = storage.data_root
    folder = job_folder(root, job_id)
    aside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}{DELETED_SUFFIX}")
    with suppress(FileNotFoundError):
        folder.rename(aside)  # a worker that still writes finds its folder gone
    unsettled_request_file(root, job_id).unlink(missing_ok=True)
    request_file(root, job_id).unlink(missing_ok=True)
    shutil.rmtree(aside, ignore_errors=True)
