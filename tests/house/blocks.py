"""The fenced blocks of the pages, found mechanically, and what their markers say.

A marker is a comment on a line of its own, right before the fence:

    <!-- not run: REASON -->        the block is checked, but not run
    <!-- run with: A=B, C=D -->     it is run with B where it says A, so that it ends in seconds
    <!-- file: NAME -->             the block is the content of a file that others need
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LANGUAGES = frozenset({"", "sh", "python", "yaml"})
"""One spelling each; a block without one is a picture in letters."""

_FENCE = re.compile(r"^(\s*)(`{3,}|~{3,})\s*(.*)$")
_MARKER = re.compile(r"<!-- (not run|run with|file): (.+) -->")


@dataclass(frozen=True, kw_only=True)
class Block:
    page: str
    line: int
    """Of the fence, from 1."""
    language: str
    text: str
    not_run: str | None = None
    run_with: dict[str, str] = field(default_factory=dict[str, str])
    file: str | None = None

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def first_line(self) -> str:
        return self.text.partition("\n")[0]

    def smaller(self) -> str:
        """The text as it is run."""
        if not self.run_with:
            return self.text
        wanted = "|".join(re.escape(given) for given in self.run_with)
        found: set[str] = set()

        def taken(match: re.Match[str]) -> str:
            found.add(match[0])
            return self.run_with[match[0]]

        # All at once: what is put in may be what another one takes out.
        text = re.sub(rf"(?<![\w.])(?:{wanted})(?!\w|\.\d)", taken, self.text)
        absent = sorted(self.run_with.keys() - found)
        assert not absent, f"{self.where} has no {absent} to be run with less"
        return text


def blocks_of(page: Path) -> list[Block]:
    name = str(page.relative_to(ROOT)) if page.is_relative_to(ROOT) else page.name
    return list(_blocks(name, page.read_text().splitlines()))


def _blocks(page: str, lines: list[str]) -> Iterator[Block]:
    opened: tuple[int, str, str] | None = None  # line, ticks, language
    inside: list[str] = []
    for number, line in enumerate(lines, 1):
        fence = _FENCE.match(line)
        if opened is None:
            if fence:
                indent, ticks, language = fence.groups()
                where = f"{page}:{number}"
                assert not indent, f"{where}: a fence begins its line, so that its block is found"
                assert ticks == "```", f"{where}: a fence is ``` here, not {ticks}"
                assert language in LANGUAGES, f"{where}: {language} is none of {LANGUAGES}"
                opened, inside = (number, ticks, language), []
        elif line.rstrip() == opened[1]:
            start, _, language = opened
            yield _block(page, start, language, "\n".join(inside) + "\n", _above(lines, start))
            opened = None
        else:
            inside.append(line)
    assert opened is None, f"{page}:{opened and opened[0]}: this block never ends"


def _above(lines: list[str], fence: int) -> dict[str, str]:
    """What the markers above a fence say."""
    markers: dict[str, str] = {}
    for line in reversed(lines[: fence - 1]):
        if (marker := _MARKER.fullmatch(line)) is None:
            break
        markers[marker[1]] = marker[2]
    return markers


def _block(page: str, line: int, language: str, text: str, markers: dict[str, str]) -> Block:
    pairs = [part.partition("=") for part in markers.get("run with", "").split(", ") if part]
    return Block(
        page=page,
        line=line,
        language=language,
        text=text,
        not_run=markers.get("not run"),
        run_with={given: taken for given, _, taken in pairs},
        file=markers.get("file"),
    )


def prose_of(page: Path) -> str:
    """A page without its blocks, lines where they were."""
    kept: list[str] = []
    inside = False
    for line in page.read_text().splitlines():
        is_fence = line.startswith("```")
        kept.append("" if inside or is_fence else line)
        inside ^= is_fence
    return "\n".join(kept)
