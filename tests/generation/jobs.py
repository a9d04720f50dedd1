"""Jobs on tiny networks, and what a folder holds."""

from __future__ import annotations

import hashlib
import importlib
import json
from pathlib import Path
from typing import Any

import torch

from dgnet.generation.job import Job
from dgnet.generation.local_run import Progress, run_job
from dgnet.jobs.generation.spec import merged, spec_from
from dgnet.model.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from dgnet.model.dgnet import DGNet
from dgnet.model.predictor import Predictor
from dgnet.model.teacher import Teacher
from tests.model.tiny import tiny_network

Row = dict[str, Any]

PERSONS = 5
BATCH = 4


def save_tiny_checkpoint(folder: Path) -> Path:
    """Untrained networks, discriminator and teacher included."""
    torch.manual_seed(1904)  # pyright: ignore[reportUnknownMemberType]
    network = tiny_network(identities=PERSONS)
    save_checkpoint(folder, DGNet(network), teacher=Teacher(network))
    return folder


def load(folder: Path) -> tuple[Checkpoint, Predictor]:
    checkpoint = load_checkpoint(folder)
    return checkpoint, Predictor(checkpoint, device="cpu", precision="fp32", max_batch=BATCH)


def job_of(people: Path, networks: tuple[Checkpoint, Predictor], **spec: Any) -> Job:
    """A job of 30 composites in shards of 8 unless told otherwise."""
    values: Row = {"source": {"folder": str(people)}, "count": 30, "output": {"shard_size": 8}}
    return Job.of(spec_from(merged(values, spec)), *networks)


def run(job: Job, directory: Path, *, resume: bool = False) -> Progress:
    return run_job(job, directory, resume=resume, threads=2, report=lambda progress: None)


def manifest(directory: Path) -> list[Row]:
    return [json.loads(line) for line in (directory / "manifest.jsonl").read_text().splitlines()]


def table(directory: Path) -> list[Row]:
    """The manifest as Parquet."""
    parquet: Any = importlib.import_module("pyarrow.parquet")
    return parquet.read_table(directory / "manifest.parquet").to_pylist()


def contents(directory: Path) -> dict[str, str]:
    """sha256 of every file by its path."""
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def noted(folder: Path) -> list[str]:
    """Files that an upload from this folder has noted as arrived."""
    logs = (path.read_text() for path in folder.glob(".delivered-*.jsonl"))
    lines = (line for log in logs for line in log.splitlines(keepends=True))
    return [json.loads(line)[0] for line in lines if line.endswith("\n")]
