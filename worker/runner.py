"""Does a worker's share of generation jobs: each task is one step, in a thread of its own.

`begin` reads the source and opens the first window of the plan, `shard` makes one shard, `advance`
opens a window for what is to be topped up or puts the data set together. All of it is what
`local_run` does on one machine, with the same functions. A step that fails lets the job fail with a
message; a step that is told to stop leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from redis.asyncio import Redis

from dgnet.generation.local_run import (
    Progress,
    conclude,
    count_complete,
    existing_shard,
    is_complete,
)
from dgnet.generation.output.assembly import remove_shards
from dgnet.generation.output.publication import FolderBusy, locked
from dgnet.generation.output.shards import (
    ShardIndex,
    cut,
    read_index,
    shard_folder,
    shard_of,
    shards_of,
)
from dgnet.generation.upload.uploading import take_destination, upload
from dgnet.jobs.contract import DatasetCheckJob, DatasetCheckResult
from dgnet.jobs.errors import BadJob, JobError
from dgnet.jobs.generation.errors import GenerationError, UnreadableRecord, UploadError
from dgnet.jobs.generation.job_store import JobStore
from dgnet.jobs.generation.jobs import GenerationTask
from dgnet.jobs.generation.records import free_storage
from dgnet.jobs.outages import REDIS_ERRORS
from dgnet.jobs.settings import QueueSettings, WorkerSettings
from dgnet.jobs.storage import StorageSettings
from dgnet.jobs.tasks import Background
from dgnet.model.checkpoints import Checkpoint
from dgnet.model.judge.judge import Judge
from dgnet.model.predictor import Predictor
from dgnet.worker import metrics
from dgnet.worker.batcher import DeviceBroken
from dgnet.worker.bulk import Halt, Halted, LeaveToOthers
from dgnet.worker.dataset_check import checked
from dgnet.worker.device import DeviceClosed, DeviceThread
from dgnet.worker.explanations import code_and_message
from dgnet.worker.handlers import run_canary
from dgnet.worker.open_jobs import OpenJob, OpenJobs, OtherNetworks
from dgnet.worker.releases import is_newer
from dgnet.worker.serial_thread import SerialThread
from dgnet.worker.task_store import Order, TaskStore

_log = logging.getLogger(__name__)

T = TypeVar("T")

LOOK_SECONDS = 0.1
"""How soon a running step hears that its job was cancelled."""
REPORT_SECONDS = 0.5
NICENESS = 10
"""Of the threads around the device: what requests need of the processor goes first."""


class GenerationRunner:
    """The bulk work of one worker; `device` is the thread that small requests use too."""

    def __init__(
        self,
        redis: Redis,
        checkpoint: Checkpoint,
        predictor: Predictor,
        device: DeviceThread,
        settings: QueueSettings,
        worker_settings: WorkerSettings,
        storage: StorageSettings,
        judge: Judge | None = None,
    ) -> None:
        # Messages say where things are below the root: it must have one name only.
        storage = storage.model_copy(update={"data_root": storage.data_root.resolve()})
        self._predictor = predictor
        self._device = device
        self._storage = storage
        self._task_store = TaskStore(redis, settings, predictor.model_version)
        self._job_store = JobStore(redis, settings, storage)
        self._thread = SerialThread("bulk")
        self._is_nice = False
        self._halt = Halt()
        self._stopping = False
        self._open_jobs = OpenJobs(
            checkpoint,
            predictor,
            storage,
            device=device,
            batch=worker_settings.generation_batch,
            threads=worker_settings.generation_threads,
            codes_mib=worker_settings.generation_codes_mib,
            before_each_call=lambda: self._halt.check(),
            judge=judge,
        )

    @property
    def recipe(self) -> str:
        return self._open_jobs.recipe

    def stop(self) -> None:
        self._stopping = True
        self._halt.set()

    def close(self) -> None:
        self._thread.close()

    async def run(self, task: GenerationTask) -> None:
        if self._stopping:
            raise LeaveToOthers("the worker stops")
        try:
            order = await self._task_store.order(task)
            if order is not None:
                if order.model_version not in ("", self._predictor.model_version):
                    raise OtherNetworks(f"checkpoint {order.model_version}")
                match task.step:
                    case "begin":
                        await self._begin(task, order)
                    case "shard":
                        await self._shard(task, order)
                    case "advance":
                        await self._advance(task, order)
        except Halted:
            if self._stopping:
                raise LeaveToOthers("the worker stops") from None
            await self._close(task)
        except (FolderBusy, DeviceClosed) as error:
            raise LeaveToOthers(str(error)) from error
        except UnreadableRecord as error:
            workers = await self._task_store.workers()
            if any(worker.ready and is_newer(worker.release) for worker in workers):
                raise LeaveToOthers(f"{error}; a worker of a newer release is there") from error
            raise
        except OtherNetworks as error:
            await self._leave_to_fitting_workers(task, error)
        except Exception as error:
            await self._fail(task, error)
        if await self._task_store.was_deleted(task):  # and this step may have made its folder again
            await self._close(task)
            await asyncio.to_thread(free_storage, self._storage, task.job_id)

    async def give_up(self, task: GenerationTask, reason: Exception) -> None:
        code = reason.code if isinstance(reason, JobError) else JobError.code
        metrics.GENERATION_FAILURES.labels(code).inc()
        await self._task_store.fail(task, code, f"{reason}; resume the job to try again")

    async def check_dataset(self, job: DatasetCheckJob) -> DatasetCheckResult:
        self._halt = halt = Halt()
        root = self._storage.data_root
        try:
            return await self._in_thread(lambda: checked(job, root, halt))
        except Halted:
            raise LeaveToOthers("the worker stops") from None

    async def maintain(self) -> None:
        """Frees what idle jobs hold here, and what ended or deleted jobs hold on the volume."""
        retention = self._storage.job_retention_seconds
        while True:
            await asyncio.sleep(max(0.5, min(60.0, retention / 10)))
            await self._in_thread(self._open_jobs.close_idle)
            try:
                await self._job_store.expire_finished()
                await self._job_store.sweep()
            except (JobError, OSError) as error:
                _log.warning("ended jobs were not looked through: %s", error)

    async def _begin(self, task: GenerationTask, order: Order) -> None:
        if not await self._task_store.start(task, self._predictor.model_version):
            return
        spec = order.spec

        def begin() -> tuple[int, Progress | None]:
            opened = self._open_jobs.begin(task, spec)
            url = spec.output.destination
            if url is not None:
                take_destination(url, opened.job.identity(), resume=True)
            return opened.job.count, self._completed(opened)

        count, complete = await self._watched(task, begin)
        if complete is not None:
            await self._finish(task, complete)
        else:
            shards = shards_of((0, count), spec.output.shard_size)
            await self._task_store.open_window(task, (0, count), 0, shards)

    async def _shard(self, task: GenerationTask, order: Order) -> None:
        size = order.spec.output.shard_size
        covers = shard_of(order.window, size, order.window_shard, task.number)
        made = 0

        def add(more: int) -> None:
            nonlocal made
            made += more

        def make() -> tuple[ShardIndex, bool]:
            opened = self._open_jobs.open(task, order.spec)
            index = existing_shard(opened.folder, covers)
            if index is not None:
                return index, True
            with metrics.SHARD_SECONDS.time():
                return opened.shard_maker.publish(covers, opened.folder, add), False

        index, was_there = await self._watched(task, make, lambda: made)
        metrics.SHARDS.labels("found" if was_there else "made").inc()
        if not was_there:
            metrics.COMPOSITES.labels("kept").inc(index.kept)
            metrics.COMPOSITES.labels("dropped").inc(len(covers) - index.kept)
        await self._task_store.complete(
            task,
            composites=len(covers),
            kept=index.kept,
            found=len(covers) if was_there else 0,
            dropped=index.dropped,
            unreadable=index.unreadable,
        )

    async def _advance(self, task: GenerationTask, order: Order) -> None:
        def collect() -> Progress | tuple[Progress, int, tuple[int, int] | None]:
            opened = self._open_jobs.open(task, order.spec)
            return self._completed(opened) or _collected(opened, order.window)

        found = await self._watched(task, collect)
        if isinstance(found, Progress):  # somebody else got so far, and was lost
            await self._finish(task, found)
            return
        progress, shards, window = found
        if window is not None:
            more = shards_of(window, order.spec.output.shard_size)
            await self._task_store.open_window(task, window, shards, shards + more)
            return
        if not await self._task_store.assemble(task):
            return

        def assemble() -> Progress:
            opened = self._open_jobs.open(task, order.spec)
            with locked(opened.folder):
                progress.unreadable |= conclude(opened.job, opened.folder, shards).unreadable
            return self._uploaded(opened, progress)

        await self._finish(task, await self._watched(task, assemble))

    async def _finish(self, task: GenerationTask, made: Progress) -> None:
        await self._task_store.finish(
            task,
            composites=made.made,
            kept=made.kept,
            dropped=made.dropped,
            unreadable=made.unreadable,
        )
        await self._close(task)

    async def _close(self, task: GenerationTask) -> None:
        """What this worker holds of the task's job is not needed any more, or not soon."""
        await self._in_thread(lambda: self._open_jobs.close_all_of(task.job_id))

    def _completed(self, opened: OpenJob) -> Progress | None:
        """What a set that is complete already comes to, once uploaded; None if it is not."""
        if not is_complete(opened.folder):
            return None
        remove_shards(opened.folder)
        return self._uploaded(opened, count_complete(opened.folder))

    def _uploaded(self, opened: OpenJob, made: Progress) -> Progress:
        """Bring a complete data set to where the spec wants it, too."""
        halt, url = self._halt, opened.job.spec.output.destination
        if url is not None:
            upload(opened.folder, url, report=lambda _: halt.check())
        return made

    async def _watched(
        self, task: GenerationTask, step: Callable[[], T], made: Callable[[], int] | None = None
    ) -> T:
        """Run a step in the thread; it is halted when its job no longer wants it.

        `made` tells how many composites of its shard are made so far.
        """
        if self._stopping:
            raise Halted
        self._halt = halt = Halt()
        watching = Background()
        watching.start("watch", lambda: self._watch(task, halt, made))
        try:
            return await self._in_thread(step)
        finally:
            halt.set()  # if this wait was given up, the step must end, too
            await watching.close()

    async def _watch(
        self, task: GenerationTask, halt: Halt, made: Callable[[], int] | None
    ) -> None:
        next_report = time.monotonic() + REPORT_SECONDS
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                wanted = await self._task_store.is_current(task)
                if wanted and made is not None and time.monotonic() >= next_report:
                    next_report = time.monotonic() + REPORT_SECONDS
                    wanted = await self._task_store.report(task, made())
                if not wanted:
                    halt.set()
            except REDIS_ERRORS:
                pass  # it is looked at again
            except Exception:
                _log.exception("job %s: whether it is wanted was not to be seen", task.job_id)

    async def _in_thread(self, step: Callable[[], T]) -> T:
        return await self._thread.run(lambda: self._nicely(step))

    def _nicely(self, step: Callable[[], T]) -> T:
        if not self._is_nice:  # threads that it starts inherit it
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
            self._is_nice = True
        return step()

    async def _leave_to_fitting_workers(self, task: GenerationTask, found: OtherNetworks) -> None:
        workers = await self._task_store.workers()
        # A worker with a judge makes jobs that ask none, too.
        fitting = (found.recipe, f"{found.recipe}, ")
        if any(
            worker.ready and (worker.recipe == fitting[0] or worker.recipe.startswith(fitting[1]))
            for worker in workers
        ):
            raise LeaveToOthers(f"the job was begun with {found.recipe}, here is {self.recipe}")
        await self._task_store.fail(
            task,
            "wrong-networks",
            f"the job was begun with {found.recipe}, and no live worker has these (one has "
            f"{self.recipe}): start such a worker and resume, or delete the job and submit it anew",
        )

    async def _fail(self, task: GenerationTask, error: Exception) -> None:
        """Let the job fail, unless this task is stale or the device is to blame.

        What nobody foresaw is raised again: another worker may do better.
        """
        if await self._task_store.order(task) is None:
            return
        code, message = code_and_message(error, self._storage.data_root)
        if code == JobError.code:
            try:
                await self._device.run(lambda: run_canary(self._predictor))
            except Exception as canary_error:
                broken = DeviceBroken(f"the device failed a bulk batch ({error!r}) and its check")
                raise broken from canary_error
            raise error
        is_expected = isinstance(error, (GenerationError, BadJob, UploadError))
        _log.error(
            "job %s, %s %d: %s", task.job_id, task.step, task.number, message,
            exc_info=None if is_expected else error,
        )  # fmt: skip
        metrics.GENERATION_FAILURES.labels(code).inc()
        await self._task_store.fail(task, code, message)
        await self._close(task)


def _collected(
    opened: OpenJob, window: tuple[int, int]
) -> tuple[Progress, int, tuple[int, int] | None]:
    """What the shards up to the end of `window` come to, how many there are, and what is to be made
    after them.
    """
    job, size = opened.job, opened.job.spec.output.shard_size
    progress, shards = Progress(planned=window[1], made=window[1]), 0
    following: tuple[int, int] | None = (0, job.count)
    while following is not None and following[0] <= window[0]:
        for covers in cut(following, size, shards):
            index = read_index(shard_folder(opened.folder, covers.number))
            if index is None or index.range != covers:
                raise GenerationError(
                    f"shard {covers.number} is gone from the data root; resume the job to make it "
                    "anew"
                )
            progress.add(index)
        shards += shards_of(following, size)
        following = job.next_window(following, progress.kept)
    return progress, shards, following
