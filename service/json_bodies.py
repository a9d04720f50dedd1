"""Reads JSON that a client sent, once for all routes: whatever comes out can be written down again.

Python's own reader takes what no file, no database and no answer can hold afterwards: half of a
surrogate pair, NaN, endless nesting. A megabyte of fields that nobody knows costs the whole process
seconds to name them: bodies that hold no pictures have to be small.
"""

from __future__ import annotations

import orjson

from dgnet.service.problems import BAD_REQUEST, BODY_TOO_LARGE, Problem

MOST_JSON_BYTES = 65_536


def small(body: bytes) -> bytes:
    """A body without pictures; a Problem if it is too large for one."""
    if len(body) > MOST_JSON_BYTES:
        raise Problem(
            BODY_TOO_LARGE,
            f"The request body has {len(body)} bytes; of JSON without pictures at most "
            f"{MOST_JSON_BYTES} are accepted.",
        )
    return body


def read_json(body: bytes) -> object:
    """The value of a small body; a Problem for what is no JSON or holds text that is none."""
    small(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(BAD_REQUEST, f"The body is no JSON: {error}.") from error
