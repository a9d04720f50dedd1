"""Reads JSON that a client sent, once for all routes: whatever comes out can be written down again.

Python's own reader takes what no file, no database and no answer can hold afterwards: half of a
surrogate pair, NaN, endless nesting. A megabyte of fields that nobody knows costs the whole process
seconds to name them: bodies that hold no pictures have to be small.
"""

from __future__ import annotations

from typing import TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from dgnet.jobs.plain_words import in_words
from dgnet.service.problems import BAD_REQUEST, BODY_TOO_LARGE, INVALID_REQUEST, Problem

M = TypeVar("M", bound=BaseModel)
MOST_JSON_BYTES = 65_536


def require_small(body: bytes) -> None:
    """Raises a Problem for a body that is too large for one without pictures."""
    if len(body) > MOST_JSON_BYTES:
        raise Problem(
            BODY_TOO_LARGE,
            f"The request body has {len(body)} bytes; of JSON without pictures at most "
            f"{MOST_JSON_BYTES} are accepted.",
        )


def read_json(body: bytes) -> object:
    """The value of a small body; a Problem for what is no JSON or holds text that is none."""
    require_small(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(BAD_REQUEST, f"The body is no JSON: {error}.") from error


def read_model(model: type[M], body: bytes, *, expected: str) -> M:
    """The fields of a body; a Problem names the first that is wrong, and what was `expected`."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the body"
        kind = BAD_REQUEST if first["type"] == "json_invalid" else INVALID_REQUEST
        told = f"{place}: {in_words(first)}. Expected JSON with {expected}."
        raise Problem(kind, told) from error
