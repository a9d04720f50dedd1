"""What is told of failures: what to do, and nothing about the inside of the place."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dgnet.jobs.errors import BadJob, JobError
from dgnet.jobs.generation.errors import DestinationRefused, GenerationError, UploadError
from dgnet.worker.explanations import code_and_message

ROOT = Path("/srv/secret/root")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (
            GenerationError(f"{ROOT}/datasets/a has no pictures"),
            BadJob.code,
            "datasets/a has no pictures",
        ),
        (BadJob(f"nothing below {ROOT}"), BadJob.code, "nothing below ."),
        (
            DestinationRefused("s3://b/ is not allowed here"),
            "destination-refused",
            "s3://b/ is not allowed here; name it there on all workers",
        ),
        (UploadError("s3://b/x: no answer"), "delivery-failed", "resume the job to upload"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"{ROOT}/jobs/1"),
            "storage-full",
            "no room (No space left on device)",
        ),
        (
            PermissionError(errno.EACCES, os.strerror(errno.EACCES), f"{ROOT}/jobs/1"),
            "storage-failed",
            "cannot be used (Permission denied: jobs/1)",
        ),
        (MemoryError(), "out-of-memory", "DGNET_GENERATION_BATCH"),
        (
            KeyError(f"{ROOT} and a token"),
            JobError.code,
            "(KeyError); the worker's log",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_failures_are_told_with_what_to_do_and_without_the_data_root(
    error: Exception, code: str, words: str
) -> None:
    told_code, told = code_and_message(error, ROOT)
    assert told_code == code
    assert words in told
    assert str(ROOT) not in told
    assert "token" not in told
