"""The page in a real browser: data sets, the form of a job, jobs on their way, what they made."""

from __future__ import annotations

import asyncio
import json
import shutil
import tarfile
from collections.abc import AsyncIterator, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from pydantic import SecretStr

from dgnet.jobs.contract import DatasetCheckJob, DatasetCheckResult, Result
from dgnet.jobs.errors import QueueUnavailable
from dgnet.jobs.generation.jobs import GenerationJob, JobEvent
from dgnet.jobs.generation.spec import GenerationSpec, spec_from
from dgnet.jobs.storage import StorageSettings, job_folder
from dgnet.service.app import create_app
from dgnet.service.settings import ServiceSettings
from tests.generation.jobs import PERSONS, save_tiny_checkpoint
from tests.model.tiny import write_people
from tests.processes import service, wait_until_ready
from tests.service.archives import zip_of
from tests.service.axe import violations
from tests.service.browser import Browser
from tests.service.composites import row, write_set
from tests.service.fake_job_store import EPOCH, FILES, FakeJobStore, job_id
from tests.service.fakes import FakeJobs, encode, gradient
from tests.service.server import serving

SPEC = spec_from({"source": {"folder": "market"}, "count": 100})
COUNTS = {"pictures": 12, "people": 4, "cameras": 3, "junk": 0, "distractors": 0}
NOTHING = dict.fromkeys(COUNTS, 0)
REPORT: dict[str, Any] = {
    "root": "market",
    "layout": "market1501",
    "splits": {"train": COUNTS, "query": NOTHING, "gallery": COUNTS, "multi_query": NOTHING},
    "total": {**COUNTS, "pictures": 24, "junk": 2},
    "width": {"min": 64, "median": 64, "max": 64},
    "height": {"min": 128, "median": 130, "max": 140},
    "counts": {"error": 0, "warning": 2, "note": 0},
    "findings": [
        {"rule": "duplicate-file", "severity": "warning", "subject": name, "message": "keep one"}
        for name in ("a.jpg", "b.jpg")
    ],
}
# What a page does that comes to the front again.
LOOK_AGAIN = "document.dispatchEvent(new Event('visibilitychange'));"


class Checker(FakeJobs):
    """Its only jobs are checks of data sets; they say what `dgnet data check` would."""

    report = REPORT

    def finish(self, job_id: str) -> Result:
        super().finish(job_id)
        result = DatasetCheckResult(report=self.report)
        self.statuses[job_id] = replace(self.statuses[job_id], result=result)
        return result


@pytest.fixture
def jobs() -> FakeJobs:
    return Checker()


class Page:
    """The page of a front end whose jobs are moved on by hand."""

    def __init__(self, browser: Browser, url: str, job_store: FakeJobStore) -> None:
        self.browser = browser
        self.url = url
        self.job_store = job_store
        browser.open(url)

    def happens(self, **event: Any) -> None:
        """To a job, the first one if not told otherwise, in the loop that serves its events."""
        httpx.post(f"{self.url}/happens", json=event).raise_for_status()

    def register(self, folder: str) -> None:
        """By the form; the data set is then the chosen one."""
        self.browser.run("document.getElementById('register').parentElement.open = true;")
        self.browser.type("#folder", folder)
        self.browser.click("#register button")
        self.browser.until_text("#upload-status", f"Added: {folder}")

    def fill(self, selector: str, text: str) -> None:
        """In place of what is there, wherever it is."""
        find = f"const field = document.querySelector({selector!r});"
        self.browser.run(
            f"{find} for (let at = field; at; at = at.parentElement.closest('details'))"
            "   at.open = true;"
            "field.value = '';"
        )
        self.browser.type(selector, text)

    def choose(self, selector: str, value: str) -> None:
        self.browser.click(f"{selector} option[value={value}]")

    def value(self, script: str) -> Any:
        return self.browser.run(f"return {script};")


def happens_to(job_store: FakeJobStore) -> Any:
    """A route by which a test moves a job on, or takes the queue away."""

    async def happens(request: Request) -> None:
        event = await request.json()
        if "error" in event:
            job_store.error = QueueUnavailable(event["error"]) if event["error"] else None
            async with job_store.changed:
                job_store.changed.notify_all()
        elif event.pop("finish", False):
            await job_store.finish(job_id(0))
        else:
            await job_store.change(job_id(event.pop("job", 0)), **event)

    return happens


@pytest.fixture
def market(storage: StorageSettings) -> None:
    (storage.data_root / "market").mkdir(parents=True)


