"""Generation jobs as one worker has them open: the parts that several tasks of a job share.

A job's listing, plan and codes cost more than many a shard, so the last jobs stay open for a while,
their codes within one bound of memory. Each is checked against what the job's folder says when it
is opened; one whose networks are not those of this worker is refused. Synchronous: everything runs
in the worker's bulk thread.
"""

from __future__ import annotations

import json
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from dgnet.generation.job import Job, networks_identity
from dgnet.generation.local_run import is_complete, require_libraries
from dgnet.generation.making.kept_codes import CodeMemory
from dgnet.generation.making.shard_maker import ShardMaker
from dgnet.generation.making.stages import StageClock
from dgnet.generation.output.folder import MADE_BY, take_folder
from dgnet.generation.output.publication import locked
from dgnet.generation.output.shards import open_shards
from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.jobs import GenerationTask
from dgnet.jobs.generation.manifest import JOB_FILE
from dgnet.jobs.generation.records import located
from dgnet.jobs.generation.spec import GenerationSpec
from dgnet.jobs.storage import StorageSettings, is_folder, job_folder, refuse_links_out
from dgnet.model.checkpoints import Checkpoint
from dgnet.model.judge.judge import Judge
from dgnet.model.predictor import Predictor
from dgnet.worker.bulk_turns import BulkTurns, JudgeInTurn
from dgnet.worker.device import DeviceThread

OPEN_JOBS = 2
IDLE_SECONDS = 60.0

CPU_BATCH = 2
CUDA_BATCH = 32
MOST_THREADS = 8


class OtherNetworks(Exception):
    """The job was begun with networks, or on a kind of device, that are not this worker's."""

    def __init__(self, recipe: str) -> None:
        super().__init__(recipe)
        self.recipe = recipe


@dataclass(kw_only=True)
class OpenJob:
    """One job, ready to make shards in its folder."""

    job: Job
    shard_maker: ShardMaker
    folder: Path
    used: float = 0.0


