"""What is told to those who submitted a job that failed: a code and words that are safe to show."""

from __future__ import annotations

import os
from pathlib import Path

from dgnet.jobs.errors import BadJob, JobError, StorageFailed, StorageFull
from dgnet.jobs.generation.errors import DestinationRefused, GenerationError, UploadError
from dgnet.jobs.storage import is_full
from dgnet.worker.handlers import is_out_of_memory


def code_and_message(error: Exception, data_root: Path) -> tuple[str, str]:
    """Code and message of a failed step: what went wrong and what to do.

    Nothing tells where the data root is. What nobody foresaw has `JobError.code`; its own words
    stay in the worker's log.
    """
    if isinstance(error, DestinationRefused):
        return (
            "destination-refused",
            f"{error}; name it there on all workers and resume the job",
        )
    if isinstance(error, (GenerationError, BadJob)):
        return BadJob.code, below(data_root, str(error))
    if isinstance(error, UploadError):
        return "delivery-failed", f"{error}; resume the job to upload the rest"
    if is_out_of_memory(error):
        return "out-of-memory", (
            "a worker has not the memory for a batch of this job: give it more, or less other "
            "work, and resume; or set DGNET_GENERATION_BATCH lower on all workers, delete the "
            "job and submit it anew, for the batch decides the bytes"
        )
    if isinstance(error, OSError):
        if is_full(error):
            return StorageFull.code, (
                f"the data root has no room ({error.strerror}): free some and resume the job"
            )
        what = error.strerror or type(error).__name__
        if isinstance(error.filename, (str, bytes)):
            what = f"{what}: {os.fsdecode(error.filename)}"
        return StorageFailed.code, (
            f"the data root cannot be used ({below(data_root, what)}): mend it and resume the job"
        )
    return JobError.code, (
        f"a step of the job failed ({type(error).__name__}); the worker's log has more. Resume "
        "the job to try again"
    )


def below(data_root: Path, message: str) -> str:
    """The message with paths below the data root, which nobody outside knows or need know."""
    return message.replace(f"{data_root}/", "").replace(str(data_root), ".")
