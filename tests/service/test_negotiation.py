"""Accept and Prefer, as their RFCs read."""

from __future__ import annotations

import pytest

from dgnet.jobs.media_types import COMPOSITES, JPEG, NPY, PNG, WEBP
from dgnet.service.negotiation import Preference, negotiate, parse_prefer
from dgnet.service.problems import Problem


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, PNG),
        ("", PNG),
        ("*/*", PNG),
        ("image/*", PNG),
        (WEBP, WEBP),
        ("IMAGE/WebP", WEBP),
        ("image/jpeg;q=0.5, image/webp;q=0.9", WEBP),
        ("image/avif, image/webp, image/*;q=0.8, */*;q=0.5", WEBP),
        ("text/html, application/x-npy", NPY),
        ("image/*, image/png;q=0", JPEG),
        ("*/*, image/png;q=0.1", JPEG),
        ("image/jpeg, image/png", PNG),
        ("image/png;level=1", PNG),
        ("nonsense, image/webp", WEBP),
    ],
)
def test_the_most_wanted_offered_format_is_chosen(accept: str | None, chosen: str) -> None:
    assert negotiate(accept, COMPOSITES) == chosen


@pytest.mark.parametrize(
    "accept", ["text/html", "image/gif", "image/png;q=0", "image/png;q=much", "*/*;q=0"]
)
def test_formats_that_are_not_offered_are_not_acceptable(accept: str) -> None:
    with pytest.raises(Problem) as caught:
        negotiate(accept, COMPOSITES)
    assert caught.value.kind.status == 406
    assert WEBP in caught.value.detail


@pytest.mark.parametrize(
    ("values", "preference"),
    [
        ([], Preference()),
        (["respond-async"], Preference(respond_async=True)),
        (["Respond-Async"], Preference(respond_async=True)),
        (["wait=10"], Preference(wait_seconds=10)),
        (["respond-async, wait=10"], Preference(respond_async=True, wait_seconds=10)),
        (["respond-async", 'wait = "5"'], Preference(respond_async=True, wait_seconds=5)),
        (["wait=1, wait=9"], Preference(wait_seconds=1)),
        (["wait=soon, handling=lenient; x=1"], Preference()),
        (["wait=-1"], Preference()),
    ],
)
def test_preferences_are_read_and_nonsense_is_ignored(
    values: list[str], preference: Preference
) -> None:
    assert parse_prefer(values) == preference
