"""`dgnet serve` as a process: one for everything, or the front end alone."""

from __future__ import annotations

import signal
import socket
import urllib.request

import pytest

from dgnet.failures import CommandError
from dgnet.hosting import listen
from tests.dgnet.conftest import fake_service

STOP_SECONDS = 60.0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_embedded_service_stops_with_exit_code_0(number: signal.Signals) -> None:
    with fake_service() as (process, server):
        with urllib.request.urlopen(f"{server}/livez") as answer:
            assert answer.status == 200
        process.send_signal(number)
        assert process.wait(STOP_SECONDS) == 0


def test_a_port_in_use_is_told_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"cannot listen on 127.0.0.1:{port}: Address"):
            listen("127.0.0.1", port)
