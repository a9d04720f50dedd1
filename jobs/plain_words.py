"""What pydantic objects to, in words for people who never heard of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "list": "a list",
    "tuple": "a list",
    "dict": "names with values",
    "model": "names with values",
    "model_attributes": "names with values",
}
_FIXED = {
    "missing": "it is missing",
    "extra_forbidden": "there is no such field",
    "finite_number": "must be a finite number",
    "int_from_float": "must be a whole number",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "must be at least"),
    "greater_than": ("gt", "must be more than"),
    "less_than_equal": ("le", "must be at most"),
    "less_than": ("lt", "must be less than"),
}
_LENGTHS = {
    "string_too_short": ("min_length", "at least"),
    "string_too_long": ("max_length", "at most"),
    "too_short": ("min_length", "at least"),
    "too_long": ("max_length", "at most"),
}


def in_words(error: Mapping[str, object]) -> str:
    """Of one of `ValidationError.errors()`; pydantic's own message where there is none of ours."""
    kind = str(error["type"])
    context = cast("Mapping[str, Any]", error.get("ctx", {}))
    if kind in _FIXED:
        return _FIXED[kind]
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"{words} {context[name]:.15g}" if name in context else words
    if kind in ("literal_error", "enum"):
        return f"must be {context.get('expected', 'another')}"
    if kind in _LENGTHS:
        name, than = _LENGTHS[kind]
        counted = "characters" if isinstance(error.get("input"), str) else "entries"
        return f"must have {than} {context[name]} {counted}"
    if kind == "string_pattern_mismatch":
        return f"must look like {context.get('pattern', 'what the docs say')}"
    base = kind.removesuffix("_type").removesuffix("_parsing").removesuffix("_from")
    if base in _KINDS:
        return f"must be {_KINDS[base]}"
    return str(error["msg"]).removeprefix("Value error, ")
