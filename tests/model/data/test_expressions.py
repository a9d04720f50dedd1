"""Users' regular expressions: never slow, true to names of any bytes, clear about their limits."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from dgnet.model.data.expressions import UserPattern
from dgnet.model.data.layouts import read_dataset
from dgnet.model.data.picture import DatasetError

BACKTRACKING = r"(?P<person>(a|a)*)b"


def test_an_expression_that_backtracks_for_ever_elsewhere_is_done_at_once(tmp_path: Path) -> None:
    """Python's engine would need 2^200 steps."""
    (tmp_path / ("a" * 200 + ".jpg")).write_bytes(b"")
    begun = time.monotonic()
    with pytest.raises(DatasetError, match="finds no person"):
        read_dataset(tmp_path, "pattern", BACKTRACKING)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    "pattern",
    [r"(?=a)(?P<person>.*)", r"(?<!a)(?P<person>.*)", r"(?P<person>a)\1", r"(?P<person>a++)"],
)
def test_what_is_not_taken_is_said(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(DatasetError, match="look-around, back references and possessive repeats"):
        read_dataset(tmp_path, "pattern", pattern)


def test_text_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="sign 12 is no character"):
        UserPattern("(?P<person>\ud800)")


def test_groups_are_found_as_by_python() -> None:
    pattern = UserPattern(r"(?P<person>-?\d+)(?:_c(?P<camera>\d+))?.*")
    assert pattern.fullmatch("0012_c3_f") == {"person": "0012", "camera": "3"}
    assert pattern.fullmatch("-1x") == {"person": "-1", "camera": None}
    assert pattern.fullmatch("x12") is None
    assert dict(pattern.groupindex) == {"person": 1, "camera": 2}


def test_names_that_are_no_utf_8_keep_their_bytes_and_stay_apart() -> None:
    pattern = UserPattern(r"(?P<person>[^_]+)_.*")
    names = [os.fsdecode(name) for name in (b"M\xfcller_1", b"M\xf6ller_1", "Müller_1".encode())]
    found = [match["person"] for name in names if (match := pattern.fullmatch(name))]
    assert [os.fsencode(person or "") for person in found] == [
        b"M\xfcller", b"M\xf6ller", "Müller".encode(),
    ]  # fmt: skip
