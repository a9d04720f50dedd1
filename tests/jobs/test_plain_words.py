"""Whoever writes a spec by hand reads what is wrong with it, not what a library calls it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dgnet.jobs.plain_words import in_words


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: int = Field(ge=1, lt=2**63)
    share: float = Field(default=0, gt=0, le=1, allow_inf_nan=False)
    kind: Literal["one", "two", "three"] = "one"
    name: str = Field(default="name", min_length=1, max_length=3, pattern="^[a-z]*$")
    flag: bool = False
    parts: list[Annotated[int, Field(ge=0)]] = Field(default=[], max_length=2)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "it is missing"),
        ({"count": 0}, "must be at least 1"),
        ({"count": 2**63}, "must be less than 9.22337203685478e+18"),
        ({"count": "many"}, "must be a whole number"),
        ({"count": 1.5}, "must be a whole number"),
        ({"count": 1, "share": 0}, "must be more than 0"),
        ({"count": 1, "share": 2}, "must be at most 1"),
        ({"count": 1, "share": "half"}, "must be a number"),
        ({"count": 1, "share": float("nan")}, "must be a finite number"),
        ({"count": 1, "kind": "four"}, "must be 'one', 'two' or 'three'"),
        ({"count": 1, "name": ""}, "must have at least 1 characters"),
        ({"count": 1, "name": "long"}, "must have at most 3 characters"),
        ({"count": 1, "name": "A"}, "must look like ^[a-z]*$"),
        ({"count": 1, "name": 1}, "must be text"),
        ({"count": 1, "flag": "perhaps"}, "must be true or false"),
        ({"count": 1, "parts": 1}, "must be a list"),
        ({"count": 1, "parts": [1, 2, 3]}, "must have at most 2 entries"),
        ({"count": 1, "wish": 1}, "there is no such field"),
    ],
)
def test_an_objection_in_words(values: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Form.model_validate(values)
    assert in_words(caught.value.errors()[0]) == expected
