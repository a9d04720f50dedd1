"""A job encodes each picture once in each role, and that changes no byte of what it makes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from dgnet import memory
from dgnet.generation.local_run import Progress, run_job
from dgnet.generation.making import shard_maker
from dgnet.generation.making.kept_codes import FREE_SHARE, CodeMemory
from dgnet.generation.making.stages import CodeCounts
from dgnet.generation.output.assembly import read_manifest
from dgnet.generation.output.shards import shard_folder
from dgnet.jobs.generation.errors import GenerationError
from dgnet.memory import free_memory_bytes
from dgnet.model.checkpoints import Checkpoint
from dgnet.model.predictor import Predictor
from dgnet.samples import SAMPLE_PEOPLE
from tests.generation.jobs import contents, job_of, run

Networks = tuple[Checkpoint, Predictor]


def test_each_picture_is_encoded_once_a_job(networks: Networks, tmp_path: Path) -> None:
    made = job_of(SAMPLE_PEOPLE, networks, count=300, output={"shard_size": 30})
    done = {
        mib: run_job(
            made, tmp_path / f"{mib}", threads=2, codes_mib=mib, report=lambda progress: None
        )
        for mib in (0, None)
    }
    assert contents(tmp_path / "None") == contents(tmp_path / "0")
    rows = list(read_manifest(tmp_path / "0"))
    shards = [rows[first : first + 30] for first in range(0, 300, 30)]
    for role in ("appearance", "structure"):
        distinct = len({getattr(row, role).path for row in rows})
        by_shards = sum(len({getattr(row, role).path for row in shard}) for shard in shards)
        assert by_shards > distinct
        assert done[0].codes[role] == CodeCounts(encoded=by_shards)
        assert done[None].codes[role] == CodeCounts(
            encoded=distinct, from_earlier_shards=by_shards - distinct
        )


def test_a_broken_picture_is_told_by_every_shard_that_needed_it(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    broken = sorted(people.iterdir())[3]
    broken.write_bytes(broken.read_bytes()[:40])
    made = job_of(people, networks)
    for mib in (0, None):
        done = run_job(
            made, tmp_path / f"{mib}", threads=2, codes_mib=mib, report=lambda progress: None
        )
        assert set(done.unreadable) == {broken.name}
        assert " at 0x" not in done.unreadable[broken.name]  # the card would never be the same
        assert sum(done.dropped.values()) > 1
    assert contents(tmp_path / "None") == contents(tmp_path / "0")


def test_a_shard_is_published_while_the_next_one_is_made(
    people: Path, networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    next_is_made = threading.Event()
    write_shard, seen = shard_maker.write_shard, list[bool]()

    def slow(*arguments: Any) -> Any:
        if not seen:  # of the first shard
            seen.append(next_is_made.wait(timeout=60))
        return write_shard(*arguments)

    def report(progress: Progress) -> None:
        if progress.made > 8:
            next_is_made.set()

    monkeypatch.setattr(shard_maker, "write_shard", slow)
    run_job(job_of(people, networks), tmp_path / "out", threads=2, report=report)
    assert seen == [True]
    run(job_of(people, networks), tmp_path / "undisturbed")
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


def test_an_interrupted_job_keeps_the_shard_that_was_being_published(
    people: Path, networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted = threading.Event()
    write_shard = shard_maker.write_shard

    def slow(*arguments: Any) -> Any:
        assert interrupted.wait(timeout=60)
        return write_shard(*arguments)

    def report(progress: Progress) -> None:
        if progress.made > 8:
            interrupted.set()
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(shard_maker, "write_shard", slow)
        with pytest.raises(KeyboardInterrupt):
            run_job(job_of(people, networks), out, threads=2, report=report)
    assert [path.name for path in (out / "shards").iterdir()] == [shard_folder(out, 0).name]
    assert run(job_of(people, networks), out, resume=True).made_before == 8
    run(job_of(people, networks), tmp_path / "undisturbed")
    assert contents(out) == contents(tmp_path / "undisturbed")


def test_a_shard_that_cannot_be_published_ends_the_job_within_the_next(
    people: Path, networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()

    def no_room(*arguments: Any) -> Any:
        failed.set()
        raise GenerationError("no room")

    made: list[int] = []

    def report(progress: Progress) -> None:
        made.append(progress.made)
        if progress.made > 8:
            assert failed.wait(timeout=60)

    monkeypatch.setattr(shard_maker, "write_shard", no_room)
    with pytest.raises(GenerationError, match="no room"):
        run_job(job_of(people, networks), tmp_path / "out", threads=2, report=report)
    assert max(made) <= 16
    assert list((tmp_path / "out" / "shards").iterdir()) == []


def test_memory_for_codes_is_a_share_of_what_a_container_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = tmp_path / "meminfo"
    facts.write_text("MemTotal:  9000 kB\nMemAvailable:  8000 kB\nHugePages_Total:  0\n")
    monkeypatch.setattr(memory, "MEMORY_FACTS", facts)
    monkeypatch.setattr(memory, "CONTROL_GROUP", tmp_path)
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("100000\n")
    assert free_memory_bytes() == 8000 * 1024
    (tmp_path / "memory.max").write_text("4000000\n")
    (tmp_path / "memory.stat").write_text("anon 50000\ninactive_file 20000\n")
    assert free_memory_bytes() == 4000000 - 100000 + 20000
    share = CodeMemory.on(torch.device("cpu"))
    assert share.take(10**9, 1) == int(FREE_SHARE * 3920000)
    assert CodeMemory.on(torch.device("cpu"), 3).take(10**9, 1024) == 3072
