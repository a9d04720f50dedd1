"""Text on its way out of a worker: names of files need not be UTF-8, what carries them must be."""

from __future__ import annotations

from typing import Any, cast


def utf8(text: str) -> str:
    """The text with what is no UTF-8 shown as bytes, such as `\\xff`."""
    try:
        text.encode()
    except UnicodeEncodeError:
        # Bytes of a name first, which Python keeps as surrogates; then what was never a byte.
        shown = (
            text.encode("utf-8", "surrogateescape")
            if _is_a_name(text)
            else text.encode("utf-8", "backslashreplace")
        )
        return shown.decode("utf-8", "backslashreplace")
    return text


def utf8_throughout(value: Any) -> Any:
    """JSON with every text of it, keys too, by `utf8`."""
    match value:
        case str():
            return utf8(value)
        case dict():
            pairs = cast("dict[str, Any]", value).items()
            return {utf8(name): utf8_throughout(below) for name, below in pairs}
        case list() | tuple():
            return [utf8_throughout(below) for below in cast("list[Any]", value)]
        case _:
            return value


def _is_a_name(text: str) -> bool:
    """Whether all of its surrogates stand for bytes."""
    return not any(
        0xD800 <= ord(sign) <= 0xDFFF and not 0xDC80 <= ord(sign) <= 0xDCFF for sign in text
    )
