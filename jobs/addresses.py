"""Addresses as they may be printed, logged and answered: without user, password and options.

Text is cut, not parsed: an address that is wrong may hold its password in any place, which is when
it is most likely to be shown.
"""

from __future__ import annotations

HIDDEN = "***"


def without_secrets(address: str) -> str:
    """`redis://:secret@host:6379/0?password=x` becomes `redis://***@host:6379/0?***`."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        scheme, rest = "", address
    _, at, place = rest.rpartition("@")
    place, question, _ = place.partition("?")
    shown = f"{HIDDEN}@{place}" if at else place
    return f"{scheme}{separator}{shown}{question}{HIDDEN if question else ''}"
