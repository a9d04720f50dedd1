"""One spelling, American, in code and pages: a word that is looked for has one form."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.rooms import ROOT, sources

BRITISH = re.compile(
    r"\w*(?:colour|neighbour|behaviour|favour|grey|(?:norm|optim|min|maxim|raster|recogn|summar)is"
    r"(?:e|ed|er|ers|es|ing|ation|ations)\b|labell|modell(?:ed|er|ing)|licence|centre\b|metres?\b|judgement)\w*",
    flags=re.IGNORECASE,
)
HELD = re.compile(r'truth_colours|"_colours"|recolour\b|"(?:light )?grey"|aria-labelledby')
"""Names in checkpoints, settings, attributes of rendered people and HTML stay what they are."""

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
CARDS = [
    ROOT / "generation/output/card.py",
    ROOT / "people/writing/card.md",
    ROOT / "dgnet/samples/people/README.md",
]
"""Their text is part of data sets, whose bytes stay."""


@pytest.mark.parametrize("suffix", [".py", ".js", ".html", ".md"])
def test_words_are_spelled_the_american_way(suffix: str) -> None:
    files = {*sources(suffix), *(PAGES if suffix == ".md" else ())} - {*CARDS, Path(__file__)}
    found = {
        f"{path.relative_to(ROOT)}: {word}"
        for path in files
        for word in BRITISH.findall(HELD.sub("", path.read_text()))
    }
    assert sorted(found) == []