class OpenJobs:
    """The open jobs of one worker."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        predictor: Predictor,
        storage: StorageSettings,
        *,
        device: DeviceThread,
        batch: int | None,
        threads: int | None,
        codes_mib: int | None,
        before_each_call: Callable[[], None],
        judge: Judge | None = None,
    ) -> None:
        self._checkpoint = checkpoint
        in_turn = BulkTurns(device, predictor.device, before_each_call)
        self._predictor = predictor.taking_turns(in_turn)
        self._judge = judge and JudgeInTurn(judge, in_turn)
        self._storage = storage
        self._batch = batch or default_batch(predictor)
        self._threads = threads or default_threads()
        self._memory = CodeMemory.on(predictor.device, codes_mib)
        self._networks = networks_identity(checkpoint, predictor, self._batch)
        self._open: OrderedDict[tuple[str, str], OpenJob] = OrderedDict()

    @property
    def recipe(self) -> str:
        """What this worker adds to the identity of its jobs, in words."""
        return _recipe({**self._networks, "judge": self._judge and self._judge.version})

    def begin(self, task: GenerationTask, spec: GenerationSpec) -> OpenJob:
        """Open a job and take its folder for it, or check that the folder is its own."""
        self.close_all_of(task.job_id)
        # Here alone: whoever comes late makes no folder of a job again.
        self._folder(task).mkdir(parents=True, exist_ok=True)
        opened = self._prepare(task, spec)
        with locked(opened.folder):
            take_folder(opened.folder, opened.job.identity(), resume=True)
            if not is_complete(opened.folder):
                open_shards(opened.folder)
        return self._keep(task, opened)

    def open(self, task: GenerationTask, spec: GenerationSpec) -> OpenJob:
        """A job that was begun."""
        opened = self._open.get((task.job_id, task.epoch))
        if opened is None:
            if not (self._folder(task) / JOB_FILE).exists():
                raise GenerationError(
                    "what was made of this job is gone from the data root; resume the job to make "
                    "it anew"
                )
            opened = self._prepare(task, spec)
            take_folder(opened.folder, opened.job.identity(), resume=True)
        return self._keep(task, opened)

    def close_idle(self) -> None:
        """Close what was not used for a while."""
        latest = time.monotonic() - IDLE_SECONDS
        for key in [key for key, opened in self._open.items() if opened.used < latest]:
            self._open.pop(key).shard_maker.close()

    def close_all_of(self, job_id: str) -> None:
        """Close a job, of whatever epoch."""
        for key in [key for key in self._open if key[0] == job_id]:
            self._open.pop(key).shard_maker.close()

    def _folder(self, task: GenerationTask) -> Path:
        return job_folder(self._storage.data_root, task.job_id)

    def _prepare(self, task: GenerationTask, spec: GenerationSpec) -> OpenJob:
        require_libraries()
        folder = self._folder(task)
        begun_with = _networks_of(folder)
        judge = self._judge.version if self._judge and spec.needs_judge else None
        here = {**self._networks, "judge": judge}
        if begun_with is not None and begun_with != {name: here[name] for name in begun_with}:
            raise OtherNetworks(_recipe(begun_with))
        local = located(spec, self._storage)
        assert local.source.folder is not None
        if is_folder(local.source.folder):
            try:
                refuse_links_out(self._storage.data_root, local.source.folder)
            except ValueError as error:
                raise GenerationError(f"the source cannot be used: {error}") from error
        job = Job.of(local, self._checkpoint, self._predictor, batch=self._batch, judge=self._judge)
        _ = job.count  # raises where there are not as many pairs
        shard_maker = ShardMaker.prepared(
            job, threads=self._threads, clock=StageClock(), memory=self._memory
        )
        return OpenJob(job=job, shard_maker=shard_maker, folder=folder)

    def _keep(self, task: GenerationTask, opened: OpenJob) -> OpenJob:
        opened.used = time.monotonic()
        self._open[task.job_id, task.epoch] = opened
        self._open.move_to_end((task.job_id, task.epoch))
        while len(self._open) > OPEN_JOBS:
            self._open.popitem(last=False)[1].shard_maker.close()
        return opened


def default_batch(predictor: Predictor) -> int:
    """So many rows that a batch takes less time than one small request alone: a request that comes
    while one is on the device is then served within twice its time (benchmarks/fairness.py).
    """
    return CUDA_BATCH if predictor.device.type == "cuda" else CPU_BATCH


def default_threads() -> int:
    return min(MOST_THREADS, max(1, len(os.sched_getaffinity(0)) // 2))


def _networks_of(folder: Path) -> dict[str, Any] | None:
    """What the job in a folder was begun with; None where there is none yet."""
    try:
        identity = cast("dict[str, Any]", json.loads((folder / JOB_FILE).read_text("utf-8")))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise GenerationError(f"{JOB_FILE} of the job is damaged; delete the job") from error
    names = ("checkpoint_sha256", "device", "precision", "batch", "judge")
    made_by = {MADE_BY: identity[MADE_BY]} if MADE_BY in identity else {}
    return {**{name: identity.get(name) for name in names}, **made_by}


def _recipe(networks: dict[str, Any]) -> str:
    """Such as `checkpoint 0123456789ab, cpu, float32, batch 4, CPU AVX512, torch 2.15.0, Pillow
    13.0.0`, and `, judge 0123456789ab`.
    """
    made_by = networks.get(MADE_BY)
    words = [
        f"checkpoint {str(networks['checkpoint_sha256'])[:12]}",
        *(str(networks[name]) for name in ("device", "precision")),
        f"batch {networks['batch']}",
    ]
    if made_by:
        words += [made_by["device"], f"torch {made_by['torch']}", f"Pillow {made_by['pillow']}"]
    if networks["judge"]:
        words.append(f"judge {networks['judge']}")
    return ", ".join(words)
