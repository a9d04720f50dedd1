"""What one connection may hold: heads, pipelines, bodies and answers, over real sockets."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import pytest

from dgnet.service.app import create_app
from dgnet.service.settings import ServiceSettings
from tests.processes import service, wait_until_listening
from tests.redis_server import free_port
from tests.service.fakes import FakeJobs, png
from tests.service.server import serving
from tests.service.sockets import (
    FORM,
    HEAD,
    PART,
    answer,
    asked,
    connection,
    send_until_nobody_reads,
    trickle,
)

IDLE_SECONDS = 1.6
HEAD_SECONDS = 1.0
SWAP = b"POST /v1/swaps HTTP/1.1\r\n" + HEAD + FORM


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    """Clocks that tests can wait for."""
    settings = ServiceSettings(head_timeout_seconds=HEAD_SECONDS, body_idle_seconds=IDLE_SECONDS)
    with serving(create_app(settings, FakeJobs())) as url:
        yield url


def status(data: bytes) -> int:
    assert data.startswith(b"HTTP/1.1 "), data[:100]
    return int(data.split(b" ", 2)[1])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"GET /v1/models HTTP/1.1\r\n" + HEAD + b"\r\n", 200),
        (b"GET /livez HTTP/1.0\r\n\r\n", 200),
        (b"GET /livez HTTP/1.1\r\n\r\n", 400),
        (b"GET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"GET /v1/models HTTP/1.0\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\n" + HEAD + b"Host: localhost\r\n\r\n", 400),
        (b"GET http://evil.example/v1/models HTTP/1.1\r\n" + HEAD + b"\r\n", 421),
        (b"GET http://localhost:80/v1/models HTTP/1.1\r\nHost: evil.example\r\n"
         b"Connection: close\r\n\r\n", 200),
        (b"CONNECT evil.example:443 HTTP/1.1\r\n" + HEAD + b"\r\n", 400),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"GET /" + b"a" * 40_000, 431),
        (b"GET / HTTP/1.1\r\n" + HEAD + b"X: " + b"a" * 40_000, 431),
        (b"GET / HTTP/1.1\r\n" + HEAD + b"a: b\r\n" * 200 + b"\r\n", 431),
        (b"\r\n" * 40_000, 431),
        (SWAP + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 100_000, 400),
        (SWAP + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: " + b"a" * 100_000, 400),
    ],
)  # fmt: skip
def test_what_comes_first_is_bounded(url: str, data: bytes, expected: int) -> None:
    told = asked(url, data)
    assert status(told) == expected
    if expected != 200:
        assert b"application/problem+json" in told
        assert b"x-request-id" in told.lower()


UPGRADE = b"Host: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: %s\r\n"
LAST = b"GET /livez HTTP/1.1\r\n" + HEAD + b"\r\n"
FORM_BODY = (
    PART + png() + b"\r\n" + PART.replace(b"appearance", b"structure") + png() + b"\r\n--b--\r\n"
)


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"TLS/1.0"])
@pytest.mark.parametrize("pieces", [1, 7, 100_000])
def test_whoever_asks_for_another_protocol_is_answered_in_this_one(
    url: str, protocol: bytes, pieces: int
) -> None:
    """With body and all, and on the same connection: `curl --http2` and Java's client do so."""
    upgrade = UPGRADE % protocol
    swap = b"POST /v1/swaps HTTP/1.1\r\n" + upgrade + FORM
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(FORM_BODY), FORM_BODY)
    data = (
        (b"GET /livez HTTP/1.1\r\n" + upgrade + b"\r\n") * 2
        + swap + b"Content-Length: %d\r\n\r\n" % len(FORM_BODY) + FORM_BODY
        + swap + b"Transfer-Encoding: chunked\r\n\r\n" + chunked
        + b"POST /v1/swaps HTTP/1.1\r\n" + upgrade + b"Content-Length: 0\r\n\r\n"
        + LAST
    )  # fmt: skip
    size = max(1, len(data) // pieces)
    with connection(url) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(data), size):
            client.sendall(data[start : start + size])
        told = answer(client)
    lines = re.findall(rb"HTTP/1.1 (\d+)", told)
    assert lines == [b"200", b"200", b"200", b"200", b"415", b"200"]


def test_a_wrong_body_behind_such_a_head_is_refused(url: str) -> None:
    swap = b"POST /v1/swaps HTTP/1.1\r\n" + UPGRADE % b"h2c" + FORM
    told = asked(url, swap + b"Transfer-Encoding: chunked\r\n\r\nno length\r\n")
    assert status(told) == 400


