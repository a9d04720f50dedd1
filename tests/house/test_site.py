"""The docs as a site: it builds strictly, every link leads somewhere, and nothing is fetched.

And the notebook of the docs: its cells run, and what it shows is what they give.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.house.notebook import run_notebook
from tests.house.test_docs import COMMANDS

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src"}
RELATIONS_FETCHED = {"stylesheet", "preload", "prefetch", "preconnect", "dns-prefetch", "icon"}


class Assets(HTMLParser):
    """Addresses that a page fetches by itself, links that a reader may follow, and anchors."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.styles = ""
        self._in_style = False
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag in FETCHED and FETCHED[tag] in given:
            self.fetched.append(given[FETCHED[tag]])
        if tag == "link" and RELATIONS_FETCHED & set(given.get("rel", "").split()):
            self.fetched.append(given.get("href", ""))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.styles += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Assets]:
    return {page: Assets(page) for page in sorted(site.rglob("*.html"))}


@pytest.mark.slow
def test_nothing_is_fetched_from_other_hosts(site: Path, pages: dict[Path, Assets]) -> None:
    assert len(pages) > 25
    elsewhere = re.compile(r"^(?:[a-z]+:)?//")
    for page, assets in pages.items():
        assert [url for url in assets.fetched if elsewhere.match(url)] == [], page
        assert not re.search(r"url\([\"']?(?:https?:)?//|@import", assets.styles), page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//|@import", sheet.read_text()), sheet


@pytest.mark.slow
def test_every_link_of_the_site_leads_somewhere(site: Path, pages: dict[Path, Assets]) -> None:
    wrong: list[str] = []
    for page, assets in pages.items():
        if page.name == "404.html":  # its addresses begin at the root
            continue
        for link in [*assets.links, *assets.fetched]:
            place, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:", link) or place.startswith("/"):
                continue
            target = (page.parent / unquote(place)).resolve() if place else page
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file() or (
                anchor and target in pages and unquote(anchor) not in pages[target].anchors
            ):
                wrong.append(f"{page.relative_to(site)}: {link}")
    assert wrong == []


@pytest.mark.slow
def test_the_reference_has_every_command_route_and_public_name(site: Path) -> None:
    commands = (site / "reference" / "commands.html").read_text()
    assert [
        words for words in COMMANDS if f"<code>dgnet {' '.join(words)}</code>" not in commands
    ] == []
    routes = (site / "reference" / "openapi.html").read_text()
    assert "<code>POST /v1/swaps</code>" in routes
    assert "<code>GET /v1/jobs/{job_id}/manifest</code>" in routes
    python = (site / "reference" / "python.html").read_text()
    for anchor in ("dgnet.model.predictor.Predictor.swap", "dgnet.generation.upload.pulling.pull"):
        assert f'id="{anchor}"' in python


@pytest.mark.long
def test_the_notebook_runs_and_shows_what_its_cells_give() -> None:
    kept = json.loads(NOTEBOOK.read_text())["cells"]
    cells = run_notebook(NOTEBOOK)["cells"]
    for cell, before in zip(cells, kept, strict=True):
        kinds = [
            [sorted(output.get("data", {"text": ""})) for output in one.get("outputs", [])]
            for one in (cell, before)
        ]
        assert kinds[0] == kinds[1], "run `python -m tests.house.notebook docs/notebook.ipynb`"
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    last = "".join(code[-1]["outputs"][-1]["data"]["text/plain"])
    # 16 composites of 8 persons: two of each, in their order.
    assert last == "(torch.Size([8, 3, 128, 64]), [0, 0, 1, 1, 2, 2, 3, 3])"
    assert NOTEBOOK.stat().st_size < 500_000
