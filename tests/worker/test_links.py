"""Neither the check of a data set nor a generation job follows a link out of the data root."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from dgnet.jobs.contract import DatasetCheckJob
from dgnet.jobs.embedded import embedded_redis
from dgnet.jobs.errors import BadJob
from dgnet.jobs.generation.job_store import JobStore
from dgnet.jobs.storage import StorageSettings
from dgnet.worker.bulk import Halt
from dgnet.worker.dataset_check import checked
from tests.worker.bulk import Networks, bulk_worker, ended, spec_of
from tests.worker.harness import queue_settings

OUTSIDE = "0001_c1s1_000001_00.jpg"


@pytest.fixture
def storage(tmp_path: Path) -> StorageSettings:
    """A set of one real picture and one that a link has from outside."""
    outside = tmp_path / "outside"
    train = tmp_path / "data" / "market" / "bounding_box_train"
    train.mkdir(parents=True)
    outside.mkdir()
    Image.new("RGB", (8, 16)).save(outside / OUTSIDE)
    Image.new("RGB", (8, 16)).save(train / "0002_c1s1_000001_00.jpg")
    (train / OUTSIDE).symlink_to(outside / OUTSIDE)
    return StorageSettings(data_root=tmp_path / "data")


def test_a_check_refuses_the_set(storage: StorageSettings) -> None:
    job = DatasetCheckJob(folder="market", layout=None, pattern=None)
    with pytest.raises(
        BadJob, match=rf"market/bounding_box_train/{OUTSIDE}.* leads out of"
    ) as told:
        checked(job, storage.data_root, Halt())
    assert str(storage.data_root) not in str(told.value)
    (storage.data_root / "market" / "bounding_box_train" / OUTSIDE).unlink()
    assert checked(job, storage.data_root, Halt()).report["layout"] == "market1501"


async def test_a_job_refuses_its_source(storage: StorageSettings, networks: Networks) -> None:
    redis = embedded_redis()
    job_store = JobStore(redis, queue_settings(), storage)
    async with bulk_worker(redis, networks, queue_settings(), storage):
        job, _ = await job_store.submit(spec_of("market", count=1))
        job = await ended(job_store, job.job_id)
    assert (job.state, job.error_code) == ("failed", "bad-job")
    assert "leads out of the data root" in (job.error_message or "")
    assert str(storage.data_root) not in (job.error_message or "")
