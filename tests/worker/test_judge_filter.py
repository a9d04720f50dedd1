"""Composites are dropped by a judge that had no part in making them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dgnet.arrays import Embeddings, Pixels
from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.job_store import JobStore
from dgnet.jobs.storage import StorageSettings
from dgnet.model.checkpoints import Checkpoint
from dgnet.model.predictor import Predictor
from tests.generation.jobs import PERSONS, contents, job_of, manifest, run
from tests.model.tiny import write_people
from tests.worker.bulk import bulk_worker, ended, files_of, spec_of
from tests.worker.harness import Connect, queue_settings, until
from tests.worker.test_tasks import Gate

Networks = tuple[Checkpoint, Predictor]
SETTINGS = queue_settings()
ASKING: dict[str, Any] = {"keep": {"minimum_judge_similarity": -1}}


class ColorJudge:
    """Embeds the mean color."""

    name, version = "colors", "0123456789ab"
    height, width = 8, 4

    def embed(self, images: Pixels) -> Embeddings:
        colors = images.mean(axis=(1, 2), dtype=np.float64) - 127.5
        return (colors / np.linalg.norm(colors, axis=1, keepdims=True)).astype(np.float32)


def test_the_judge_decides_what_is_kept(people: Path, networks: Networks, tmp_path: Path) -> None:
    asking = replace(job_of(people, networks, **ASKING), judge=ColorJudge())
    run(asking, tmp_path / "all")
    rows = manifest(tmp_path / "all")
    scores = [row["scores"]["judge_similarity"] for row in rows]
    # By hand: the composite as written is JPEG, so near and not equal.
    judge = ColorJudge()
    for row in rows[:5]:
        pictures = (tmp_path / "all" / row["file"], people / row["appearance_path"])
        made, worn = (
            judge.embed(np.asarray(Image.open(path).convert("RGB"))[None]) for path in pictures
        )
        assert row["scores"]["judge_similarity"] == pytest.approx(float(made[0] @ worn[0]), abs=0.1)
    middle = sorted(scores)[15]
    keep = {"minimum_judge_similarity": middle}
    done = run(replace(job_of(people, networks, keep=keep), judge=judge), tmp_path / "half")
    assert [row["kept"] for row in manifest(tmp_path / "half")] == [s >= middle for s in scores]
    assert done.dropped == {"low_judge_similarity": 30 - done.kept}


def test_both_embeddings_are_asked_in_one_job(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    both = {"minimum_judge_similarity": -1, "minimum_identity_consistency": -1}
    run(replace(job_of(people, networks, keep=both), judge=ColorJudge()), tmp_path / "both")
    run(replace(job_of(people, networks, **ASKING), judge=ColorJudge()), tmp_path / "one")
    for one, two in zip(manifest(tmp_path / "one"), manifest(tmp_path / "both"), strict=True):
        assert two["scores"].keys() == {"judge_similarity", "identity_consistency"}
        assert one["scores"]["judge_similarity"] == two["scores"]["judge_similarity"]


def test_without_a_judge_the_filter_is_refused_by_name(
    people: Path, networks: Networks, tmp_path: Path
) -> None:
    with pytest.raises(GenerationError, match=r"minimum_judge_similarity needs a judge.*--judge"):
        run(job_of(people, networks, **ASKING), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_judge_is_part_of_a_job_that_asks_it_alone(people: Path, networks: Networks) -> None:
    asking, not_asking = job_of(people, networks, **ASKING), job_of(people, networks)
    assert replace(asking, judge=ColorJudge()).identity()["judge"] == "0123456789ab"
    # As it was before there were judges: an older job is carried on.
    assert replace(not_asking, judge=ColorJudge()).identity() == not_asking.identity()
    assert "minimum_judge_similarity" not in json.dumps(not_asking.identity())


async def test_a_worker_asks_its_own_judge_and_without_one_the_job_fails(
    connect: Connect, networks: Networks, tmp_path: Path
) -> None:
    people = write_people(tmp_path / "data" / "people", persons=PERSONS)
    storage = StorageSettings(data_root=tmp_path / "data")
    job_store = JobStore(connect(), SETTINGS, storage)
    async with bulk_worker(connect(), networks, SETTINGS, storage):
        job, _ = await job_store.submit(spec_of(**ASKING))
        refused = await ended(job_store, job.job_id)
    assert refused.state == "failed"
    assert "minimum_judge_similarity needs a judge" in str(refused.error_message)
    judge = ColorJudge()
    async with bulk_worker(connect(), networks, SETTINGS, storage, judge):
        job, _ = await job_store.submit(spec_of(**ASKING))
        done = await ended(job_store, job.job_id)
    assert (done.state, done.error_message) == ("done", None)
    run(replace(job_of(people, networks, **ASKING), judge=judge), tmp_path / "here")
    assert files_of(storage, job.job_id) == contents(tmp_path / "here")


async def test_a_job_is_made_with_the_judge_that_it_was_begun_with(
    connect: Connect, networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_people(tmp_path / "data" / "people", persons=PERSONS)
    storage = StorageSettings(data_root=tmp_path / "data")
    job_store = JobStore(connect(), SETTINGS, storage)
    with monkeypatch.context() as patch:
        gate = Gate(patch)
        async with bulk_worker(connect(), networks, SETTINGS, storage, ColorJudge()) as worker:
            job, _ = await job_store.submit(spec_of(**ASKING))
            await until(lambda: gate.calls == 1)
            worker.stop()
            gate.open()
    other = ColorJudge()
    other.version = "ba9876543210"
    async with bulk_worker(connect(), networks, SETTINGS, storage, other):
        failed = await ended(job_store, job.job_id)
    assert (failed.state, failed.error_code) == ("failed", "wrong-networks")
    assert "judge 0123456789ab, and no live worker has these" in str(failed.error_message)
    assert "judge ba9876543210)" in str(failed.error_message)
    await job_store.resume(job.job_id)
    async with bulk_worker(connect(), networks, SETTINGS, storage, ColorJudge()):
        assert (await ended(job_store, job.job_id)).state == "done"
