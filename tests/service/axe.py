"""What axe-core finds on a page: what people with a screen reader or a keyboard stumble over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.service.browser import Browser

SCRIPT = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
_ASK = """
window.axeFound = null;
axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => {
  window.axeFound = violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]);
});
"""


def violations(browser: Browser) -> list[Any]:
    """Rule and elements of each finding."""
    if not browser.run("return 'axe' in window;"):
        browser.run(SCRIPT.read_text())
    browser.run(_ASK)
    browser.until(lambda: browser.run("return window.axeFound !== null;"))
    found: list[Any] = browser.run("return window.axeFound;")
    return found
