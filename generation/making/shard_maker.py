"""Makes the shards of one job, one at a time, and publishes each as a whole.

What a shard holds follows from the job and the positions it covers, so that every maker of the same
job makes the same shard.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from dgnet.generation.job import Job
from dgnet.generation.making.engine import Engine, Made
from dgnet.generation.making.judging import Judging
from dgnet.generation.making.kept_codes import CodeMemory
from dgnet.generation.making.realism import realism_of_real_pictures, require_discriminator
from dgnet.generation.making.stages import StageClock
from dgnet.generation.output.packing import pack
from dgnet.generation.output.shards import (
    PICTURES_FOLDER,
    ShardIndex,
    ShardRange,
    published_shard,
    write_shard,
)
from dgnet.jobs.generation.errors import GenerationError
from dgnet.model.labeler import Labeler


class ShardMaker:
    """Close it, or use it as a context, to end its threads."""

    def __init__(self, job: Job, engine: Engine, clock: StageClock) -> None:
        self.clock = clock
        self._job = job
        self._engine = engine
        self._publisher = ThreadPoolExecutor(1, "dgnet-publish")

    @classmethod
    def prepared(
        cls,
        job: Job,
        *,
        threads: int,
        clock: StageClock,
        memory: CodeMemory | None = None,
    ) -> ShardMaker:
        """`memory` is for codes that are kept between shards, none by default.

        Raises GenerationError where checkpoint or judge are not what the spec needs.
        """
        if job.spec.needs_discriminator:
            require_discriminator(job.predictor)
        if job.spec.needs_judge and job.judge is None:
            raise GenerationError(
                "minimum_judge_similarity needs a judge, and none is configured here: name one "
                "with --judge, or with DGNET_JUDGE on all workers (docs/evaluation.md)"
            )
        judging = Judging(
            job.spec,
            job.listing,
            job.predictor,
            _labeler(job),
            lambda: realism_of_real_pictures(job.listing, job.predictor, job.spec.seed, job.batch),
            job.judge,
        )
        engine = Engine(
            job.spec, job.listing, job.plan, job.predictor, judging,
            batch=job.batch, threads=threads,
            memory=memory or CodeMemory(0), clock=clock,
        )  # fmt: skip
        return cls(job, engine, clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the threads; what they have begun is finished, and made shards are published."""
        self._publisher.shutdown()
        self._engine.close()

    def publish(
        self, covers: ShardRange, directory: Path, progress: Callable[[int], None]
    ) -> ShardIndex:
        """Make one shard below the job's folder; `progress` hears how many more are done.

        Whatever is raised, by `progress` too, leaves nothing of the shard behind. GenerationError
        before the first file where the job takes no shards any more.
        """
        return self.make(covers, directory, progress).result()

    def make(
        self, covers: ShardRange, directory: Path, progress: Callable[[int], None]
    ) -> Future[ShardIndex]:
        """`publish` without waiting for the end: the last files, hashes and the disk are left to a
        thread while the next shard is made. The future tells when it is there, or why not.
        """
        job = self._job
        appearances, structures = job.plan.window(*covers.window).pairs(covers.first, covers.last)
        with ExitStack() as stack:
            folder = stack.enter_context(published_shard(directory, covers.number))
            pictures = folder / PICTURES_FOLDER
            pictures.mkdir()
            finish = self._engine.make(covers.first, appearances, structures, pictures, progress)
            return self._publisher.submit(self._finish, stack.pop_all(), folder, covers, finish)

    def _finish(
        self, published: ExitStack, folder: Path, covers: ShardRange, finish: Callable[[], Made]
    ) -> ShardIndex:
        """Leaving `published` gives the shard its place, or takes away what there is of it."""
        with self.clock.stage("publish"), published:
            made = finish()
            rows = pack(self._job.spec, made.rows, folder / PICTURES_FOLDER, covers.number)
            index = write_shard(folder, covers, rows, made.unreadable, made.sources)
        return_free_memory()
        return index


def return_free_memory() -> None:
    """Gives the system what the C library holds back, where the library is one that does.

    The networks' maps come and go between pieces that live longer. What a shard needs at once is
    always the same, but the holes between are not: over 20,000 composites they added up to 70 MiB.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _labeler(job: Job) -> Labeler | None:
    return Labeler(job.checkpoint, job.predictor) if job.spec.needs_teacher else None
