"""What MkDocs is told besides `mkdocs.yml`: pages that lie elsewhere or are made, and their links.

The pages in `docs/` are read on code hosts as well, where a link leads to any file of the
repository. On the site a link leads to a page; where there is none, its words stay without a link.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from making import commands_page, notebook_page, openapi_page, python_page  # noqa: E402

ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "model/weights/small/README.md": "weights/small.md",
    "model/weights/detail/README.md": "weights/detail.md",
    "model/weights/judge/README.md": "weights/judge.md",
    "dgnet/samples/people/README.md": "weights/people.md",
    "people/assets/README.md": "weights/assets.md",
}
"""Pages outside of `docs/`, and what they are called on the site."""

REPOSITORY_PATHS = {page: path for path, page in ELSEWHERE.items()}

_LINK = re.compile(r"(!?)\[((?:[^][]|\[[^][]*\])*)\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    made = {
        "reference/python.md": python_page(),
        "reference/commands.md": commands_page(),
        "reference/openapi.md": openapi_page(),
        "notebook.md": notebook_page(ROOT / "docs" / "notebook.ipynb"),
    }
    made |= {page: (ROOT / path).read_text() for path, page in ELSEWHERE.items()}
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """With links that lead to pages of the site, or nowhere."""
    source: str = page.file.src_uri
    path = REPOSITORY_PATHS.get(source, f"docs/{source}")
    pages = {file.src_uri for file in files}
    parts: list[str] = []
    end = 0
    for fence in _FENCED.finditer(markdown):
        parts += [_linked(markdown[end : fence.start()], source, path, pages), fence[0]]
        end = fence.end()
    return "".join([*parts, _linked(markdown[end:], source, path, pages)])


def _linked(text: str, source: str, path: str, pages: set[str]) -> str:
    def site_link(match: re.Match[str]) -> str:
        image, words, link = match.groups()
        if re.match(r"[a-z]+:|#", link):
            return match[0]
        place, _, anchor = link.partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), place))
        page = ELSEWHERE.get(target, target.removeprefix("docs/"))
        if page not in pages:
            return words
        there = posixpath.relpath(page, posixpath.dirname(source) or ".")
        return f"{image}[{words}]({there}{'#' + anchor if anchor else ''})"

    return _LINK.sub(site_link, text)
