"""What `dgnet data check` says of a data set, asked of a worker through the queue.

A set whose check has not been asked for, or whose answer got lost, is asked for again by whoever
looks at the set next: nothing runs in the background.
"""

from __future__ import annotations

import asyncio
from typing import Any

from dgnet.jobs.contract import DatasetCheckJob, DatasetCheckResult, Result
from dgnet.jobs.errors import (
    ERRORS_BY_CODE,
    JobError,
    JobFailed,
    NoWorker,
    QueueFull,
    QueueUnavailable,
    ResultExpired,
    UnknownJob,
    WaitTimeout,
)
from dgnet.service.dataset_store import DatasetRecord
from dgnet.service.dependencies import Bulk, Dependencies

# Not the data set's fault: the check is tried again later.
_LATER = (NoWorker, QueueFull, QueueUnavailable, UnknownJob, WaitTimeout)


async def checked(
    dependencies: Dependencies, bulk: Bulk, record: DatasetRecord, *, wait_seconds: float
) -> tuple[DatasetRecord, dict[str, Any] | None]:
    """The record and the report as they are after waiting at most so long.

    Raises UnknownDataset if somebody deletes the set meanwhile.
    """
    if record.state == "ready":
        return record, await asyncio.to_thread(bulk.dataset_store.report, record.id)
    if record.state == "unusable":
        return record, None
    try:
        if record.check_job is None:
            record = await _asked(dependencies, bulk, record)
        assert record.check_job is not None
        result = await _outcome(dependencies, record.check_job, wait_seconds)
    except (UnknownJob, ResultExpired):
        return await _put(bulk, record, state="unchecked", check_job=None), None
    except _LATER:
        return record, None
    except JobError as error:
        return await _put(bulk, record, state="unusable", check_job=None, error=str(error)), None
    if not isinstance(result, DatasetCheckResult):
        return record, None
    return await asyncio.to_thread(
        bulk.dataset_store.put_report, record.id, result.report
    ), result.report


async def _asked(dependencies: Dependencies, bulk: Bulk, record: DatasetRecord) -> DatasetRecord:
    job = DatasetCheckJob(
        folder=record.folder,
        layout=record.layout,
        pattern=record.pattern,
        junk=record.junk,
        distractors=record.distractors,
    )
    job_id = await dependencies.jobs.submit(job, lane="bulk")
    return await _put(bulk, record, state="checking", check_job=job_id)


async def _outcome(dependencies: Dependencies, job_id: str, wait_seconds: float) -> Result:
    if wait_seconds > 0:
        return await dependencies.jobs.wait(job_id, timeout_seconds=wait_seconds)
    status = await dependencies.jobs.status(job_id)
    if status.state == "failed":
        error_class = ERRORS_BY_CODE.get(status.error_code or "", JobFailed)
        raise error_class(status.error_message or "The check failed.")
    if status.result is None:
        raise WaitTimeout(f"the check is {status.state}")
    return status.result


async def _put(bulk: Bulk, record: DatasetRecord, **changes: Any) -> DatasetRecord:
    return await asyncio.to_thread(bulk.dataset_store.update, record.id, **changes)
