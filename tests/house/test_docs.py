"""The docs name what there is: a command or a make target they do not name fails here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from dgnet.commands.cli import app
from tests.house.rooms import sources

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SOURCES = [(path, path.read_text()) for path in sources(".py")]
FILE_NAMES = {path.name for path, _ in SOURCES} | {"model.py"}
"""`model.py` stands for a user's own."""


def commands(command: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it."""
    children: dict[str, Any] = getattr(command, "commands", {})
    if not children:
        yield names, command
    for name, child in children.items():
        yield from commands(child, (*names, name))


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_readme_names_every_command(names: tuple[str, ...]) -> None:
    assert f"`dgnet {' '.join(names)}" in README


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_every_command_and_option_explains_itself(names: tuple[str, ...]) -> None:
    command = COMMANDS[names]
    assert command.help
    silent = [parameter.name for parameter in command.params if not parameter.help]
    assert silent == []


def test_configuration_page_names_every_variable_of_the_command_line() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    variables = {
        parameter.envvar
        for command in COMMANDS.values()
        for parameter in command.params
        if parameter.envvar
    }
    assert {"DGNET_CHECKPOINT", "DGNET_PORT"} <= variables
    assert [name for name in sorted(variables) if f"`{name}`" not in page] == []


def test_readme_names_every_make_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):.*## ", makefile, flags=re.MULTILINE))
    assert {"demo", "test", "serve", "check", "bench"} <= targets
    pages = README + (ROOT / "CONTRIBUTING.md").read_text()
    assert [name for name in sorted(targets - {"help"}) if f"make {name}" not in pages] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in local if not (page.parent / target).exists()] == []


def is_there(dotted: str) -> bool:
    """Whether a module, or a name in one, is there; nothing is imported."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:length])
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if file.is_file():
            rest = parts[length:]
            return not rest or re.search(rf"\b{rest[0]}\b", file.read_text()) is not None
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_modules_and_files_that_pages_name_are_there(page: Path) -> None:
    text = page.read_text()
    modules = re.findall(r"(?<![\w/.])dgnet(?:\.\w+)+(?!\.?\w)", text)
    files = re.findall(r"(?<![\w/.:-])((?:\w+/)+\w+\.(?:py|sh|toml|yml))\b", text)
    missing = [name for name in modules if not is_there(name) and "dgnet.lab" not in name]
    missing += [name for name in re.findall(r"`(\w+\.py)`", text) if name not in FILE_NAMES]
    assert missing + [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_that_pages_name_are_there(page: Path) -> None:
    named = set(re.findall(r"`(test(?:_[a-z0-9]+){3,})", page.read_text()))
    defined = {name for _, text in SOURCES for name in re.findall(r"\bdef (test_\w+)", text)}
    assert sorted(named - defined - {path.stem for path, _ in SOURCES}) == []


def test_modules_that_docstrings_name_are_there() -> None:
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path, text in SOURCES
        for name in re.findall(r"`(dgnet(?:\.\w+)+)`", text)
        if not is_there(name)
    ]
    assert missing == []


def test_the_license_is_apache_2_in_full() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
