"""Plain sockets for tests: what no HTTP client would send, and who does not read or write on."""

from __future__ import annotations

import socket
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress

HEAD = b"Host: localhost\r\nConnection: close\r\n"
FORM = b"Content-Type: multipart/form-data; boundary=b\r\n"
PART = b'--b\r\nContent-Disposition: form-data; name="appearance"; filename="a.png"\r\n\r\n'


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


@contextmanager
def connection(url: str, *, receive_bytes: int | None = None) -> Generator[socket.socket]:
    with socket.socket() as client:
        if receive_bytes is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.settimeout(30)
        client.connect(("127.0.0.1", port_of(url)))
        yield client


def answer(client: socket.socket) -> bytes:
    """Whatever comes until the server closes; a reset ends it too."""
    parts: list[bytes] = []
    try:
        while part := client.recv(65_536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def asked(url: str, data: bytes) -> bytes:
    """The answer to bytes that are sent at once."""
    with connection(url) as client:
        with suppress(ConnectionError):
            client.sendall(data)
        return answer(client)


def trickle(client: socket.socket, *, every_seconds: float, for_seconds: float) -> None:
    """A byte now and then; raises ConnectionError once the server has enough of it."""
    give_up_at = time.monotonic() + for_seconds
    while time.monotonic() < give_up_at:
        client.sendall(b"x")
        time.sleep(every_seconds)


def send_until_nobody_reads(client: socket.socket, data: bytes, most_bytes: int) -> int:
    """How many bytes the other side took before it did not for two seconds."""
    client.settimeout(2)
    sent = 0
    with suppress(TimeoutError):
        while sent < most_bytes:
            sent += client.send(data)
    return sent
