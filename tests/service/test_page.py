"""The page in a real browser: choose two pictures, see the composite, see what is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from dgnet.jobs.contract import SwapJob
from dgnet.jobs.errors import QueueFull
from dgnet.service.app import create_app
from dgnet.service.settings import ServiceSettings
from tests.service.browser import Browser
from tests.service.fakes import MODEL, READY_WORKER, FakeJobs, encode, gradient, png
from tests.service.server import serving


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "appearance.png").write_bytes(png())
    (tmp_path / "structure.png").write_bytes(encode(gradient(16, 32)))
    return str(tmp_path / "appearance.png"), str(tmp_path / "structure.png")


def choose(browser: Browser, pictures: tuple[str, str]) -> None:
    browser.type("input[name=appearance]", pictures[0])
    browser.type("input[name=structure]", pictures[1])


def composite_size(browser: Browser) -> list[int]:
    size: list[int] = browser.run(
        "const c = document.getElementById('composite');"
        "return c.hidden || !c.complete ? [0, 0] : [c.naturalWidth, c.naturalHeight];"
    )
    return size


def is_disabled(browser: Browser) -> bool:
    return bool(browser.run("return document.getElementById('go').disabled;"))


def test_two_chosen_pictures_become_a_composite(
    browser: Browser, jobs: FakeJobs, app: FastAPI, pictures: tuple[str, str]
) -> None:
    with serving(app) as url:
        browser.log()
        browser.open(url)
        browser.until(lambda: "“tiny” is ready" in browser.text("#model"))
        assert is_disabled(browser)
        choose(browser, pictures)
        browser.until(lambda: not is_disabled(browser))
        browser.click("#go")
        browser.until(lambda: composite_size(browser) == [8, 16])
        assert browser.text("#timing") == "25 ms on the device"
        browser.click("#resize")
        browser.click("#go")
        browser.until(lambda: composite_size(browser) == [16, 32])
        assert len(jobs.queued) == 2
        severe = [entry for entry in browser.log() if entry["level"] == "SEVERE"]
        assert severe == []  # nothing refused by the content security policy either
        browser.open("about:blank")


def test_a_refusal_is_shown_in_words(
    browser: Browser, jobs: FakeJobs, settings: ServiceSettings, pictures: tuple[str, str]
) -> None:
    jobs.submit_error = QueueFull("1024 jobs are waiting", retry_after_seconds=7)
    with serving(create_app(settings, jobs)) as url:
        browser.open(url)
        choose(browser, pictures)
        browser.click("#go")
        browser.until(
            lambda: (
                browser.text("#problem")
                == "The queue is full: 1024 jobs are waiting Try again in 7 s."
            )
        )
        browser.open("about:blank")


def test_the_scene_is_kept_or_generated_as_chosen(
    browser: Browser, jobs: FakeJobs, app: FastAPI, pictures: tuple[str, str]
) -> None:
    model = replace(MODEL, scenes=("keep", "generate"))
    jobs.live_workers = [replace(READY_WORKER, model=model)]
    with serving(app) as url:
        browser.open(url)
        browser.until(lambda: "is ready" in browser.text("#model"))
        choose(browser, pictures)
        for number, scene in enumerate(("", "keep", "generate"), start=1):
            browser.click(f"#scene option[value='{scene}']")
            browser.until(lambda: composite_size(browser) == [0, 0])  # not what is asked for
            browser.click("#go")
            browser.until(lambda number=number: len(jobs.queued) == number)
            browser.until(lambda: composite_size(browser) == [8, 16])
        browser.open("about:blank")
    assert [job.scene for job in jobs.queued if isinstance(job, SwapJob)] == [
        None, "keep", "generate",
    ]  # fmt: skip


def test_a_scene_that_the_model_cannot_keep_is_not_offered(browser: Browser, app: FastAPI) -> None:
    offered = (
        "return [...document.querySelectorAll('select.scene option:not(:disabled)')]"
        ".map((option) => option.value);"
    )
    with serving(app) as url:
        browser.open(url)
        browser.until(lambda: "is ready" in browser.text("#model"))
        assert browser.run(offered) == ["", "generate"] * 2  # of a swap, and of a job
        browser.open("about:blank")


def test_a_key_is_asked_for_and_sent(
    browser: Browser, jobs: FakeJobs, pictures: tuple[str, str]
) -> None:
    with serving(create_app(ServiceSettings(api_keys=(SecretStr("k"),)), jobs)) as url:
        browser.open(url)
        choose(browser, pictures)
        browser.click("#go")
        browser.until(lambda: "API key" in browser.text("#problem"))
        browser.type("#key", "k")
        browser.click("#go")
        browser.until(lambda: composite_size(browser) == [8, 16])
        browser.open("about:blank")
