"""Nothing of ours goes by a bare name: `model` or `service` may be a file of whoever uses us."""

from __future__ import annotations

import ast
import re
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.rooms import FOLDERS, ROOMS, ROOT, sources

BARE = re.compile(rf"(?<![\w./{{\\-])({'|'.join(ROOMS)})((?:\\?\.[a-z_]\w*)+)")
RUN_OR_IMPORTED = re.compile(
    rf"-m[ =](?:{'|'.join(ROOMS)})\b|\bfrom (?:{'|'.join(ROOMS)}) import |"
    rf"^\s*import (?:{'|'.join(ROOMS)})$",
    flags=re.MULTILINE,
)
PAGES = [path for suffix in (".md", ".sh", ".js", ".html") for path in sources(suffix)] + [
    path
    for pattern in ("*.md", "docs/**/*.md", "*.yml", "*.toml", "Makefile", "Dockerfile", ".ci/*")
    for path in sorted(ROOT.glob(pattern))
]


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def bare_names(text: str) -> list[str]:
    """Modules of ours that a text names without `dgnet.` before them."""
    found = [match[0].replace("\\", "") for match in BARE.finditer(text)]
    named = [name for name in found if is_module(".".join(name.split(".")[:2]))]
    return named + [match[0] for match in RUN_OR_IMPORTED.finditer(text)]


def texts(path: Path) -> Iterator[str]:
    """Strings and comments of a source."""
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type in (tokenize.STRING, tokenize.COMMENT):
                yield token.string


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_import_has_a_bare_name(folder: str) -> None:
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name in imported(path)
        if name.partition(".")[0] in ROOMS or name.startswith(".")
    }
    assert wrong == set()


def test_no_string_or_comment_names_a_module_barely() -> None:
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources()
        if path != Path(__file__)
        for text in texts(path)
        for name in bare_names(text)
    }
    assert wrong == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_or_script_names_a_module_barely(page: Path) -> None:
    assert bare_names(page.read_text()) == []


def test_bare_names_are_found() -> None:
    assert bare_names("`python -m model.training.run`") == ["model.training.run", "-m model"]
    assert bare_names('"service.app:create_app" and people\\.assets\\.build') == [
        "service.app",
        "people.assets.build",
    ]
    assert bare_names("from worker import metrics") == ["from worker import "]
    assert bare_names("dgnet.model.config, model.safetensors, {worker.main}, a worker.") == []


def test_every_room_is_a_link_that_stays_in_the_repository() -> None:
    assert {"generation", "jobs", "model", "people", "service", "worker"} <= set(ROOMS)
    for room in ROOMS:
        assert (ROOT / "dgnet" / room).readlink() == Path("..") / room


def test_every_room_is_type_checked_once_and_typed_for_others() -> None:
    checked = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pyright"]["include"]
    assert sorted(checked) == sorted(
        ["dgnet", *(f"dgnet/{room}" for room in ROOMS), "tests", "benchmarks", "docs/_site"]
    )
    assert (ROOT / "dgnet" / "py.typed").is_file()
