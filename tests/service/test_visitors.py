"""Who may come in: own names, own pages, programs, keys; everybody else is told why not."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr, ValidationError

from dgnet.jobs.storage import StorageSettings
from dgnet.service.app import create_app
from dgnet.service.settings import ServiceSettings
from tests.service.fake_job_store import FakeJobStore
from tests.service.fakes import FakeJobs, png
from tests.service.problem import assert_problem

SWAP_FORM = {"appearance": png(), "structure": png()}
OPEN = ("/livez", "/readyz", "/metrics")
CHANGES = [
    ("POST", "/v1/swaps"), ("POST", "/v1/embeddings"), ("POST", "/v1/datasets"),
    ("DELETE", "/v1/datasets/ds_1"), ("POST", "/v1/jobs"), ("POST", "/v1/jobs/gen_1/cancel"),
    ("POST", "/v1/jobs/gen_1/resume"), ("DELETE", "/v1/jobs/gen_1"), ("POST", "/invented"),
]  # fmt: skip
COSTS = [("GET", "/v1/jobs/gen_1/events"), ("GET", "/v1/jobs/gen_1/archive"), ("HEAD", "/v1/jobs")]


@pytest.fixture
def settings() -> ServiceSettings:
    return ServiceSettings(allowed_hosts=("gpu-box", "*.lab.example"))


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LOCALHOST:8000", "localhost.", "dgnet.localhost", "127.0.0.1:8000",
        "127.9.9.9", "192.168.1.7:8000", "[::1]:8000", "[2001:db8::1]", "gpu-box", "GPU-Box:80",
        "a.lab.example", "a.b.lab.example.:8000",
    ],
)  # fmt: skip
async def test_own_names_are_answered(http: httpx.AsyncClient, host: str) -> None:
    response = await http.get("/v1/models", headers={"Host": host})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example",
        "127.1", "2130706433", "0x7f000001", "lab.example", "evil-lab.example", "gpu-box.evil",
        "xlocalhost", "127.0.0.1.", "dgnet",
    ],
)  # fmt: skip
async def test_other_names_are_misdirected(http: httpx.AsyncClient, host: str) -> None:
    for path in ("/", "/openapi.json", "/v1/jobs", "/static/page.js"):
        response = await http.get(path, headers={"Host": host})
        if host == "127.0.0.1." and response.status_code == 200:
            continue  # an address all the same
        assert_problem(response, 421, "misdirected")
    response = await http.post("/v1/swaps", files=SWAP_FORM, headers={"Host": host})
    assert response.status_code in (200, 421)
    assert response.status_code == 421 or host == "127.0.0.1."
    for path in OPEN:
        assert (await http.get(path, headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("host", ["", "a b", "user@localhost", "http://localhost", "[::1", "a/b"])
async def test_what_is_no_name_is_a_bad_request(http: httpx.AsyncClient, host: str) -> None:
    assert_problem(await http.get("/v1/jobs", headers={"Host": host}), 400, "bad-request")


async def test_two_names_are_a_bad_request(http: httpx.AsyncClient) -> None:
    headers = [(b"Host", b"127.0.0.1"), (b"Host", b"127.0.0.1")]
    for path in ("/v1/jobs", "/livez"):
        assert_problem(await http.get(path, headers=headers), 400, "bad-request")


async def test_keys_open_all_names(jobs: FakeJobs) -> None:
    app = create_app(ServiceSettings(api_keys=(SecretStr("key"),)), jobs)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://evil.example") as http:
        headers = {"Authorization": "Bearer key"}
        assert (await http.get("/v1/models", headers=headers)).status_code == 200
        assert_problem(await http.get("/v1/models"), 401, "unauthorized")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:3000"},
        {"Origin": "http://evil.example"},
        {"Origin": "https://127.0.0.1.evil.example"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://[::1"},
        {"Origin": "file://"},
    ],
)
@pytest.mark.parametrize(("method", "path"), CHANGES + COSTS)
async def test_pages_of_others_change_and_cost_nothing(
    http: httpx.AsyncClient, jobs: FakeJobs, job_store: FakeJobStore, method: str, path: str,
    headers: dict[str, str],
) -> None:  # fmt: skip
    response = await http.request(method, path, headers=headers)
    assert response.status_code == 403
    if method != "HEAD":
        assert_problem(response, 403, "cross-site")
    assert (jobs.queued, job_store.jobs) == ([], {})


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://127.0.0.1:80"},
        {"Origin": "https://127.0.0.1"},  # a proxy ends TLS
        {"Origin": "http://gpu-box:9000"},  # a proxy that asks under another name than it has
    ],
)
async def test_the_own_page_and_programs_may(
    http: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    assert (await http.post("/v1/swaps", files=SWAP_FORM, headers=headers)).status_code == 200


ORIGINS = {
    "absent": None,
    "own": "http://127.0.0.1",
    "own, other port": "http://127.0.0.1:3000",
    "an address": "http://10.1.2.3:8000",
    "allowed": "https://gpu-box:9000",
    "foreign": "http://evil.example",
    "null": "null",
    "junk": "http://[::1",
}
# Which of these may, by what the browser says of the page: both have to be ours.
MAY = {
    None: {"absent", "own", "allowed"},
    "same-origin": {"absent", "own", "own, other port", "an address", "allowed"},
    "none": {"absent", "own", "own, other port", "an address", "allowed"},
    "same-site": {"own", "allowed"},
    "cross-site": set[str](),
    "junk": set[str](),
}


@pytest.mark.parametrize("site", MAY)
@pytest.mark.parametrize("origin", ORIGINS)
async def test_site_and_origin_both_have_to_be_ours(
    http: httpx.AsyncClient, site: str | None, origin: str
) -> None:
    named = {"Sec-Fetch-Site": site, "Origin": ORIGINS[origin]}
    headers = {name: value for name, value in named.items() if value is not None}
    response = await http.post("/v1/swaps", files=SWAP_FORM, headers=headers)
    assert response.status_code == (200 if origin in MAY[site] else 403), response.text


async def test_a_rebound_name_behind_a_proxy_that_puts_its_own_host_changes_nothing(
    http: httpx.AsyncClient,
) -> None:
    headers = {
        "Host": "127.0.0.1:8000",
        "Origin": "http://evil.example",
        "Sec-Fetch-Site": "same-origin",
    }
    for method, path in CHANGES:
        assert_problem(await http.request(method, path, headers=headers), 403, "cross-site")


async def test_with_keys_a_proxy_may_put_its_own_host(jobs: FakeJobs) -> None:
    """A rebound page has no key; the browser's word is enough, under any public name."""
    app = create_app(ServiceSettings(api_keys=(SecretStr("key"),)), jobs)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
        own = {
            "Authorization": "Bearer key",
            "Origin": "https://dgnet.example",
            "Sec-Fetch-Site": "same-origin",
        }
        assert (await http.post("/v1/swaps", files=SWAP_FORM, headers=own)).status_code == 200
        other = {**own, "Sec-Fetch-Site": "cross-site"}
        refused = await http.post("/v1/swaps", files=SWAP_FORM, headers=other)
        assert_problem(refused, 403, "cross-site")