@pytest.fixture
def page(browser: Browser, app: FastAPI, job_store: FakeJobStore, market: None) -> Generator[Page]:
    app.add_api_route("/happens", happens_to(job_store), methods=["POST"])
    with serving(app) as url:
        yield Page(browser, url, job_store)
        browser.open("about:blank")


def submit(job_store: FakeJobStore, spec: GenerationSpec = SPEC) -> str:
    """Before a page follows it: from another loop than the server's."""
    return asyncio.run(job_store.submit(spec))[0].job_id


def recorded(
    job_store: FakeJobStore, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[str, str | None]]:
    """Grows by the job, and the event to go on after, of each stream of events from now on."""
    asked_for: list[tuple[str, str | None]] = []
    events = job_store.events

    def recording(job_id: str, *, after: str | None = None) -> AsyncIterator[Sequence[JobEvent]]:
        asked_for.append((job_id, after))
        return events(job_id, after=after)

    monkeypatch.setattr(job_store, "events", recording)
    return asked_for


def card_text(page: Page, part: str) -> str:
    text: str = page.value(f"document.querySelector('#jobs [data-part={part}]').innerText")
    return text


def shows(page: Page, part: str, text: str) -> None:
    page.browser.until_text(f"#jobs [data-part={part}]", text)


class TestDataSets:
    def test_a_registered_folder_shows_its_check(self, page: Page) -> None:
        page.browser.until_text("#dataset", "None yet")
        page.register("market")
        page.browser.until_text("#report", "read as market1501; 128 to 140 x 64 pixels")
        rows = page.value(
            "[...document.querySelectorAll('#report tr')].map((row) => row.innerText.trim())"
        )
        assert [row.split() for row in rows] == [
            ["split", "pictures", "people", "cameras", "junk"],
            ["train", "12", "4", "3", "0"],
            ["gallery", "12", "4", "3", "0"],
            ["all", "24", "4", "3", "2"],
        ]
        page.browser.click("#report summary")
        page.browser.until_text("#report", "warning duplicate file (2)")
        page.browser.until_text("#report", "b.jpg keep one")

    def test_only_what_the_data_set_has_can_be_chosen(self, page: Page, jobs: FakeJobs) -> None:
        assert isinstance(jobs, Checker)
        strangers = {**COUNTS, "cameras": 0}
        jobs.report = {
            **REPORT,
            "splits": {"train": NOTHING, "query": COUNTS, "gallery": strangers},
        }
        page.register("market")
        page.browser.until_text("#split", "query (4 people)")
        chosen = "document.getElementById('split').value"
        options = "#split option:disabled, #pairing option:disabled"
        disabled = f"[...document.querySelectorAll('{options}')].map((o) => o.value)"
        assert page.value(chosen) == "query"
        assert page.value(disabled) == ["train", "multi_query"]
        page.choose("#pairing", "cross_camera")
        page.choose("#split", "gallery")
        assert page.value(disabled) == ["train", "multi_query", "same_camera", "cross_camera"]
        assert page.value("document.getElementById('pairing').value") == "cross_identity"

    def test_a_check_that_takes_long_is_waited_for(self, page: Page, jobs: FakeJobs) -> None:
        jobs.too_slow = True
        page.register("market")
        page.browser.until_text("#report", "A worker is checking the pictures")
        jobs.finish("job-1")
        page.browser.until_text("#report", "read as market1501")

    def test_one_click_brings_the_sample_people(self, page: Page, jobs: FakeJobs) -> None:
        page.browser.click("#use-samples")
        page.browser.until_text("#upload-status", "Added: Sample people.")
        assert page.browser.run("return document.getElementById('use-samples').hidden;")
        (check,) = jobs.queued
        assert isinstance(check, DatasetCheckJob)
        folder = page.job_store.storage.data_root / check.folder
        assert len(list((folder / "query").iterdir())) == 57

    def test_what_is_no_archive_is_told(self, page: Page, tmp_path: Path) -> None:
        (tmp_path / "notes.zip").write_text("no archive")
        page.browser.type("#archive", str(tmp_path / "notes.zip"))
        page.browser.until_text("#archive-hint", "notes.zip, 10 B")
        page.browser.click("#send")
        page.browser.until_text("#dataset-problem", "Not an archive in an accepted format")
        # What was chosen is still there, to try again.
        assert not page.value("document.getElementById('send').disabled")

    def test_an_upload_is_stopped(self, page: Page, tmp_path: Path) -> None:
        (tmp_path / "large.zip").write_bytes(bytes(4_000_000))
        page.browser.type("#archive", str(tmp_path / "large.zip"))
        page.browser.devtools("Network.enable")
        slow = {"offline": False, "latency": 0, "downloadThroughput": -1}
        page.browser.devtools("Network.emulateNetworkConditions", **slow, uploadThroughput=100_000)
        try:
            page.browser.click("#send")
            page.browser.until_text("#upload-status", "Uploading")
            page.browser.click("#stop-upload")
            page.browser.until_text("#dataset-problem", "The upload was stopped; nothing was kept.")
        finally:
            page.browser.devtools("Network.emulateNetworkConditions", **slow, uploadThroughput=-1)

    def test_a_folder_that_is_not_there_is_told(self, page: Page) -> None:
        page.browser.run("document.getElementById('register').parentElement.open = true;")
        page.browser.type("#folder", "gone")
        page.browser.click("#register button")
        page.browser.until_text("#dataset-problem", "no folder below")

    def test_a_data_set_is_deleted_only_if_no_job_needs_it(self, page: Page) -> None:
        page.register("market")
        page.browser.click("#submit")
        shows(page, "title", "1,000 composites from market")
        page.browser.click("#delete-dataset")
        page.browser.click("#confirm-yes")
        page.browser.until_text("#dataset-problem", "A job uses the data set")
        page.happens(state="done")
        page.browser.click("#delete-dataset")
        page.browser.click("#confirm-yes")
        page.browser.until_text("#dataset", "None yet")


