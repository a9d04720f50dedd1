"""A headless Chromium, driven through chromedriver by the WebDriver protocol (W3C).

A handful of commands over httpx; a browser automation library would be the larger dependency.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.redis_server import free_port

PATIENCE_SECONDS = 60.0
ELEMENT_KEY = "element-6066-11e4-a52e-4f735466cecf"  # fixed by the protocol
PROGRAMS = ("chromium", "chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # containers and root have no user namespace to give
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Browser:
    """One session of chromedriver."""

    def __init__(self, driver_url: str, session_id: str) -> None:
        self._session_url = f"{driver_url}/session/{session_id}"
        self._http = httpx.Client(timeout=PATIENCE_SECONDS)

    def command(self, method: str, path: str, **body: Any) -> Any:
        """A WebDriver command; gives its `value`."""
        url = self._session_url + path
        response = self._http.request(method, url, json=body if method == "POST" else None)
        value = response.json()["value"]
        assert response.status_code == 200, value
        return value

    def open(self, url: str) -> None:
        self.command("POST", "/url", url=url)

    def run(self, script: str) -> Any:
        """What the JavaScript function body returns."""
        return self.command("POST", "/execute/sync", script=script, args=[])

    def element(self, selector: str) -> str:
        found = self.command("POST", "/element", using="css selector", value=selector)
        return found[ELEMENT_KEY]

    def click(self, selector: str) -> None:
        self.command("POST", f"/element/{self.element(selector)}/click")

    def type(self, selector: str, text: str) -> None:
        """Types into an input; for a file input the text is the path of a file."""
        self.command("POST", f"/element/{self.element(selector)}/value", text=text)

    def text(self, selector: str) -> str:
        return self.command("GET", f"/element/{self.element(selector)}/text")

    def until_text(self, selector: str, part: str) -> None:
        """Until the element is there, can be seen and shows the words."""
        # A hidden element has its words as innerText, too.
        shown = (
            f"const place = document.querySelector({json.dumps(selector)});"
            "return place?.checkVisibility() ? place.innerText : '';"
        )
        self.until(lambda: part in self.run(shown))

    def devtools(self, command: str, **parameters: Any) -> Any:
        """What WebDriver has no command for: one of the DevTools protocol."""
        return self.command("POST", "/goog/cdp/execute", cmd=command, params=parameters)

    def log(self) -> list[dict[str, Any]]:
        """Console messages and refused loads since the last call."""
        return self.command("POST", "/se/log", type="browser")

    def screenshot(self) -> bytes:
        return base64.b64decode(self.command("GET", "/screenshot"))

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"still not so; page says: {self.text('body')}"
            time.sleep(0.05)

    def close(self) -> None:
        try:
            self.command("DELETE", "")
        finally:
            self._http.close()


@contextmanager
def headless_browser(*, width: int = 1100, height: int = 820) -> Generator[Browser]:
    """A new browser with an empty profile."""
    port = free_port()
    driver = subprocess.Popen(
        ["chromedriver", f"--port={port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        try:
            _wait_for(driver, url)
            browser = Browser(url, _new_session(url, Path(profile), width, height))
            try:
                yield browser
            finally:
                browser.close()
        finally:
            # The whole group of ours: a session that did not end well leaves its browser behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(driver.pid, signal.SIGTERM)
            driver.wait(PATIENCE_SECONDS)


def _wait_for(driver: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            httpx.get(f"{url}/status")
            return
        except httpx.HTTPError:
            assert driver.poll() is None, "chromedriver ended at once"
            assert time.monotonic() < deadline, "chromedriver does not answer"
            time.sleep(0.05)


def _new_session(url: str, profile: Path, width: int, height: int) -> str:
    arguments = [*FLAGS, f"--window-size={width},{height}", f"--user-data-dir={profile}"]
    capabilities = {
        "browserName": "chrome",
        "goog:chromeOptions": {"args": arguments, "binary": shutil.which("chromium")},
        "goog:loggingPrefs": {"browser": "ALL"},
    }
    response = httpx.post(
        f"{url}/session",
        json={"capabilities": {"alwaysMatch": capabilities}},
        timeout=PATIENCE_SECONDS,
    )
    value: dict[str, Any] = response.json()["value"]
    assert response.status_code == 200, value
    return value["sessionId"]
