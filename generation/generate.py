"""`dgnet.generate`: a whole data set in one call, as `dgnet generate` makes it on this machine.

Loads the networks, reads the source, makes or carries on the set, and takes it to a store where the
output is a URL. The same steps one by one: `job`, `local_run` and `upload.uploading`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgnet.generation.job import Job
from dgnet.generation.local_run import Progress, run_job
from dgnet.generation.output.assembly import read_manifest
from dgnet.generation.upload.uploading import take_destination, upload
from dgnet.generation.upload.work import work_folder
from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.manifest import Row
from dgnet.jobs.generation.spec import GenerationSpec, read_spec_file, spec_from, url_problem
from dgnet.model.checkpoints import DEFAULT_CHECKPOINT, load_checkpoint
from dgnet.model.devices import Precision
from dgnet.model.judge.judge import Judge
from dgnet.model.judge.opening import open_judge
from dgnet.model.predictor import Predictor
from dgnet.paths import local_path

Spec = GenerationSpec | Mapping[str, Any] | str | Path
"""A spec, its plain values as in docs/generation.md, or the path of a .yaml or .json file."""


@dataclass(frozen=True, kw_only=True)
class Generated:
    """What `generate` came to."""

    folder: Path
    """Where the set lies; where a set for a URL was made, which is gone unless it was kept."""
    url: str | None
    """Where its files were put to."""
    counts: Progress | None
    """Made, kept, dropped by reason, unreadable; None where the URL held the whole set before."""
    warnings: tuple[str, ...]
    """What is odd about the source."""
    seconds: float

    def rows(self) -> Iterator[Row]:
        """The manifest, a row for each composite that was made or tried."""
        return read_manifest(self.folder)


def generate(
    spec: Spec,
    output: str | Path | None = None,
    *,
    checkpoint: str | Path = DEFAULT_CHECKPOINT,
    judge: Judge | str | Path | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    batch_size: int | None = None,
    threads: int = 4,
    resume: bool = False,
    work: str | Path | None = None,
    keep_work: bool = False,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Generated:
    """Make the data set of a spec into `output`, a new or empty folder or a URL such as
    s3://bucket/prefix (the spec's `output.destination` if absent).

    `progress` hears of every batch. With `resume`, what an earlier call left is carried on, to the
    same files. `work` and `keep_work` are for a URL: where the set is made first. Raises
    GenerationError for a spec, source or folder that gives no such set, UploadError where the store
    fails; ValueError for a checkpoint or judge that cannot be loaded.
    """
    started = time.monotonic()
    asked = _spec(spec)
    place = output if output is not None else asked.output.destination
    if place is None:
        raise GenerationError("no output: give one, or output.destination in the spec")
    url = str(place) if isinstance(place, str) and "://" in place else None
    if url is not None and (problem := url_problem(url)):
        raise GenerationError(f"the output cannot be used: {problem}")
    if url is None and (work is not None or keep_work):
        raise GenerationError("work and keep_work are for an output that is a URL")
    folder = (
        local_path(work if work is not None else work_folder(url)) if url else local_path(place)
    )
    loaded = load_checkpoint(checkpoint)
    predictor = Predictor(loaded, device=device, precision=precision, max_batch=batch_size)
    if asked.needs_judge and isinstance(judge, str | Path):
        judge = open_judge(str(judge), device=device)
    asked_judge = None if isinstance(judge, str | Path) else judge
    job = Job.of(asked, loaded, predictor, judge=asked_judge)
    counts: Progress | None = None
    if url is None or not take_destination(url, job.identity(), resume=resume):
        counts = run_job(job, folder, resume=resume, threads=threads, report=progress)
        if url is not None:
            upload(folder, url)
    if url is not None and not keep_work:
        shutil.rmtree(folder, ignore_errors=True)
    return Generated(
        folder=folder,
        url=url,
        counts=counts,
        warnings=tuple(job.listing.warnings),
        seconds=time.monotonic() - started,
    )


def _spec(spec: Spec) -> GenerationSpec:
    if isinstance(spec, GenerationSpec):
        return spec
    if isinstance(spec, str | Path):
        return spec_from(read_spec_file(local_path(spec)), where=str(spec))
    return spec_from(dict(spec))
