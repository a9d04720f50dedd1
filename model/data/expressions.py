"""Regular expressions of users, in time that grows with the text alone.

Python's own engine needs ages for some expressions on some names, such as `(a|a)*b` on forty a's;
RE2 never does. What it does not take is what makes that impossible: look-around (`(?=...)`,
`(?<!...)`), back references (`\\1`, `(?P=name)`), atomic groups and possessive repeats. `\\d`,
`\\w` and `\\s` mean ASCII, and a repeat counts to 1000.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

NOT_TAKEN = "look-around, back references and possessive repeats are not taken"
"""For messages."""

# Bytes of a name that are no UTF-8 are lone surrogates in Python, which RE2 does not take; here
# they are private signs at the end of Unicode, which no name has, one for one.
_TO_SIGNS = {0xDC00 + byte: 0x10DC00 + byte for byte in range(0x80, 0x100)}
_FROM_SIGNS = {sign: byte for byte, sign in _TO_SIGNS.items()}


class UserPattern:
    """A compiled expression; raises ValueError, with words for the user, where it is none."""

    def __init__(self, pattern: str) -> None:
        re2: Any = import_module("re2")
        options = re2.Options()
        options.log_errors = False
        try:
            self._compiled = re2.compile(pattern, options)
        except UnicodeEncodeError as error:
            raise ValueError(f"sign {error.start + 1} is no character") from error
        except re2.error as error:
            raise ValueError(_in_words(error)) from error
        self.pattern = pattern
        self.groupindex: Mapping[str, int] = dict(self._compiled.groupindex)

    def fullmatch(self, text: str) -> dict[str, str | None] | None:
        """What the named groups found, if the expression describes the whole text."""
        found = self._compiled.fullmatch(text.translate(_TO_SIGNS))
        if found is None:
            return None
        groups = cast("dict[str, str | None]", found.groupdict())
        return {name: value and value.translate(_FROM_SIGNS) for name, value in groups.items()}


def _in_words(error: Exception) -> str:
    reason: object = error.args[0] if error.args else error
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