async def test_links_from_elsewhere_lead_here(http: httpx.AsyncClient) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    for path in ("/", "/openapi.json", "/v1/models", "/livez"):
        assert (await http.get(path, headers=link)).status_code == 200
    form = await http.post("/v1/swaps", files=SWAP_FORM, headers=link)
    assert_problem(form, 403, "cross-site")


async def test_any_name_can_be_allowed(jobs: FakeJobs) -> None:
    app = create_app(ServiceSettings(allowed_hosts=("*",)), jobs)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://any.example") as http:
        assert (await http.get("/v1/models")).status_code == 200
        headers = {"Origin": "http://evil.example"}
        refused = await http.post("/v1/swaps", files=SWAP_FORM, headers=headers)
        assert_problem(refused, 403, "cross-site")


@pytest.mark.parametrize("keys", [",", " ", " , ", ",,", "\t", "\n,"])
def test_separators_alone_are_no_keys_and_stop_the_start(
    keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DGNET_API_KEYS", keys)
    with pytest.raises(ValidationError, match="separators or blanks alone"):
        ServiceSettings()


def test_empty_or_unset_keys_ask_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGNET_API_KEYS", "")
    monkeypatch.setenv("DGNET_ALLOWED_HOSTS", "")
    assert ServiceSettings().api_keys == ServiceSettings().allowed_hosts == ()


@pytest.mark.parametrize("name", ["http://a", "a:80", "a/b", "*a", "a.*", "[::1]"])
def test_what_is_no_name_is_not_allowed(name: str) -> None:
    with pytest.raises(ValidationError, match="without scheme and port"):
        ServiceSettings(allowed_hosts=(name,))


class TestHead:
    @pytest.mark.parametrize(
        "path",
        ["/", "/livez", "/readyz", "/metrics", "/openapi.json", "/v1/jobs", "/v1/models",
         "/v1/models/tiny", "/v1/models/none", "/v1/datasets", "/v1/datasets/ds_1", "/v1/swaps",
         "/static/page.js", "/nowhere", "/v1/jobs/JOB", "/v1/jobs/JOB/archive",
         "/v1/jobs/JOB/manifest", "/v1/jobs/JOB/preview", "/v1/jobs/JOB/files/card.md"],
    )  # fmt: skip
    async def test_head_is_get_without_a_body(
        self, http: httpx.AsyncClient, job_store: FakeJobStore, storage: StorageSettings, path: str
    ) -> None:
        (storage.data_root / "market").mkdir(parents=True)
        spec = {"source": {"folder": "market"}, "count": 4}
        job = (await http.post("/v1/jobs", json=spec)).json()["id"]
        await job_store.finish(job)
        path = path.replace("JOB", job)
        request_id = {"X-Request-Id": "same"}
        got = await http.get(path, headers=request_id)
        head = await http.head(path, headers=request_id)
        assert (head.status_code, head.content) == (got.status_code, b"")
        if path not in ("/metrics", "/nowhere", "/v1/swaps"):
            assert dict(head.headers) == dict(got.headers)

    async def test_head_of_events_does_not_wait_for_them(
        self,
        http: httpx.AsyncClient,
        app: FastAPI,
        job_store: FakeJobStore,
        storage: StorageSettings,
    ) -> None:
        (storage.data_root / "market").mkdir(parents=True)
        spec = {"source": {"folder": "market"}, "count": 4}
        job = (await http.post("/v1/jobs", json=spec)).json()["id"]
        response = await http.head(f"/v1/jobs/{job}/events", timeout=5)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")

    async def test_heads_are_counted_by_their_route(self, http: httpx.AsyncClient) -> None:
        await http.head("/v1/models/tiny")
        text = (await http.get("/metrics")).text
        assert 'method="HEAD",route="/v1/models/{model_id}",status="200"} 1.0' in text
