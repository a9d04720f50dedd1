"""The page in a real browser: swaps of two pictures and of several, what comes with them, and what
is wrong in words.
"""

from __future__ import annotations

import base64
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image
from pydantic import SecretStr

from dgnet.jobs.contract import EmbedJob, GridJob, SwapJob
from dgnet.jobs.errors import QueueFull
from dgnet.service.app import create_app
from dgnet.service.settings import ServiceSettings
from tests.service.axe import violations
from tests.service.browser import Browser
from tests.service.fakes import (
    MODEL,
    READY_WORKER,
    FakeJobs,
    encode,
    fake_embeddings,
    gradient,
    png,
)
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


def swap(browser: Browser) -> None:
    """Once both pictures are taken: those of a user are looked at first."""
    browser.until(
        lambda: browser.run(
            "return !document.getElementById('go').disabled"
            " && [...document.querySelectorAll('[data-note]')]"
            ".every((note) => note.textContent.includes('pixels'));"
        )
    )
    browser.click("#go")


def swaps(jobs: FakeJobs) -> list[SwapJob]:
    return [job for job in jobs.queued if isinstance(job, SwapJob)]


def test_two_chosen_pictures_become_a_composite(
    browser: Browser, jobs: FakeJobs, app: FastAPI, pictures: tuple[str, str]
) -> None:
    with serving(app) as url:
        browser.log()
        browser.open(url)
        browser.until(lambda: "“tiny” is ready" in browser.text("#model"))
        choose(browser, pictures)
        swap(browser)
        browser.until(lambda: composite_size(browser) == [8, 16])
        assert browser.text("#timing") == "25 ms on the device"
        browser.click("#resize")
        browser.click("#go")
        browser.until(lambda: composite_size(browser) == [16, 32])
        assert len(swaps(jobs)) == 2
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
        swap(browser)
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
        swap(browser)
        browser.until(lambda: composite_size(browser) == [8, 16])
        jobs.queued.clear()
        browser.click("#scene option[value='generate']")
        for number, scene in enumerate(("", "keep", "generate"), start=1):
            browser.click(f"#scene option[value='{scene}']")
            browser.until(lambda: composite_size(browser) == [0, 0])  # not what is asked for
            browser.click("#go")
            browser.until(lambda number=number: len(swaps(jobs)) == number)
            browser.until(lambda: composite_size(browser) == [8, 16])
        browser.open("about:blank")
    assert [job.scene for job in swaps(jobs)] == [
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
        swap(browser)
        browser.until(lambda: "API key" in browser.text("#problem"))
        browser.type("#key", "k\ue007")
        browser.click("#go")
        browser.until(lambda: composite_size(browser) == [8, 16])
        browser.open(url)  # the key is kept for this tab
        assert browser.run("return document.getElementById('key').value;") == "k"
        browser.until(lambda: not browser.run("return document.getElementById('go').disabled;"))
        browser.click("#go")
        browser.until(lambda: composite_size(browser) == [8, 16])
        browser.run("sessionStorage.clear();")
        browser.open("about:blank")


@pytest.fixture
def page(browser: Browser, app: FastAPI) -> Generator[Browser]:
    """With a model, and two sample people chosen."""
    with serving(app) as url:
        browser.log()
        browser.open(url)
        browser.until(lambda: not browser.run("return document.getElementById('go').disabled;"))
        yield browser
        assert [entry for entry in browser.log() if entry["level"] == "SEVERE"] == []
        browser.open("about:blank")


def drop(browser: Browser, where: str, name: str, content: bytes, kind: str = "drop") -> None:
    """A file is let go of, or pasted, over an element, as a browser tells it."""
    data = base64.b64encode(content).decode()
    browser.run(
        f"const bytes = Uint8Array.from(atob({data!r}), (c) => c.charCodeAt(0));"
        f"const files = new DataTransfer(); files.items.add(new File([bytes], {name!r}));"
        f"const place = document.querySelector({where!r});"
        "const options = { bubbles: true, cancelable: true };"
        + (
            "place.dispatchEvent(new DragEvent('drop', { ...options, dataTransfer: files }));"
            if kind == "drop"
            else "place.dispatchEvent(new ClipboardEvent('paste',"
            " { ...options, clipboardData: files }));"
        )
    )


class TestSwaps:
    def test_the_first_click_swaps_two_sample_people(self, page: Browser, jobs: FakeJobs) -> None:
        page.click("#go")
        page.until_text("#similarity", "Similarity to the appearance")
        (job,) = swaps(jobs)
        (embedded,) = (job for job in jobs.queued if isinstance(job, EmbedJob))
        assert not np.array_equal(job.appearance_image, job.structure_image)
        composite, appearance, structure = fake_embeddings(embedded.images)
        assert page.text("#similarity") == (
            f"Similarity to the appearance {composite @ appearance:.2f}, "
            f"to the structure {composite @ structure:.2f}"
        )
        # Another one by the keyboard.
        page.type("#structure-samples button:nth-child(2)", " ")
        page.until_text("#waiting", "Press Swap")
        pressed = "document.querySelectorAll('#structure-samples [aria-pressed=true]').length"
        assert page.run(f"return {pressed};") == 1
        page.type("#go", "\ue007")
        page.until(lambda: len(swaps(jobs)) == 2)

    def test_a_session_has_a_history_to_look_at_and_download(
        self, page: Browser, jobs: FakeJobs, tmp_path: Path
    ) -> None:
        for number in (1, 2):
            page.click("#go")
            page.until(
                lambda number=number: (
                    page.run("return document.getElementById('history').children.length;") == number
                )
            )
        links = "[...document.querySelectorAll('#history a')].map((link) => link.download)"
        assert page.run(f"return {links};") == ["composite-002.png", "composite-001.png"]
        page.devtools("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
        page.click("#history li:last-child a")
        page.until((tmp_path / "composite-001.png").is_file)
        page.click("#history li:last-child button")
        page.until_text("#viewer-title", "composite-001.png")
        names = "[...document.querySelectorAll('#viewer figcaption b')].map((b) => b.innerText)"
        assert page.run(f"return {names};") == ["Structure", "Composite", "Appearance"]
        # The fake's composite is 8 pixels wide and 16 high.
        shown = (
            "const c = document.querySelectorAll('#viewer img')[1];"
            "return [c.getBoundingClientRect().width, c.getBoundingClientRect().height];"
        )
        page.until(lambda: page.run(shown) == [32, 64])
        page.until_text("#viewer figure:nth-child(2)", "8 x 16 pixels")
        page.until_text("#viewer figure:nth-child(1)", "64 x 128 pixels")
        page.click("#viewer [value='1']")
        assert page.run(shown) == [8, 16]
        page.until_text("#viewer-scale", "one pixel of this page")
        page.type("#viewer-close", "\ue00c")  # Escape
        assert not page.run("return document.getElementById('viewer').open;")
        page.click("#forget")
        assert page.run("return document.getElementById('history-block').hidden;")

    def test_pictures_are_dropped_and_pasted_anywhere(self, page: Browser, jobs: FakeJobs) -> None:
        drop(page, "footer", "mine.png", encode(Image.new("RGB", (8, 16), (250, 0, 0))))
        page.until_text("#received", "mine.png is the appearance.")
        drop(page, "h1", "pasted.png", encode(Image.new("RGB", (8, 16), (0, 0, 250))), "paste")
        page.until_text("#received", "pasted.png is the structure.")
        swap(page)
        page.until(lambda: composite_size(page) == [8, 16])
        (job,) = swaps(jobs)
        assert job.appearance_image[0, 0].tolist() == [250, 0, 0]
        assert job.structure_image[0, 0].tolist() == [0, 0, 250]
        drop(page, "footer", "people.zip", b"PK")
        page.until_text("#archive-hint", "people.zip, 2 B")
        drop(page, "footer", "notes.txt", b"notes")
        page.until_text("#received", "notes.txt is neither a picture nor")
        assert "127.0.0.1" in page.run("return location.href;")

    def test_a_phones_picture_is_turned_and_scaled_before_it_is_sent(
        self, page: Browser, jobs: FakeJobs, tmp_path: Path
    ) -> None:
        """12 megapixels that lie on their side, their upper half red once they are upright."""
        lying = Image.new("RGB", (4000, 3000), (0, 0, 250))
        lying.paste((250, 0, 0), (0, 0, 2000, 3000))
        exif = Image.Exif()
        exif[0x0112] = 6  # turn a quarter clockwise
        lying.save(tmp_path / "phone.jpg", exif=exif)
        page.type("input[name=appearance]", str(tmp_path / "phone.jpg"))
        page.until_text("[data-note=appearance]", "1200 x 1600 pixels, scaled from 3,000 x 4,000")
        page.click("#go")
        page.until(lambda: len(swaps(jobs)) == 1)
        top, bottom = swaps(jobs)[0].appearance_image[[2, 13], 4].tolist()
        assert top[0] > 200 > 50 > top[2]
        assert bottom[2] > 200 > 50 > bottom[0]

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("IMG_1.HEIC", bytes(4) + b"ftypheic" + bytes(4), "IMG_1.HEIC is a HEIC picture"),
            ("notes.png", b"\xfa\xf5\x4d no picture", "notes.png is no picture that can be read"),
            ("empty.jpg", b"", "empty.jpg is empty"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_is_no_picture_is_told_beside_the_field(
        self, page: Browser, name: str, content: bytes, words: str
    ) -> None:
        drop(page, "[data-role=structure]", name, content)
        page.until_text("[data-problem=structure]", words)
        assert page.text("#problem") == ""
        assert "fa f5" not in page.text("[data-problem=structure]")

    def test_what_the_server_refuses_is_told_beside_the_field(
        self, page: Browser, tmp_path: Path
    ) -> None:
        """The settings take pictures of 100 kB."""
        noise = np.random.default_rng(0).integers(0, 256, (240, 240, 3), dtype=np.uint8)
        (tmp_path / "noise.png").write_bytes(encode(Image.fromarray(noise)))
        page.type("input[name=structure]", str(tmp_path / "noise.png"))
        page.until_text("[data-note=structure]", "240 x 240")
        page.click("#go")
        page.until_text("[data-problem=structure]", "too large: choose a smaller")
        assert "bytes" not in page.text("[data-problem=structure]")
        page.log()  # it tells of the refused request


class TestSeveral:
    @pytest.fixture
    def settings(self) -> ServiceSettings:
        return ServiceSettings()

    def test_a_grid_of_sample_people_and_a_walk_between_two(
        self, page: Browser, jobs: FakeJobs
    ) -> None:
        check_grid_and_walk(page, jobs)


def check_grid_and_walk(page: Browser, jobs: FakeJobs) -> None:
    page.click("#grid-samples")
    page.until_text("#grid-count", "4 x 4: 16 composites")
    page.click("#grid-appearances li:last-child button")
    page.until_text("#grid-count", "3 x 4: 12 composites")
    page.click("#grid-go")
    cells = "document.querySelectorAll('#grid-result td button').length"
    page.until(lambda: page.run(f"return {cells};") == 12)
    page.click("#grid-result tr:nth-child(2) td:nth-child(4) button")
    page.until_text("#viewer-title", "appearance 2 on structure 3")
    page.click("#viewer-close")
    assert page.run("return document.getElementById('grid-download').href;").startswith("blob:")

    page.click("#walk-samples button:nth-child(3)")
    page.until(lambda: not page.run("return document.getElementById('walk-go').disabled;"))
    page.click("#walk-go")
    page.until_text("#walk-share", "50 % of the first clothes, 50 % of the second")
    page.type("#walk-slider", "\ue014")  # right
    page.until_text("#walk-share", "40 % of the first clothes, 60 % of the second")
    page.click("#walk-keep")
    page.until(lambda: page.run("return document.getElementById('history').children.length;") == 1)
    grid, walk = (job for job in jobs.queued if isinstance(job, GridJob))
    assert (len(grid.cells), len(walk.cells)) == (12, 11)


def test_axe_finds_nothing_in_light_and_dark(page: Browser) -> None:
    page.click("#grid-samples")
    page.click("#go")
    page.until_text("#similarity", "Similarity to the appearance")
    page.until_text("#grid-count", "16 composites")
    page.click("#look")
    page.until_text("#viewer figure:nth-child(2)", "pixels")
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        page.devtools("Emulation.setEmulatedMedia", features=features)
        assert violations(page) == []
        page.run("document.getElementById('viewer').close();")
        assert violations(page) == []
    page.devtools("Emulation.setEmulatedMedia", features=[])


def test_a_server_that_is_gone_is_told_and_comes_back(
    browser: Browser, app: FastAPI, settings: ServiceSettings
) -> None:
    with serving(app) as url:
        browser.open(url)
        browser.until(lambda: not browser.run("return document.getElementById('go').disabled;"))
        browser.devtools("Network.enable")
        network = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        try:
            browser.devtools("Network.emulateNetworkConditions", offline=True, **network)
            browser.click("#go")
            browser.until_text("#problem", "The server cannot be reached.")
            browser.until_text("#gone", "The server does not answer.")
        finally:
            browser.devtools("Network.emulateNetworkConditions", offline=False, **network)
        browser.until(lambda: browser.run("return document.getElementById('gone').hidden;"))
        browser.open("about:blank")


def test_the_card_of_the_model_is_shown_and_stays_text(browser: Browser, jobs: FakeJobs) -> None:
    card = {
        "data": {"name": "<img src=x onerror=alert(1)>", "license": "CC0 1.0"},
        "metrics": {"retrieval": {"mAP": 0.61234567, "queries": 1234}},
    }
    jobs.live_workers = [replace(READY_WORKER, model=replace(MODEL, card=card))]
    with serving(create_app(ServiceSettings(), jobs)) as url:
        browser.open(url)
        browser.until_text("#model-cards", "CC0 1.0")
        browser.run("for (const d of document.querySelectorAll('details')) d.open = true;")
        assert "mAP 0.6123" in browser.text("#model-cards")
        assert "queries 1,234" in browser.text("#model-cards")
        assert "<img src=x" in browser.text("#model-cards")
        browser.open("about:blank")


def test_the_api_reference_is_drawn_under_its_policy(browser: Browser, app: FastAPI) -> None:
    with serving(app) as url:
        browser.log()
        browser.open(f"{url}/docs")
        browser.until_text("#reference", "Swap the clothes of two people")
        assert [entry for entry in browser.log() if entry["level"] == "SEVERE"] == []
        browser.open("about:blank")
