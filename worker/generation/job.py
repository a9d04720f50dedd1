"""A whole job on this machine: shards one after the other, then the files that describe them.

`job.json` in the output folder says whose composites these are. A job that was stopped, killed or
cut off from power is carried on by making the shards that are missing; it ends with the same files
as one that ran through. Everything that decides the bytes of a shard is in `Job`, so that shards
can be made anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.checkpoints import Checkpoint, CheckpointError
from model.labeller import Labeller
from model.predictor import Predictor
from worker.generation.arrow import require_pyarrow
from worker.generation.assembly import MANIFEST, assemble, read_manifest, remove_shards
from worker.generation.claim import claim
from worker.generation.engine import Engine
from worker.generation.errors import GenerationError
from worker.generation.judging import Judging
from worker.generation.listing import Listing
from worker.generation.packing import pack
from worker.generation.plan import Plan
from worker.generation.publication import (
    locked,
    published_folder,
    write_file,
)
from worker.generation.realism import realism_of_real_pictures
from worker.generation.shards import (
    ALL_MADE,
    PICTURES_FOLDER,
    SHARDS_FOLDER,
    ShardIndex,
    ShardRange,
    cut,
    read_index,
    shard_folder,
    sound_shard,
    write_shard,
)
from worker.generation.spec import GenerationSpec
from worker.generation.stages import Stage, StageClock

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is made of what with which networks."""

    spec: GenerationSpec
    listing: Listing
    plan: Plan
    checkpoint: Checkpoint
    predictor: Predictor

    @classmethod
    def of(cls, spec: GenerationSpec, checkpoint: Checkpoint, predictor: Predictor) -> Job:
        """Read the listing and lay out the plan."""
        listing = Listing.read(spec.source)
        plan = Plan(listing, spec.pairing, spec.seed)
        return cls(
            spec=spec, listing=listing, plan=plan, checkpoint=checkpoint, predictor=predictor
        )

    @property
    def count(self) -> int:
        return self.plan.amount(self.spec)

    def identity(self) -> dict[str, Any]:
        """Everything that decides the bytes; two jobs of one identity make the same files."""
        spec = self.spec.to_json()
        # A data set may be moved: what is in it counts, and the listing's digest tells that.
        del spec["source"]["folder"]
        return {
            "format": FORMAT,
            "spec": spec,
            "listing_sha256": self.listing.digest,
            "checkpoint_sha256": self.checkpoint.metadata.sha256,
            "device": self.predictor.device.type,
            "precision": str(self.predictor.autocast or "float32").removeprefix("torch."),
            "batch": self.predictor.max_batch,
        }


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
    stages: dict[Stage, float] = field(default_factory=dict[Stage, float])
    """Seconds of this run by stage."""

    def add(self, index: ShardIndex) -> None:
        self.kept += index.kept
        self.unreadable |= index.unreadable
        for reason, count in index.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + count


Report = Callable[[Progress], None]


def run_job(
    job: Job, directory: Path, *, resume: bool = False, threads: int = 4, report: Report
) -> Progress:
    """Make everything into `directory`; `report` hears of every batch.

    Raises GenerationError for a folder that holds something else, or that needs `resume`.
    """
    require_pyarrow()
    count = job.count
    labeller = _labeller(job)
    directory.mkdir(parents=True, exist_ok=True)
    with locked(directory):
        claim(directory, job.identity(), resume=resume)
        progress = Progress(planned=count)
        if (directory / MANIFEST).exists():
            _clean_up(directory, progress)
            return progress
        clock = StageClock()
        judging = Judging(
            job.spec,
            job.listing,
            job.predictor,
            labeller,
            realism_of_real_pictures(job.listing, job.predictor, job.spec.seed)
            if job.spec.needs_discriminator
            else None,
        )
        with Engine(
            job.spec, job.listing, job.plan, job.predictor, judging, threads=threads, clock=clock
        ) as engine:
            indexes = _make_windows(job, engine, directory, progress, clock, report)
        with clock.stage("publish"):
            write_file(directory / SHARDS_FOLDER / ALL_MADE, b"")
            assemble(job.spec, job.listing, job.checkpoint.metadata, directory, indexes)
        progress.stages = clock.seconds
        return progress


def shards_done(directory: Path) -> int:
    """How many shards a folder holds, for messages."""
    return len(list((directory / SHARDS_FOLDER).glob("[0-9]*")))


def _make_windows(
    job: Job, engine: Engine, directory: Path, progress: Progress, clock: StageClock, report: Report
) -> list[ShardIndex]:
    """All shards: of the plan, then of what it takes to replace dropped ones, within the bound."""
    count, allowance = progress.planned, job.spec.top_up
    window = (0, count)
    indexes: list[ShardIndex] = []
    while window[0] < window[1]:
        for covers in cut(window, job.spec.output.shard_size, len(indexes)):
            index = _existing(directory, covers)
            if index is None:
                index = _make(job, engine, covers, directory, progress, clock, report)
            else:
                progress.made += covers.last - covers.first
                progress.made_before += covers.last - covers.first
            progress.add(index)
            indexes.append(index)
            report(progress)
        beyond = min(
            count - progress.kept,
            count + allowance - window[1],
            job.plan.pairs - window[1],
        )
        window = (window[1], window[1] + max(0, beyond))
        progress.planned = window[1]
    return indexes


def _existing(directory: Path, covers: ShardRange) -> ShardIndex | None:
    """A shard that an earlier run published."""
    if (directory / SHARDS_FOLDER / ALL_MADE).exists():  # its pictures may have been moved
        return read_index(shard_folder(directory, covers.number))
    return sound_shard(directory, covers)


def _make(
    job: Job,
    engine: Engine,
    covers: ShardRange,
    directory: Path,
    progress: Progress,
    clock: StageClock,
    report: Report,
) -> ShardIndex:
    """One shard, published."""

    def add(more: int) -> None:
        progress.made += more
        progress.stages = clock.seconds
        report(progress)

    appearances, structures = job.plan.window(*covers.window).pairs(covers.first, covers.last)
    with published_folder(shard_folder(directory, covers.number)) as folder:
        pictures = folder / PICTURES_FOLDER
        pictures.mkdir()
        rows = engine.make(covers.first, appearances, structures, pictures, add)
        with clock.stage("publish"):
            pack(job.spec, rows, pictures, covers.number)
            needed: set[int] = {*appearances.tolist(), *structures.tolist()}
            unreadable = {
                job.listing.paths[picture]: engine.failures[picture]
                for picture in needed
                if picture in engine.failures
            }
            return write_shard(folder, covers, rows, unreadable)


def _clean_up(directory: Path, progress: Progress) -> None:
    """Of a job that is complete: count it, and remove what a kill may have left."""
    for row in read_manifest(directory):
        progress.made += 1
        progress.kept += row["kept"]
        if not row["kept"]:
            progress.dropped[row["dropped"]] = progress.dropped.get(row["dropped"], 0) + 1
    progress.planned = progress.made_before = progress.made
    remove_shards(directory)


def _labeller(job: Job) -> Labeller | None:
    try:
        return Labeller(job.checkpoint, job.predictor) if job.spec.needs_teacher else None
    except CheckpointError as error:
        raise GenerationError(str(error)) from error
