"""What can go wrong with a job, each with the HTTP status and a message that is safe to show.

The front end turns these into problem+json; a worker sends them through Redis as (code, message).
"""

from __future__ import annotations

from typing import ClassVar


class JobError(Exception):
    """Base of all job errors. `str(error)` is safe to show to a client."""

    code: ClassVar[str] = "job-failed"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class JobFailed(JobError):
    """The job ran and failed on its own account; running it again would fail again."""


class BadJob(JobError):
    """The worker refuses the job: wrong picture size, unknown kind, undecodable payload."""

    code = "bad-job"
    http_status = 422


class NewerMessage(BadJob):
    """The message is of a newer release than this one: others may be able to read it."""


class PoisonJob(JobError):
    """The job was delivered too often without an answer: it probably kills its worker."""

    code = "poison-job"


class QueueFull(JobError):
    """The lane is at its bound. Carries the seconds after which trying again makes sense."""

    code = "queue-full"
    http_status = 429


class QueueUnavailable(JobError):
    """Redis does not answer."""

    code = "queue-unavailable"
    http_status = 503


class NoWorker(JobError):
    """No live worker has passed its canary."""

    code = "no-worker"
    http_status = 503


class WaitTimeout(JobError):
    """The result did not come within the wait; the job goes on."""

    code = "worker-too-slow"
    http_status = 504


class UnknownJob(JobError):
    """No job of that id is queued, running or remembered."""

    code = "unknown-job"
    http_status = 404


class ResultExpired(JobError):
    """The result was there and had to make room before anybody fetched it."""

    code = "result-expired"
    http_status = 410


class WrongState(JobError):
    """The job's state does not allow what was asked of it."""

    code = "wrong-state"
    http_status = 409


class IdempotencyConflict(JobError):
    """An idempotency key that stands for another request."""

    code = "idempotency-conflict"
    http_status = 422


class JobDeleted(JobError):
    """The job that an idempotency key stands for was deleted."""

    code = "job-deleted"
    http_status = 410


class StorageFull(JobError):
    """The data root has no room."""

    code = "storage-full"
    http_status = 507


class StorageFailed(JobError):
    """The data root cannot be used now: read-only, broken or gone."""

    code = "storage-failed"
    http_status = 503


class JobExpired(JobError):
    """What the job made was removed after the retention time."""

    code = "job-expired"
    http_status = 410


ERRORS_BY_CODE: dict[str, type[JobError]] = {
    error.code: error
    for error in (
        JobFailed,
        BadJob,
        PoisonJob,
        QueueFull,
        QueueUnavailable,
        NoWorker,
        WaitTimeout,
        UnknownJob,
        ResultExpired,
        WrongState,
        IdempotencyConflict,
        JobExpired,
        JobDeleted,
        StorageFull,
        StorageFailed,
    )
}
