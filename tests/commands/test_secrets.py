"""No command prints a password that stands in an address."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from dgnet.client import Client, DGNetError
from dgnet.commands.cli import main
from tests.redis_server import RedisServer

SECRET = "geheim"


def test_the_service_announces_its_queue_without_the_password() -> None:
    with RedisServer() as redis:
        url = redis.url.replace("redis://", f"redis://:{SECRET}@")  # there is none: an error
        with subprocess.Popen(
            [sys.executable, "-m", "dgnet", "serve", "--port", "0", "--redis-url", url],
            env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            first = process.stdout.readline()
            lines = [first]
            while "does not answer" not in lines[-1]:
                lines.append(process.stdout.readline())
                assert lines[-1], lines
            process.terminate()
            rest, _ = process.communicate(timeout=60)
    assert "queues at redis://***@127.0.0.1:" in first
    assert SECRET not in "".join(lines) + rest


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:a/{SECRET}@127.0.0.1:1/0",
        f"redis://:{SECRET}@127.0.0.1:no-port",
        f"http://:{SECRET}@127.0.0.1",
        f"redis://127.0.0.1/?password={SECRET}&db=x",
    ],
)
@pytest.mark.parametrize("command", ["serve", "worker"])
def test_an_address_that_is_wrong_is_told_without_the_password(
    command: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, "--redis-url", url, *(["--port", "0"] if command == "serve" else [])])
    told = capsys.readouterr()
    assert stop.value.code == 2
    assert "cannot use the queue" in told.err
    assert SECRET not in told.out + told.err


@pytest.mark.parametrize("server", ["http://u:{}@127.0.0.1:1", "http://u:{}@127.0.0.1:no"])
def test_the_client_names_its_server_without_the_password(server: str) -> None:
    with (
        pytest.raises(DGNetError) as told,
        Client(server.format(SECRET), timeout_seconds=5) as client,
    ):
        client.models()
    assert "***@127.0.0.1" in str(told.value)
    assert SECRET not in str(told.value)
