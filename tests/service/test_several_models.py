"""Which model does what a request asks for, and what is said where none does."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from typing import Any

import httpx
import pytest

from dgnet.service.settings import ServiceSettings
from tests.service.fake_job_store import FakeJobStore
from tests.service.fakes import MODEL, READY_WORKER, FakeJobs, png
from tests.service.problem import assert_problem

SWAP = {"appearance": png(), "structure": png()}
OLD, NEW, OTHER = "0" * 12, "e" * 12, "f" * 12
SIZES = {OLD: 16, NEW: 16, OTHER: 24}


def worker(model_id: str, version: str, *, ready: bool = True) -> Any:
    model = replace(MODEL, model_id=model_id, model_version=version, height=SIZES[version])
    return replace(READY_WORKER, worker_id=f"{version}{ready}", ready=ready, model=model)


@pytest.fixture
def fleet(jobs: FakeJobs) -> FakeJobs:
    """Two workers of the old version, one of the new; one of another model, at another size."""
    jobs.live_workers = [
        worker("person", OLD),
        worker("person", OLD),
        worker("person", NEW),
        worker("other", OTHER),
    ]
    return jobs


@pytest.mark.parametrize(
    ("wanted", "version"),
    [(None, OLD), ("person", OLD), (OLD, OLD), (NEW, NEW), ("other", OTHER), (OTHER, OTHER)],
)
async def test_id_or_version_choose_and_the_majority_decides(
    http: httpx.AsyncClient, fleet: FakeJobs, wanted: str | None, version: str
) -> None:
    query = {} if wanted is None else {"model": wanted}
    pair, two = list(SWAP.items()), [("pictures", png()), ("pairs", (None, "[[0, 0]]"))]
    walk = [*pair, ("appearance", png())]
    data = {"model": wanted, "input": ["data:image/png;base64," + _base64(png())]}
    answers = [
        await http.post("/v1/swaps", params=query, files=SWAP),
        await http.post("/v1/swaps/grid", params=query, files=pair),
        await http.post("/v1/swaps/batch", params=query, files=two),
        await http.post("/v1/swaps/interpolation", params=query, files=walk),
        await http.post("/v1/embeddings", params=query, files=[("files", png())]),
        await http.post("/v1/embeddings", json=data),
    ]
    assert [answer.status_code for answer in answers] == [200] * 6
    assert fleet.models == [version] * 6
    sent = [_heights(job) for job in fleet.queued]
    assert sent == [SIZES[version]] * 6  # pictures have the size of that very model


def _heights(job: Any) -> int:
    for name in ("appearance_image", "appearance_images", "images"):
        if hasattr(job, name):
            return getattr(job, name).shape[-3]
    raise AssertionError(job)


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


@pytest.mark.parametrize("path", ["/v1/swaps", "/v1/swaps/grid", "/v1/embeddings"])
async def test_an_unknown_model_is_told_with_those_that_are_served(
    http: httpx.AsyncClient, fleet: FakeJobs, path: str
) -> None:
    response = await http.post(path, params={"model": "nobody"}, files=SWAP)
    assert_problem(response, 404, "unknown-model")
    for words in ("'nobody'", "'person'", OLD, NEW, "'other'", OTHER):
        assert words in response.json()["detail"]
    assert not fleet.queued


async def test_a_model_that_is_not_ready_yet_is_a_503(
    http: httpx.AsyncClient, fleet: FakeJobs
) -> None:
    fleet.live_workers[-1] = worker("other", OTHER, ready=False)
    response = await http.post("/v1/swaps", params={"model": "other"}, files=SWAP)
    assert_problem(response, 503, "no-worker")
    assert "no ready worker now" in response.json()["detail"]


async def test_a_form_part_called_model_is_not_passed_over(
    http: httpx.AsyncClient, fleet: FakeJobs
) -> None:
    response = await http.post("/v1/swaps", files=[*SWAP.items(), ("model", (None, "other"))])
    assert_problem(response, 422, "invalid-request")
    assert "?model=" in response.json()["detail"]


async def _default(http: httpx.AsyncClient) -> list[str]:
    data = (await http.get("/v1/models")).json()["data"]
    return [one["version"] for one in data if one["default"]]


async def test_the_list_says_which_is_the_default(http: httpx.AsyncClient, fleet: FakeJobs) -> None:
    assert await _default(http) == [OLD]
    assert len((await http.get("/v1/models")).json()["data"]) == 3
    fleet.live_workers += [worker("person", NEW)] * 2
    assert await _default(http) == [NEW]


class TestNamedDefault:
    @pytest.fixture
    def settings(self) -> ServiceSettings:
        return ServiceSettings(default_model="other")

    async def test_the_setting_decides(self, http: httpx.AsyncClient, fleet: FakeJobs) -> None:
        assert await _default(http) == [OTHER]
        assert (await http.post("/v1/swaps", files=SWAP)).status_code == 200
        assert fleet.models == [OTHER]

    async def test_while_nobody_serves_it_others_have_to_be_named(
        self, http: httpx.AsyncClient, fleet: FakeJobs
    ) -> None:
        del fleet.live_workers[-1]
        response = await http.post("/v1/swaps", files=SWAP)
        assert_problem(response, 503, "no-worker")
        assert "default model 'other'" in response.json()["detail"]
        assert await _default(http) == []
        named = await http.post("/v1/swaps", params={"model": NEW}, files=SWAP)
        assert named.status_code == 200
        assert (await http.get("/readyz")).status_code == 200  # others are served


async def test_a_generation_job_is_for_the_model_of_its_submission(
    http: httpx.AsyncClient, fleet: FakeJobs, job_store: FakeJobStore, settings: ServiceSettings
) -> None:
    (job_store.storage.data_root / "market").mkdir(parents=True)
    spec = {"source": {"folder": "market"}, "count": 8}
    for query, version in (({}, OLD), ({"model": "other"}, OTHER), ({"model": NEW}, NEW)):
        answer = await http.post("/v1/jobs", params=query, json=spec)
        assert answer.status_code == 202, answer.text
        assert answer.json()["model_version"] == version
    response = await http.post("/v1/jobs", params={"model": "nobody"}, json=spec)
    assert_problem(response, 404, "unknown-model")
    fleet.live_workers = []
    answer = await http.post("/v1/jobs", json=spec)  # whoever begins it decides
    assert answer.json()["model_version"] is None