class TestForm:
    def test_the_defaults_make_a_job(self, page: Page) -> None:
        page.register("market")
        page.browser.click("#submit")
        shows(page, "title", "1,000 composites from market")
        shows(page, "state", "Waiting for a worker")
        assert (
            page.job_store.jobs[job_id(0)].spec
            == spec_from({"source": {"folder": "market"}, "count": 1000}).to_json()
        )

    def test_every_field_has_its_place_in_the_spec(self, page: Page) -> None:
        wanted: dict[str, Any] = {
            "source": {"folder": "market", "split": "gallery"},
            "per_identity": 7,
            "pairing": "cross_camera",
            "scene": "generate",
            "seed": 9007199254740991,
            "labels": ["structure", "uniform", "two_labels", {"teacher_top_k": 3}],
            "keep": {
                "minimum_identity_consistency": -0.25,
                "minimum_teacher_confidence": 0.5,
                "minimum_realism_percentile": 12.5,
                "near_duplicates": 4,
            },
            "top_up": 11,
            "output": {
                "layout": "webdataset",
                "picture_format": "webp",
                "quality": 80,
                "size": "256x128",
                "shard_size": 64,
                "destination": "s3://bucket/sets/one",
            },
        }
        page.register("market")
        page.browser.until_text("#split", "gallery (4 people)")
        for selector, value in (
            ("#unit", "per_identity"), ("#split", "gallery"), ("#pairing", "cross_camera"),
            ("#job-scene", "generate"), ("#output-layout", "webdataset"),
            ("#picture-format", "webp"),
        ):  # fmt: skip
            page.choose(selector, value)
        for label in ("appearance", "uniform", "two_labels", "teacher_top_k"):
            page.browser.click(f"[name=label][value={label}]")
        for selector, text in (
            ("#amount", "7"), ("#seed", "9007199254740991"), ("[name=top_k]", "3"),
            ("#consistency", "-0.25"), ("#confidence", "0.5"), ("#realism", "12.5"),
            ("#duplicates", "4"), ("#top-up", "11"), ("#quality", "80"), ("#size", "256x128"),
            ("#shard-size", "64"), ("#destination", "s3://bucket/sets/one"),
        ):  # fmt: skip
            page.fill(selector, text)
        page.browser.click("#submit")
        shows(page, "title", "7 composites a person from market")
        assert page.job_store.jobs[job_id(0)].spec == spec_from(wanted).to_json()

    def test_what_the_api_refuses_is_told_at_the_field(self, page: Page) -> None:
        page.register("market")
        page.fill("#size", "12x300")
        page.fill("#consistency", "2")
        page.browser.run(
            "for (const d of document.querySelectorAll('#job details')) d.open = false;"
        )
        page.browser.click("#submit")
        page.browser.until_text("[data-field='output.size']", "must be at least 16 (got 12)")
        page.browser.until_text(
            "[data-field='keep.minimum_identity_consistency']", "must be at most 1 (got 2"
        )
        page.browser.until_text("#job-problem", "see the marked fields")
        assert page.value("document.activeElement.id") == "consistency"
        assert page.job_store.jobs == {}
        page.fill("#size", "")
        page.fill("#consistency", "")
        page.browser.click("#submit")
        shows(page, "state", "Waiting for a worker")
        told = "document.querySelectorAll('#job .field-problem, #job [aria-invalid=true]')"
        assert page.value(f"[...{told}].filter((one) => one.checkVisibility()).length") == 0
        assert page.browser.text("#job-problem") == ""

    def test_what_belongs_to_no_field_is_told_at_the_form(self, page: Page) -> None:
        page.register("market")
        page.fill("#destination", "s3://elsewhere/sets")
        page.browser.click("#submit")
        page.browser.until_text("#job-problem", "The server does not write to this destination")

    def test_a_second_try_after_no_answer_gives_the_same_job(
        self, page: Page, job_store: FakeJobStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        submit = job_store.submit
        keys: list[str | None] = []

        async def losing_the_first_answer(
            spec: GenerationSpec, *, idempotency_key: str | None = None, **options: Any
        ) -> tuple[GenerationJob, bool]:
            keys.append(idempotency_key)
            taken = await submit(spec, idempotency_key=idempotency_key, **options)
            if len(keys) == 1:
                raise QueueUnavailable("the answer was lost")
            return taken

        monkeypatch.setattr(job_store, "submit", losing_the_first_answer)
        page.register("market")
        page.browser.click("#submit")
        page.browser.until_text("#job-problem", "the answer was lost")
        page.browser.click("#submit")
        page.browser.until_text("#job-status", "Submitted")
        assert list(job_store.jobs) == [job_id(0)]
        page.browser.click("#submit")
        page.browser.until(lambda: len(job_store.jobs) == 2)
        assert keys[0] == keys[1] != keys[2]

    def test_pairs_and_size_are_told_before_anything_is_sent(
        self, page: Page, jobs: FakeJobs
    ) -> None:
        assert isinstance(jobs, Checker)
        pairs = {"all": 108, "fewest_of_a_person": 27}
        jobs.report = {**REPORT, "pairs": {"train": {"cross_identity": pairs}}}
        page.register("market")
        page.fill("#amount", "108")
        # 16 x 8 pixels of 0.55 bytes, and 900 of a row: 105 kB.
        page.browser.until_text(
            "#estimate", "108 possible pairs (train); 108 composites, about 100 kB"
        )
        page.fill("#amount", "99999999")
        page.browser.until_text(
            "#amount-problem", "There are only 108 such pairs: ask for at most 108"
        )
        page.browser.click("#submit")
        assert page.value("document.activeElement.id") == "amount"
        assert page.job_store.jobs == {}
        page.choose("#unit", "per_identity")
        page.fill("#amount", "28")
        page.browser.until_text(
            "#amount-problem", "only 27 such pairs of the person with the fewest"
        )
        page.choose("#pairing", "full_grid")
        page.browser.until_text("#amount-problem", "allow no such pairs")
        page.choose("#pairing", "cross_identity")
        page.fill("#amount", "27")
        page.browser.until_text("#estimate", "108 composites")  # of 4 persons
        page.browser.click("#submit")
        shows(page, "state", "Waiting for a worker")

    def test_a_job_is_edited_and_run_again(self, page: Page) -> None:
        spec: dict[str, Any] = {
            "name": "The first",
            "source": {"folder": "market", "split": "gallery"},
            "per_identity": 7,
            "pairing": "cross_camera",
            "seed": 5,
            "labels": ["uniform", {"teacher_top_k": 3}],
            "keep": {"minimum_identity_consistency": 0.25},
            "output": {"picture_format": "webp", "quality": 80, "size": "256x128"},
        }
        page.register("market")
        page.browser.until_text("#split", "gallery (4 people)")
        httpx.post(f"{page.url}/v1/jobs", json=spec).raise_for_status()
        page.browser.run(LOOK_AGAIN)
        shows(page, "title", "The first")
        page.browser.click("#jobs [data-part=again]")
        page.browser.until_text("#job-status", "The form has the job's spec")
        page.fill("#job-name", "The second")
        page.browser.click("#submit")
        page.browser.until(lambda: len(page.job_store.jobs) == 2)
        changed = {**spec, "name": "The second"}
        assert page.job_store.jobs[job_id(1)].spec == spec_from(changed).to_json()


class TestComposites:
    @pytest.fixture
    def page(self, browser: Browser, app: FastAPI, job_store: FakeJobStore) -> Generator[Page]:
        root = job_store.storage.data_root
        for number, spec in enumerate((SPEC, {**SPEC.to_json(), "name": "Others"})):
            job = submit(job_store, spec_from(spec) if isinstance(spec, dict) else spec)
            write_set(job_folder(root, job))
            asyncio.run(job_store.change(job_id(number), state="done", made=6, planned=6))
        (root / "market").mkdir()
        for name in ("appearance_path", "structure_path"):
            (root / "market" / row(1)[name]).write_bytes(encode(gradient(8, 16), "JPEG"))
        (job_folder(root, job_id(1)) / row(1)["file"]).write_bytes(encode(gradient(8, 16), "JPEG"))
        with serving(app) as url:
            page = Page(browser, url, job_store)
            shows(page, "title", "Others")
            browser.click("#jobs [data-part=browse] summary")
            shows(page, "found", "6 of 6 shown")
            yield page
            browser.open("about:blank")

    def tiles(self, page: Page) -> list[str]:
        """Appearance and structure of each."""
        return page.value(
            "[...document.querySelectorAll('#jobs .tile .caption')]"
            ".map((caption) => caption.innerText.split('\\n')[0])"
        )

    def choose(self, page: Page, name: str, value: str) -> None:
        page.browser.click(f"#jobs [name={name}] option[value='{value}']")

    def test_composites_are_filtered_and_sorted(self, page: Page) -> None:
        assert self.tiles(page) == ["1 on 2", "1 on 3", "2 on 1", "2 on 3", "3 on 1", "3 on 2"]
        self.choose(page, "fate", "dropped=low_identity_consistency")
        shows(page, "found", "1 of 1 shown")
        assert self.tiles(page) == ["2 on 1"]
        self.choose(page, "fate", "kept=true")
        shows(page, "found", "4 of 4 shown")
        self.choose(page, "sort", "identity_consistency")
        self.choose(page, "order", "desc")
        page.browser.until(lambda: self.tiles(page) == ["1 on 3", "3 on 2", "1 on 2", "2 on 3"])
        page.fill("#jobs [name=person]", "1\ue007")
        shows(page, "found", "2 of 2 shown")
        page.fill("#jobs [name=person]", "\ue007")
        self.choose(page, "score", "identity_consistency")
        page.fill("#jobs [name=minimum]", "0.6\ue007")
        page.browser.until(lambda: self.tiles(page) == ["1 on 3", "3 on 2"])
        self.choose(page, "camera", "1")
        page.browser.until(lambda: self.tiles(page) == ["1 on 3"])

    def test_one_is_opened_with_both_sources_and_its_row(self, page: Page) -> None:
        page.browser.click("#jobs .tiles li:nth-child(2) button")
        page.browser.until_text("#viewer-title", "Composite 1")
        page.browser.until_text("#viewer figure:nth-child(3)", "8 x 16 pixels")
        assert page.value("document.querySelectorAll('#viewer img').length") == 3
        page.browser.run(
            "Object.defineProperty(navigator, 'clipboard', { value:"
            " { writeText: async (text) => { window.copied = text; } } });"
        )
        page.browser.click("#viewer-actions button")
        page.browser.until_text("#viewer-actions button", "Copied")
        assert json.loads(page.value("window.copied")) == row(1)
        assert violations(page.browser) == []
        page.browser.click("#viewer-close")
        page.browser.click("#jobs .tiles li:nth-child(3) button")
        page.browser.until_text("#viewer figure:nth-child(2)", "its picture was not kept")
        page.browser.until_text("#viewer figure:nth-child(3)", "was deleted or changed")
        page.browser.click("#viewer-close")
        assert violations(page.browser) == []

    def test_histograms_of_two_jobs_are_compared(self, page: Page) -> None:
        page.browser.click(f"#compare-second option[value={job_id(0)}]")
        page.browser.click("#compare-form button")
        page.browser.until_text("#histograms", "identity consistency")
        legend = page.value(
            "[...document.querySelectorAll('#histograms figure:first-child .legend')]"
            ".map((line) => line.innerText.trim().replace(/ \\(.*\\)/, ''))"
        )
        # Of 0.5, 0.9, 0.1, 0.5 and 0.7.
        assert legend == [
            "Others: mean 0.54, 4 kept, 1 dropped",
            "100 composites from market: mean 0.54, 4 kept, 1 dropped",
        ]
        bars = "document.querySelectorAll('#histograms figure:first-child rect').length"
        assert page.value(bars) == 80


class TestJobs:
    @pytest.fixture
    def page(
        self, browser: Browser, app: FastAPI, job_store: FakeJobStore, market: None
    ) -> Generator[Page]:
        app.add_api_route("/happens", happens_to(job_store), methods=["POST"])
        submit(job_store)
        with serving(app) as url:
            page = Page(browser, url, job_store)
            shows(page, "title", "100 composites from market")
            browser.until(lambda: bool(app.state.dependencies.bulk.followers))
            yield page
            browser.open("about:blank")

    def test_a_job_is_followed_by_its_events(self, page: Page) -> None:
        page.happens(
            state="running", planned=100, made=40, kept=30, rate=20.0, eta_seconds=200.0,
            dropped={"near_duplicate": 5}, unreadable=1,
        )  # fmt: skip
        shows(page, "state", "Making composites")
        assert card_text(page, "counts") == (
            "40 of 100 made, 30 kept, 5 dropped (near duplicate), 1 unreadable picture, "
            "20 a second, about 3 min left"
        )
        assert page.value("document.querySelector('#jobs progress').value") == 0.4
        page.happens(made=41)
        shows(page, "counts", "41 of 100 made")
        page.happens(
            state="failed", finished=EPOCH, error_code="storage-full", error_message="no room"
        )
        shows(page, "error", "The job failed: no room")
        assert "second" not in card_text(page, "counts")
        page.browser.until_text("#jobs-news", "100 composites from market: Failed")

    def test_events_go_on_after_the_last_one_once_the_queue_is_back(
        self, page: Page, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked_for = recorded(page.job_store, monkeypatch)
        page.happens(state="running", planned=100, made=1)
        shows(page, "counts", "1 of 100 made")
        page.happens(error="Redis is away")
        page.happens(made=2)  # its event, the third, is the last of the stream
        page.browser.until_text("#jobs-problem", "The queue does not answer: Redis is away")
        assert "2 of 100 made" in card_text(page, "counts")
        page.happens(error=None)
        page.browser.until(lambda: asked_for == [(job_id(0), "3-0")])
        page.happens(made=3)
        shows(page, "counts", "3 of 100 made")
        assert page.browser.text("#jobs-problem") == ""

    def test_a_job_is_cancelled_and_carried_on_by_keyboard(
        self, page: Page, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked_for = recorded(page.job_store, monkeypatch)
        page.happens(state="running", planned=100, made=40)
        shows(page, "state", "Making composites")
        page.browser.type("#jobs [data-part=cancel]", "\ue007")  # Enter
        shows(page, "state", "Cancelled")
        # The button is gone, the keyboard's place is not.
        assert page.value("document.activeElement.dataset.part") == "title"
        page.browser.type("#jobs [data-part=resume]", " ")
        shows(page, "state", "Waiting for a worker")
        page.happens(state="running", made=50)
        shows(page, "counts", "50 of 100 made")
        page.happens(state="done", finished=EPOCH)
        shows(page, "state", "Done")
        # Events may tell of the cancellation again, which must not be taken for the end.
        ((_, after),) = asked_for
        assert after in ("2-0", "3-0")
        assert page.value(
            "[...document.querySelectorAll('#jobs .job > .actions button')].map((b) => b.hidden)"
        ) == [True, True, False, False]

    def test_what_cannot_be_done_is_told_at_the_job(self, page: Page) -> None:
        # Somebody else finishes it between the look at the page and the click.
        page.browser.run(
            "const button = document.querySelector('#jobs [data-part=cancel]');"
            "window.cancel = () => { button.hidden = false; button.click(); };"
        )
        page.happens(state="done", finished=EPOCH)
        shows(page, "state", "Done")
        page.browser.run("window.cancel();")
        shows(page, "refusal", "The job's state does not allow this")

    def test_deleting_is_asked_about(self, page: Page) -> None:
        page.happens(state="running", planned=100, made=40)
        shows(page, "state", "Making composites")
        page.browser.click("#jobs [data-part=delete]")
        page.browser.until_text(
            "#confirm", "Delete the job “100 composites from market” and all that it made?"
        )
        page.browser.type("#confirm-no", "\ue00c")  # Escape
        page.browser.click("#jobs [data-part=delete]")
        page.browser.click("#confirm-no")
        assert list(page.job_store.jobs) == [job_id(0)]
        page.browser.click("#jobs [data-part=delete]")
        page.browser.click("#confirm-yes")
        page.browser.until_text("#no-jobs", "No job yet.")
        assert page.job_store.jobs == {}
        assert page.value("document.activeElement.id") == "jobs-title"

    def test_jobs_that_others_submit_or_delete_come_and_go(self, page: Page) -> None:
        httpx.post(f"{page.url}/v1/jobs", json={**SPEC.to_json(), "count": 7}).raise_for_status()
        page.browser.run(LOOK_AGAIN)
        shows(page, "title", "7 composites from market")
        for number in (0, 1):
            httpx.delete(f"{page.url}/v1/jobs/{job_id(number)}").raise_for_status()
        page.browser.run(LOOK_AGAIN)
        page.browser.until_text("#no-jobs", "No job yet.")

    def test_of_many_jobs_two_are_followed_and_the_newest_are_listed(
        self, page: Page, job_store: FakeJobStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        page.browser.open("about:blank")
        for _ in range(24):
            submit(job_store)
        followed = recorded(job_store, monkeypatch)
        page.browser.open(page.url)
        page.browser.until(lambda: len(followed) == 2)
        assert sorted(followed) == [(job_id(23), None), (job_id(24), None)]
        page.happens(job=24, state="done", finished=EPOCH)
        page.browser.until(lambda: len(followed) == 3)
        assert followed[2] == (job_id(22), None)
        cards = "document.querySelectorAll('#jobs > li').length"
        assert page.value(cards) == 20
        page.browser.click("#older")
        page.browser.until(lambda: page.value(cards) == 25)
        assert page.value("document.getElementById('older').hidden")


class TestResults:
    @pytest.fixture
    def page(self, browser: Browser, app: FastAPI, job_store: FakeJobStore) -> Generator[Page]:
        asyncio.run(job_store.finish(submit(job_store)))
        with serving(app) as url:
            page = Page(browser, url, job_store)
            shows(page, "state", "Done")
            yield page
            browser.open("about:blank")

    def test_every_file_is_a_link_to_the_api(self, page: Page) -> None:
        page.browser.click("#jobs [data-part=results] summary")
        links: list[str] = page.value(
            "[...document.querySelectorAll('#jobs .downloads a')].map((link) => link.href)"
        )
        fetched = [httpx.get(link) for link in links]
        assert fetched[0].headers["content-type"] == "application/x-tar"
        assert [answer.content for answer in fetched[1:]] == [
            FILES["manifest.parquet"], FILES["manifest.jsonl"], FILES["card.md"]
        ]  # fmt: skip

    def test_files_that_are_gone_are_told(self, page: Page, storage: StorageSettings) -> None:
        shutil.rmtree(storage.data_root / "jobs")
        page.browser.click("#jobs [data-part=results] summary")
        shows(page, "results-problem", "What the job made was removed")

    def test_the_data_card_is_drawn_and_stays_text(
        self, page: Page, storage: StorageSettings
    ) -> None:
        """Names of persons and files come from people who upload archives."""
        (job_folder(storage.data_root, job_id(0)) / "card.md").write_text(
            "---\nlicense: other\n---\n# Composites\n\n"
            "Of **4** people, `a|b`, <img src=x onerror=alert(1)> and "
            "[a link](javascript:alert), [another](https://example.org/).\n\n"
            "| person | composites |\n|---|---:|\n| <b>1</b> | 2 |\n\n- one\n- two\n"
        )
        page.browser.run(
            "for (const name of ['results', 'card'])"
            " document.querySelector(`#jobs [data-part=${name}]`).open = true;"
        )
        shows(page, "card-text", "<img src=x onerror=alert(1)> and a link, another.")
        place = "document.querySelector('#jobs [data-part=card-text]')"
        kinds = f"[...{place}.querySelectorAll('*')].map((one) => one.localName)"
        assert page.value(kinds) == [
            "h5", "p", "b", "code", "a", "div", "table", "thead", "tr", "th", "th",
            "tbody", "tr", "td", "td", "ul", "li", "li",
        ]  # fmt: skip
        assert page.value(f"{place}.querySelector('a').href") == "https://example.org/"
        assert "<b>1</b>" in card_text(page, "card-text")
        assert "license" not in card_text(page, "card-text")

    def test_an_expired_job_has_no_results(self, page: Page) -> None:
        page.job_store.jobs[job_id(0)] = replace(page.job_store.jobs[job_id(0)], state="expired")
        page.browser.run(LOOK_AGAIN)
        shows(page, "counts", "its files were removed")
        assert page.value("document.querySelector('#jobs [data-part=results]').hidden")


def test_with_a_key_jobs_are_followed_and_files_are_fetched(
    browser: Browser,
    jobs: FakeJobs,
    job_store: FakeJobStore,
    storage: StorageSettings,
    tmp_path: Path,
) -> None:
    app = create_app(ServiceSettings(api_keys=(SecretStr("k"),)), jobs, job_store, storage)
    app.add_api_route("/happens", happens_to(job_store), methods=["POST"])
    submit(job_store)
    with serving(app) as url:
        page = Page(browser, url, job_store)
        browser.until_text("#jobs-problem", "asks for an API key")
        browser.type("#key", "k\ue007")
        shows(page, "title", "100 composites from market")
        assert browser.text("#jobs-problem") == ""
        page.happens(state="running", planned=2, made=1)
        shows(page, "counts", "1 of 2 made")
        page.happens(finish=True)
        shows(page, "state", "Done")
        save_downloads(browser, tmp_path)
        browser.click("#jobs .downloads a")
        with downloaded(browser, tmp_path / f"{job_id(0)}.tar") as tar:
            assert set(tar.getnames()) == set(FILES)
        browser.open("about:blank")


def test_a_server_without_a_shared_volume_says_so(
    browser: Browser, jobs: FakeJobs, settings: ServiceSettings
) -> None:
    with serving(create_app(settings, jobs)) as url:
        browser.open(url)
        browser.until_text("#no-generation", "This server makes no data sets in bulk.")
        assert browser.run("return document.getElementById('generation').hidden;")
        browser.open("about:blank")


def test_nothing_is_wider_than_a_telephone(page: Page) -> None:
    page.register("market")
    page.browser.click("#submit")
    shows(page, "state", "Waiting for a worker")
    asyncio.run(page.job_store.finish(job_id(0)))
    page.browser.run(LOOK_AGAIN)
    shows(page, "state", "Done")
    page.browser.run("for (const d of document.querySelectorAll('details')) d.open = true;")
    shows(page, "card-text", "Composites")
    metrics = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    page.browser.devtools("Emulation.setDeviceMetricsOverride", **metrics)
    try:
        assert page.value("document.documentElement.scrollWidth") == page.value(
            "document.documentElement.clientWidth"
        )
    finally:
        page.browser.devtools("Emulation.clearDeviceMetricsOverride")


def save_downloads(browser: Browser, folder: Path) -> None:
    browser.devtools("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))


def downloaded(browser: Browser, path: Path) -> tarfile.TarFile:
    """A tar, when it is complete: until then it has another name."""
    browser.until(path.is_file)
    return tarfile.open(path)


def test_from_an_archive_to_a_data_set_with_a_real_worker(browser: Browser, tmp_path: Path) -> None:
    """Upload, check, submit, follow, look at what was made, fetch it, delete everything."""
    people = write_people(tmp_path / "people", persons=PERSONS)
    archive = tmp_path / "people.zip"
    archive.write_bytes(zip_of({path.name: path.read_bytes() for path in people.iterdir()}))
    checkpoint = save_tiny_checkpoint(tmp_path / "checkpoint")
    settings = {"DGNET_DATA_ROOT": str(tmp_path / "data"), "DGNET_MIN_FREE_BYTES": "0"}
    networks = ["--checkpoint", str(checkpoint), "--device", "cpu", "--precision", "fp32"]
    with service(*networks, settings=settings) as (process, url):
        wait_until_ready(process, url)
        browser.log()
        browser.open(url)
        browser.type("#archive", str(archive))
        browser.click("#send")
        browser.until_text("#upload-status", "Added: 15 pictures, uploaded")
        browser.until_text("#report", "train\t15\t5\t3")
        browser.run("document.getElementById('amount').value = 6;")
        browser.click("#submit")
        browser.until_text("#jobs [data-part=state]", "Done")
        browser.until_text("#jobs [data-part=counts]", "6 of 6 made, 6 kept, on the server until")
        width = "return document.querySelector('#jobs [data-part=sheet]').naturalWidth;"
        browser.until(lambda: browser.run(width) > 0)
        browser.click("#jobs [data-part=card] summary")
        browser.until_text("#jobs [data-part=card-text]", "6 pictures made by DG-Net")
        plots = "return document.querySelectorAll('#jobs [data-part=card-text] img').length;"
        browser.until(lambda: browser.run(plots) == 3)  # persons, cameras, identity consistency
        save_downloads(browser, tmp_path)
        browser.click("#jobs .downloads a")
        (job,) = httpx.get(f"{url}/v1/jobs").json()["data"]
        with downloaded(browser, tmp_path / f"{job['id']}.tar") as tar:
            pictures = [name for name in tar.getnames() if name.startswith("bounding_box_train/")]
            assert len(pictures) == 6
        for button in ("#jobs [data-part=delete]", "#delete-dataset"):
            browser.click(button)
            browser.click("#confirm-yes")
            browser.until(lambda: not browser.run("return document.querySelector('dialog').open;"))
        browser.until_text("#dataset", "None yet")
        browser.until_text("#no-jobs", "No job yet.")
        assert list((tmp_path / "data" / "jobs").iterdir()) == []
        assert [entry for entry in browser.log() if entry["level"] == "SEVERE"] == []
        browser.open("about:blank")
