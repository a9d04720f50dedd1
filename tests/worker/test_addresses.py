"""Addresses are shown without what opens them."""

from __future__ import annotations

import pytest

from dgnet.jobs.addresses import without_secrets
from dgnet.jobs.settings import QueueSettings


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://:secret@redis:6379/0", "redis://***@redis:6379/0"),
        ("rediss://user:secret@redis", "rediss://***@redis"),
        ("redis://secret@redis", "redis://***@redis"),
        ("redis://:se@cret@redis/1", "redis://***@redis/1"),
        ("redis://:se/cret@redis:1/0", "redis://***@redis:1/0"),
        ("redis://:se?cret@redis:1/0", "redis://***@redis:1/0"),
        ("redis://:se#cret@redis:1/0", "redis://***@redis:1/0"),
        ("redis://redis/0?password=secret", "redis://redis/0?***"),
        ("unix://user:secret@/run/redis.sock?db=0", "unix://***@/run/redis.sock?***"),
        ("user:secret@redis:6379", "***@redis:6379"),
        ("https://user:secret@dgnet.example/", "https://***@dgnet.example/"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_secrets(address: str, shown: str) -> None:
    assert without_secrets(address) == shown
    assert "secret" not in without_secrets(address)


def test_settings_are_shown_without_the_queue_s_address() -> None:
    assert "secret" not in repr(QueueSettings(redis_url="redis://:secret@redis"))
