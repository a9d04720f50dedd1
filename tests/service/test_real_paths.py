"""A folder has many names: what is asked of it is asked of its real path."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from dgnet.jobs.storage import StorageSettings, refuse_links_out
from tests.service.archives import PEOPLE, zip_of
from tests.service.fake_job_store import FakeJobStore
from tests.service.problem import assert_problem

ZIP = {"Content-Type": "application/zip"}


@pytest.mark.parametrize(
    "named",
    [
        "datasets/ID",
        "datasets//ID",
        "./datasets/ID",
        "datasets/./ID/",
        "datasets/ID/bounding_box_train/..",
        "datasets/ID/bounding_box_train",
        "datasets/../datasets/ID",
        "link",
        "around/ID",
    ],
)
async def test_a_data_set_that_a_job_names_otherwise_is_in_use(
    http: httpx.AsyncClient, storage: StorageSettings, job_store: FakeJobStore, named: str
) -> None:
    dataset = (await http.post("/v1/datasets", content=zip_of(PEOPLE), headers=ZIP)).json()["id"]
    other = (await http.post("/v1/datasets", content=zip_of(PEOPLE), headers=ZIP)).json()["id"]
    (storage.data_root / "link").symlink_to(storage.data_root / "datasets" / dataset)
    (storage.data_root / "around").symlink_to("datasets")
    spec = {"source": {"folder": named.replace("ID", dataset)}, "count": 4}
    response = await http.post("/v1/jobs", json=spec)
    assert response.status_code == 202, response.text
    job = response.json()["id"]
    assert_problem(await http.delete(f"/v1/datasets/{dataset}"), 409, "dataset-in-use")
    assert (await http.delete(f"/v1/datasets/{other}")).status_code == 204
    await job_store.finish(job)
    assert (await http.delete(f"/v1/datasets/{dataset}")).status_code == 204


@pytest.mark.parametrize("target", ["/etc", "/etc/passwd", "../outside", "../../x.jpg", "/"])
@pytest.mark.parametrize("place", ["a.jpg", "query/a.jpg", "deep/er/a"])
def test_a_link_that_leads_out_is_found(target: str, place: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    link = root / "market" / place
    link.parent.mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    link.symlink_to(target if target.startswith("/") else tmp_path / target.replace("../", ""))
    with pytest.raises(ValueError, match=f"market/{place}.* leads out of the data root") as told:
        refuse_links_out(root, root / "market")
    assert str(tmp_path) not in str(told.value)


def test_a_link_behind_a_link_is_found(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for name in ("market", "other/deep"):
        (root / name).mkdir(parents=True)
    (root / "market" / "train").symlink_to(root / "other")
    (root / "other" / "deep" / "a.jpg").symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match=r"other/deep/a\.jpg"):
        refuse_links_out(root, root / "market")


def test_links_that_stay_below_the_root_are_let_be(tmp_path: Path) -> None:
    real = tmp_path / "volume"
    (real / "market" / "train").mkdir(parents=True)
    (real / "pool").mkdir()
    (real / "pool" / "a.jpg").touch()
    root = tmp_path / "data"
    root.symlink_to(real)
    (real / "market" / "train" / "a.jpg").symlink_to(real / "pool" / "a.jpg")
    (real / "market" / "train" / "b.jpg").symlink_to("../../pool/a.jpg")
    (real / "market" / "round").symlink_to(real / "market")  # a circle
    (real / "market" / "nowhere").symlink_to(real / "gone")
    refuse_links_out(root, root / "market")
