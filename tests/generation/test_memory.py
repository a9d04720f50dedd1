"""What a job holds in memory does not depend on how many composites it makes."""

from __future__ import annotations

import gc
import io
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from dgnet.generation.making import shard_maker
from dgnet.generation.making.naming import Names
from dgnet.generation.making.shard_maker import ShardMaker
from dgnet.generation.output.assembly import read_manifest
from dgnet.generation.output.shards import (
    PICTURES_FOLDER,
    ShardIndex,
    ShardRange,
    shard_folder,
    write_shard,
)
from dgnet.generation.upload.uploading import upload
from dgnet.jobs.generation.manifest import Row, Written
from dgnet.model.checkpoints import Checkpoint
from dgnet.model.predictor import Predictor
from tests.generation.jobs import job_of, run
from tests.model.tiny import write_people

FEW, MANY = 512, 4096
ALLOWED_BLOCKS = (MANY - FEW) // 2
"""Whoever kept a name for each composite would hold one more for each, whoever kept rows thirty."""


@pytest.fixture
def out(
    networks: tuple[Checkpoint, Predictor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], Path]:
    """Makes so many composites into a new folder; all are the same picture, for speed."""
    people = write_people(tmp_path / "people", persons=40)
    data = io.BytesIO()
    Image.new("RGB", (16, 32)).save(data, "JPEG")

    def make(
        self: ShardMaker, covers: ShardRange, directory: Path, progress: Callable[[int], None]
    ) -> Future[ShardIndex]:
        folder = shard_folder(directory, covers.number)
        (folder / PICTURES_FOLDER / "bounding_box_train").mkdir(parents=True)
        rows: list[Row] = []
        for position in range(covers.first, covers.last):
            name = names.path(1, 1, position)
            (folder / PICTURES_FOLDER / name).write_bytes(data.getvalue())
            rows.append(
                Row(
                    position=position, appearance=listing.origin(0), structure=listing.origin(5),
                    written=Written(name, f"{position:064x}", len(data.getvalue())),
                    labels={}, scores={}, dropped=None,
                )
            )  # fmt: skip
        progress(len(covers))
        published: Future[ShardIndex] = Future()
        published.set_result(write_shard(folder, covers, rows, {}, {}))
        return published

    monkeypatch.setattr(shard_maker.ShardMaker, "make", make)
    example = job_of(people, networks)
    listing = example.listing
    names = Names(example.spec.output, listing.persons, listing.names)

    def made(count: int) -> Path:
        folder = tmp_path / f"{count}"
        run(job_of(people, networks, count=count, output={"shard_size": 128}), folder)
        return folder

    return made


def most_blocks(work: Callable[[], object]) -> int:
    """The most pieces of memory that Python held meanwhile, beyond those that it held before.

    Bytes would not tell: the interpreter's table of interned strings, which pathlib fills with the
    parts of every path, is megabytes large and made anew at any time. What other tests left counts
    for nothing: the more there is, the later cycles of objects are looked for.
    """
    gc.collect()
    gc.freeze()
    before = most = sys.getallocatedblocks()
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.001):
            most = max(most, sys.getallocatedblocks())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        work()
    finally:
        done.set()
        watching.join()
        gc.unfreeze()
    return most - before


def test_making_a_set_takes_as_much_memory_for_many_composites_as_for_few(
    out: Callable[[int], Path],
) -> None:
    out(FEW - 1)  # whatever is imported and kept once
    few, many = (most_blocks(partial(out, count)) for count in (FEW, MANY))
    assert many - few < ALLOWED_BLOCKS


def test_uploading_a_set_takes_as_much_memory_for_many_files_as_for_few(
    out: Callable[[int], Path], tmp_path: Path
) -> None:
    folders = [out(FEW - 1), out(FEW), out(MANY)]
    for _ in ("sent", "found there"):
        _, few, many = (
            most_blocks(partial(upload, folder, f"file://{tmp_path}/there/{folder.name}"))
            for folder in folders
        )
        assert many - few < ALLOWED_BLOCKS
    assert sum(1 for _ in read_manifest(tmp_path / "there" / f"{MANY}")) == MANY