@pytest.mark.parametrize(
    "data", [b"", b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nX: y\r\n", b"\r\n\r\n"]
)
def test_a_head_that_does_not_end_is_cut(url: str, data: bytes) -> None:
    started = time.monotonic()
    told = asked(url, data)
    assert HEAD_SECONDS * 0.7 < time.monotonic() - started < HEAD_SECONDS + 5
    assert status(told) == 408 if data.strip() else told == b""


def test_a_head_that_trickles_is_cut(url: str) -> None:
    started = time.monotonic()
    with connection(url) as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        with pytest.raises(ConnectionError):
            trickle(client, every_seconds=0.1, for_seconds=HEAD_SECONDS + 10)
    assert time.monotonic() - started < HEAD_SECONDS + 5


def test_the_next_head_on_a_connection_has_its_own_time(url: str) -> None:
    request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connection(url) as client:
        for _ in range(4):
            client.sendall(request[:10])
            time.sleep(HEAD_SECONDS * 0.5)
            client.sendall(request[10:])
            assert status(client.recv(4096)) == 200


@pytest.mark.parametrize(
    "data",
    [
        SWAP + b"Content-Length: 100000\r\n\r\n",
        SWAP + b"Content-Length: 100000\r\n\r\n" + PART + b"x" * 90_000,
        SWAP + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc",
    ],
)
def test_a_body_that_stops_is_cut(url: str, data: bytes) -> None:
    started = time.monotonic()
    told = asked(url, data)
    assert IDLE_SECONDS * 0.7 < time.monotonic() - started < IDLE_SECONDS + 5
    assert status(told) == (408 if data.startswith(SWAP) else 404)


def test_a_body_that_trickles_is_cut_and_one_that_is_slow_is_not(url: str) -> None:
    started = time.monotonic()
    with connection(url) as client:
        client.sendall(SWAP + b"Content-Length: 100000\r\n\r\n" + PART)
        with pytest.raises(ConnectionError):
            trickle(client, every_seconds=0.05, for_seconds=IDLE_SECONDS + 10)
    assert time.monotonic() - started < IDLE_SECONDS + 5
    with connection(url) as client:  # 4 kB a second for longer than the idle time
        client.sendall(SWAP + b"Content-Length: 12800\r\n\r\n")
        for _ in range(32):
            client.sendall(b"x" * 400)
            time.sleep(0.1)
        assert status(answer(client)) == 400  # no form, but read to its end


def memory_bytes(process_id: int) -> int:
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def test_requests_that_are_pipelined_wait_unread() -> None:
    """Nine megabytes of requests on a connection that reads nothing, then everything."""
    redis_url = f"redis://127.0.0.1:{free_port()}"  # nobody: /livez asks nothing of it
    one = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
    with service("--redis-url", redis_url) as (process, url):
        wait_until_listening(process, url)
        before = memory_bytes(process.pid)
        with connection(url) as client:
            sent = send_until_nobody_reads(client, one * 1000, 250_000 * len(one))
            assert sent < 250_000 * len(one)
            assert memory_bytes(process.pid) - before < 30_000_000
            # Others are served meanwhile.
            assert status(asked(url, b"GET /livez HTTP/1.1\r\n" + HEAD + b"\r\n")) == 200


def test_all_requests_that_are_pipelined_are_answered_in_order(url: str) -> None:
    count = 3000
    requests = b"".join(
        b"GET /v1/models/m%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number
        for number in range(count)
    )
    requests += b"GET /v1/models/last HTTP/1.1\r\n" + HEAD + b"\r\n"
    with connection(url) as client:
        client.setblocking(False)
        told, rest = bytearray(), memoryview(requests)
        give_up_at = time.monotonic() + 60
        while b"'last'" not in told:
            assert time.monotonic() < give_up_at
            if rest:
                with suppress(BlockingIOError):
                    rest = rest[client.send(rest) :]
            try:
                told += client.recv(65_536)
            except BlockingIOError:
                time.sleep(0.001)
    places = [told.index(b'/v1/models/m%d"' % number) for number in range(count)]
    assert places == sorted(places)


def test_a_body_behind_a_pipelined_request_arrives_whole(url: str) -> None:
    body = b"x" * 300_000
    get = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    post = SWAP + b"Content-Length: %d\r\n\r\n" % len(body) + body
    told = asked(url, get * 50 + post)
    assert told.count(b"HTTP/1.1 200") == 50
    assert told.count(b"HTTP/1.1 400") == 1  # no form, but read to its end


def test_half_closed_connections_are_answered(url: str) -> None:
    with connection(url) as client:
        client.sendall(b"GET /livez HTTP/1.1\r\n" + HEAD + b"\r\n")
        client.shutdown(socket.SHUT_WR)
        assert status(answer(client)) in (200,)
