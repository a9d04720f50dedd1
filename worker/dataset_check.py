"""Checks a data set below the data root, for those who uploaded or named it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from dgnet.jobs.contract import DatasetCheckJob, DatasetCheckResult
from dgnet.jobs.errors import BadJob
from dgnet.jobs.storage import is_folder, refuse_links_out, resolve_below
from dgnet.model.data.check import check_dataset
from dgnet.model.data.layouts import LayoutName, read_dataset
from dgnet.model.data.picture import DatasetError
from dgnet.worker.bulk import Halt
from dgnet.worker.explanations import below


def checked(job: DatasetCheckJob, data_root: Path, halt: Halt) -> DatasetCheckResult:
    """A report whose paths are below the data root.

    Raises:
        BadJob: What is there is no data set, in words that do not tell where the data root is.
        Halted: `halt` was set meanwhile.
    """
    try:
        folder = resolve_below(data_root, job.folder)
        if is_folder(folder):
            refuse_links_out(data_root, folder)
        dataset = read_dataset(
            folder,
            cast("LayoutName | None", job.layout),
            job.pattern,
            junk=job.junk,
            distractors=job.distractors,
        )
    except (DatasetError, ValueError) as error:
        raise BadJob(below(data_root, str(error))) from error
    report = check_dataset(dataset, lambda done, total: halt.check()).to_json()
    return DatasetCheckResult(report={**report, "root": job.folder})
