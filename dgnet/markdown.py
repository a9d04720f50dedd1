"""Markdown: tables, and text of others within it.

Persons are called by folders, files by whoever named them. Whatever a name holds is shown as it is
and means nothing: no heading, picture, link, table cell or line of its own. Common names stay as
they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_MEANING_SOMETHING = re.compile(
    r"[\\`*\[\]<>#|~!&$]"
    r"|(?<!\w)_|_(?!\w)"  # within a word an underscore means nothing
    r"|:(?=//)|(?<=www)\.",  # addresses become links by themselves
    re.IGNORECASE,
)


def plain(text: str) -> str:
    """Text that reads as it is written, on one line."""
    return _MEANING_SOMETHING.sub(r"\\\g<0>", one_line(text))


def code(text: str) -> str:
    """A code span; its fence is longer than any within."""
    shown = one_line(text)
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {shown} {fence}" if longest else f"{fence}{shown}{fence}"


def one_line(text: str) -> str:
    """With what cannot be seen, line breaks among it, spelled out as in Python."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def table(rows: Sequence[Sequence[object]]) -> str:
    """Rows of cells, the heading first."""
    cells = [[str(cell) for cell in row] for row in rows]
    return "\n".join(map(_line, [cells[0], ["---"] * len(cells[0]), *cells[1:]]))


def aligned_table(rows: Sequence[Sequence[str]], *, numbers: bool = False) -> str:
    """As `table`, with columns padded to one width, so that it reads well as plain text too.

    With `numbers` all columns but the first end on the right.
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    right = [numbers and column > 0 for column in range(len(widths))]
    head, *body = [
        _line(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        for row in rows
    ]
    rules = (
        "-" * (width + 1) + (":" if to_right else "-")
        for width, to_right in zip(widths, right, strict=True)
    )
    return "\n".join([head, f"|{'|'.join(rules)}|", *body])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
