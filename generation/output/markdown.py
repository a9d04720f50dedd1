"""Text of others within Markdown: persons are called by folders, files by whoever named them.

Whatever a name holds is shown as it is and means nothing: no heading, picture, link, table cell or
line of its own. Common names stay as they are.
"""

from __future__ import annotations

import re

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
