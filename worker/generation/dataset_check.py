"""Checks a data set below the data root, for those who uploaded or named it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from model.data.check import check_dataset
from model.data.layouts import LayoutName, read_dataset
from model.data.picture import DatasetError
from worker.bulk import Halt
from worker.contract import DatasetCheckJob, DatasetCheckResult
from worker.errors import BadJob
from worker.generation.explanations import below
from worker.storage import resolve_below


def checked(job: DatasetCheckJob, data_root: Path, halt: Halt) -> DatasetCheckResult:
    """A report whose paths are below the data root.

    Raises:
        BadJob: What is there is no data set, in words that do not tell where the data root is.
        Halted: `halt` was set meanwhile.
    """
    try:
        folder = resolve_below(data_root, job.folder)
        dataset = read_dataset(folder, cast("LayoutName | None", job.layout), job.pattern)
    except (DatasetError, ValueError) as error:
        raise BadJob(below(data_root, str(error))) from error
    report = check_dataset(dataset, lambda done, total: halt.check()).to_json()
    return DatasetCheckResult(report={**report, "root": job.folder})
