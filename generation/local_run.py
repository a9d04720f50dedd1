"""A whole job on this machine: shards one after the other, then the files that describe them.

`job.json` in the output folder says whose composites these are. A job that was stopped, killed or
cut off from power is carried on by making the shards that are missing; it ends with the same files
as one that ran through. Workers that share a job do the same steps: `dgnet.worker.runner`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from pathlib import Path

from dgnet.files import PART, write_file
from dgnet.generation.job import Job, Window
from dgnet.generation.making.kept_codes import CodeMemory
from dgnet.generation.making.shard_maker import ShardMaker
from dgnet.generation.making.stages import CodeCounts, Role, Stage, StageClock
from dgnet.generation.output.arrow import require_pyarrow
from dgnet.generation.output.assembly import assemble, read_manifest, remove_shards
from dgnet.generation.output.folder import remove_leftovers, take_folder
from dgnet.generation.output.plots import require_matplotlib
from dgnet.generation.output.publication import locked, remove_unpublished
from dgnet.generation.output.shards import (
    ALL_MADE,
    SHARDS_FOLDER,
    ShardIndex,
    ShardRange,
    cut,
    open_shards,
    read_index,
    shard_folder,
    shards_of,
    sound_shard,
)
from dgnet.generation.output.summary import Summary
from dgnet.jobs.generation.manifest import MANIFEST
from dgnet.paths import local_path


@dataclass(kw_only=True)
class Progress:
    """How far a job is; the numbers grow while it runs."""

    planned: int
    made: int = 0
    """Of the planned ones, kept or dropped."""
    made_before: int = 0
    """By an earlier run of the same job."""
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict[str, int])
    unreadable: dict[str, str] = field(default_factory=dict[str, str])
    changed: set[str] = field(default_factory=set[str])
    """Source pictures that were replaced meanwhile."""
    persons_without: list[str] = field(default_factory=list[str])
    """Names of those whose every composite was dropped, once the set is put together."""
    stages: dict[Stage, float] = field(default_factory=dict[Stage, float])
    """Seconds of this run by stage."""
    codes: dict[Role, CodeCounts] = field(default_factory=dict[Role, CodeCounts])
    """Of this run, by the role of their pictures."""

    def add(self, index: ShardIndex) -> None:
        self.kept += index.kept
        self.unreadable |= index.unreadable
        for reason, count in index.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + count


Report = Callable[[Progress], None]

UNPUBLISHED = 1
"""Shards that may wait for being published while the next one is made."""


def run_job(
    job: Job,
    directory: str | Path,
    *,
    resume: bool = False,
    threads: int = 4,
    codes_mib: int | None = None,
    report: Report,
) -> Progress:
    """Make everything into `directory`; `report` hears of every batch.

    Codes are kept between shards within `codes_mib`, by default a quarter of what is free.

    Raises GenerationError for a folder that holds something else, or that needs `resume`.
    """
    directory = local_path(directory)
    require_libraries()
    progress = Progress(planned=job.count)
    clock = StageClock()
    memory = CodeMemory.on(job.predictor.device, codes_mib)
    with ShardMaker.prepared(job, threads=threads, clock=clock, memory=memory) as shard_maker:
        directory.mkdir(parents=True, exist_ok=True)
        with locked(directory):
            take_folder(directory, job.identity(), resume=resume)
            remove_leftovers(directory)
            if is_complete(directory):
                remove_shards(directory)
                return count_complete(directory)
            open_shards(directory)
            shards = _make_windows(job, shard_maker, directory, progress, report)
            with clock.stage("publish"):
                summary = conclude(job, directory, shards)
            progress.unreadable |= summary.unreadable
            progress.changed |= summary.changed
            progress.persons_without = [
                job.listing.person_name(person) for person in summary.persons_without
            ]
    progress.stages, progress.codes = clock.seconds, clock.codes
    return progress


def require_libraries() -> None:
    """Raises ImportError here, not after hours, where one is missing."""
    require_pyarrow()
    require_matplotlib()


def is_complete(directory: str | Path) -> bool:
    """Whether the whole data set is there."""
    return (local_path(directory) / MANIFEST).exists()


def existing_shard(directory: Path, covers: ShardRange) -> ShardIndex | None:
    """A shard that an earlier run published, whole."""
    if (directory / SHARDS_FOLDER / ALL_MADE).exists():  # its pictures may have been moved
        return read_index(shard_folder(directory, covers.number))
    return sound_shard(directory, covers)


def conclude(job: Job, directory: Path, shards: int) -> Summary:
    """One data set of all shards, so many; may be repeated. Only for who has the folder locked."""
    if is_complete(directory):  # by somebody whom this process, which stood still, took for lost
        remove_shards(directory)
        return Summary()
    remove_unpublished(directory, f"*{PART}")  # of one who was killed while he did the same
    write_file(directory / SHARDS_FOLDER / ALL_MADE, b"", durable=True)
    return assemble(job.spec, job.listing, job.checkpoint.metadata, directory, shards)


def shards_done(directory: Path) -> int:
    """How many shards a folder holds, for messages."""
    return len(list((directory / SHARDS_FOLDER).glob("[0-9]*")))


def _make_windows(
    job: Job, shard_maker: ShardMaker, directory: Path, progress: Progress, report: Report
) -> int:
    """All shards: of the plan, then of what it takes to replace dropped ones, within the bound.

    Returns how many there are.
    """

    publishing: deque[Future[ShardIndex]] = deque()

    def add(more: int) -> None:
        progress.made += more
        progress.stages = shard_maker.clock.seconds
        report(progress)
        settle(leave=UNPUBLISHED)  # what went wrong there ends the job here

    def settle(*, leave: int) -> None:
        """Count what is published, in order, until so few are left."""
        while publishing and (len(publishing) > leave or publishing[0].done()):
            progress.add(publishing.popleft().result())
            report(progress)

    window: Window | None = (0, job.count)
    shards = 0
    try:
        while window is not None:
            progress.planned = window[1]
            for covers in cut(window, job.spec.output.shard_size, shards):
                index = existing_shard(directory, covers)
                if index is None:
                    publishing.append(shard_maker.make(covers, directory, add))
                    settle(leave=UNPUBLISHED)
                else:
                    progress.made += len(covers)
                    progress.made_before += len(covers)
                    progress.add(index)
                    report(progress)
            settle(leave=0)
            shards += shards_of(window, job.spec.output.shard_size)
            window = job.next_window(window, progress.kept)
    finally:  # a made shard is published, and nobody writes when the folder is free for others
        wait(publishing)
    return shards


def count_complete(directory: str | Path) -> Progress:
    """What a complete job came to, from its manifest."""
    progress = Progress(planned=0)
    for row in read_manifest(directory):
        progress.made += 1
        progress.kept += row.kept
        if row.dropped is not None:
            progress.dropped[row.dropped] = progress.dropped.get(row.dropped, 0) + 1
    progress.planned = progress.made_before = progress.made
    return progress
