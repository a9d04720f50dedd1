"""Reads JSON that a client sent, once for all routes: whatever comes out can be written down again.

Python's own reader takes what no file, no database and no answer can hold afterwards: half of a
surrogate pair, NaN, endless nesting.
"""

from __future__ import annotations

import orjson

from dgnet.service.problems import BAD_REQUEST, Problem


def read_json(body: bytes) -> object:
    """The value of a body; a Problem for what is no JSON or holds text that is none."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(BAD_REQUEST, f"The body is no JSON: {error}.") from error
