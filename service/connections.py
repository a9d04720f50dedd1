"""What one connection may hold: bounds beneath the application, where no route can see.

uvicorn bounds neither size nor time of a request's head with httptools (its option for that reaches
h11 alone), answers pipelined requests without back pressure, and has a clock for idle connections
but none for bodies. So its protocol is taken and narrowed:

- The head (first line and headers) has a size and a time; so have chunk headers and trailers.
- A head that asks for another protocol is one of a usual request. The parser would stop there: the
  body of `curl --http2`, and every later request of Java's client, would be lost.
- Whatever arrives behind a request that waits for its turn is kept unread, and reading stops.
- A body that is sent to us, or an answer that is fetched from us, must go on: at least so many
  bytes in any stretch of the idle time, counted while the other side is the one who is waited for.
  Of an answer counts what the client's machine has confirmed, not what was handed to the kernel.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import struct
import termios
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from socket import SO_LINGER, SOL_SOCKET, socket
from typing import Any, Final, cast

import httptools
from starlette.types import Scope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from dgnet.service.problems import (
    BAD_REQUEST,
    BODY_STALLED,
    HEAD_TIMEOUT,
    HEAD_TOO_LARGE,
    Problem,
    problem_response,
)

_log = logging.getLogger("dgnet.service")

LIMITS_KEY: Final = "connection_limits"
"""Of the lifespan's state, which uvicorn hands to every connection."""

MOST_HEADERS: Final = 128
_FRAMING: Final = (b"content-length", b"transfer-encoding")
_HEAD_PIECE: Final = 4096  # bytes parsed at once: as many small requests come out at most
_BODY_PIECE: Final = 16_384
_STEPS: Final = 8  # looks at a body in one idle time
_LONGEST_STEP_SECONDS: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """What every connection alike may do; defaults as in `ServiceSettings`."""

    head_bytes: int = 32_768
    head_seconds: float = 10.0
    body_idle_seconds: float = 30.0
    least_bytes_per_second: float = 1024.0

    @property
    def step_seconds(self) -> float:
        """How often a connection is looked at."""
        return min(_LONGEST_STEP_SECONDS, self.body_idle_seconds / _STEPS, self.head_seconds / 4)


class _LeastRate:
    """Whether bytes go on, looked at every step: the last ones, an idle time in all, count."""

    def __init__(self, limits: ConnectionLimits) -> None:
        steps = round(limits.body_idle_seconds / limits.step_seconds)
        self._totals: deque[int] = deque(maxlen=steps + 1)
        self._least = max(1.0, limits.least_bytes_per_second * limits.body_idle_seconds)

    def forget(self) -> None:
        """Nobody is waited for, or another body begins."""
        self._totals.clear()

    def is_too_slow(self, total: int) -> bool:
        """`total` has gone through so far."""
        self._totals.append(total)
        full = len(self._totals) == self._totals.maxlen
        return full and total - self._totals[0] < self._least


class _Flow(FlowControl):
    """Reading stays paused while `held`, whatever the application asks for."""

    held = False

    def hold(self) -> None:
        self.held = True
        self.pause_reading()

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()


class _CountedTransport:
    """A transport that knows how much was written to it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._socket = transport.get_extra_info("socket")
        self.written = 0
        self.write_to = transport.write

    def write(self, data: bytes) -> None:
        self.written += len(data)
        self.write_to(data)

    def unread_bytes(self) -> int:
        """Written and not confirmed by the client's machine."""
        waiting = self._transport.get_write_buffer_size()
        try:
            unsent = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4))
        except (OSError, AttributeError):  # no such question here: the kernel's share is not seen
            return waiting
        return waiting + struct.unpack("i", unsent)[0]

    def reset(self) -> None:
        """Let go of it at once, and of what the kernel still keeps for a client that reads nothing:
        closed as usual, that would be offered to it for many minutes.
        """
        with suppress(OSError, AttributeError), socket(fileno=os.dup(self._socket.fileno())) as own:
            own.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol within `ConnectionLimits`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        state = cast("Mapping[str, Any]", self.app_state)
        self._limits = cast("ConnectionLimits", state.get(LIMITS_KEY) or ConnectionLimits())
        self._incoming, self._outgoing = _LeastRate(self._limits), _LeastRate(self._limits)
        self._unparsed = bytearray()  # what came behind a request that waits for its turn
        self._messages = 0  # requests that arrived whole
        self._in_body = False
        self._head_begun = False
        self._head_bytes = 0
        self._head_since: float | None = None
        self._too_many_headers = False
        self._body_bytes = 0
        self._between_bytes = 0  # of chunk headers or trailers since the body last went on
        self._next_look: asyncio.TimerHandle | None = None
        self._framing = b""  # headers that say how long the body is, where the parser stops before
        self._replays_head = False

    # What the transport calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._counted = _CountedTransport(transport)
        super().connection_made(cast("asyncio.Transport", self._counted))
        self.flow = self._held_flow = _Flow(self.transport)
        self._head_since = self.loop.time()
        self._look_again()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None
        self._unparsed.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._held_flow.held:
            self._unparsed += data
        else:
            self._parse(data)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._held_flow.held and not self.pipeline and not self.transport.is_closing():
            rest = bytes(self._unparsed)
            self._unparsed.clear()
            self._held_flow.held = False
            self._unset_keepalive_if_required()
            self._parse(rest)
            self.flow.resume_reading()

    # What the parser calls

    def on_message_begin(self) -> None:
        if self._replays_head:
            return
        super().on_message_begin()
        self._head_begun = True
        self._too_many_headers = False

    def on_url(self, url: bytes) -> None:
        if not self._replays_head:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_body:
            return  # trailers, which nobody asks for, or a head that is known
        if len(self.headers) >= MOST_HEADERS:
            self._too_many_headers = True
            return
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._replays_head:
            return
        self._framing = b""
        if self.parser.should_upgrade():
            self._framing = b"".join(
                b"%s: %s\r\n" % header for header in self.headers if header[0] in _FRAMING
            )
        self._in_body, self._head_begun = True, False
        self._head_bytes = self._body_bytes = self._between_bytes = 0
        self._head_since = None
        self._incoming.forget()
        if self._too_many_headers or self.transport.is_closing():
            return  # refused as soon as the parser returns
        if not self.url.startswith(b"/"):
            self._take_host_from_target()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        self._between_bytes = 0
        if self._current() is not None and not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._framing and not self._replays_head and self.parser.should_upgrade():
            return  # so the parser says, before the body
        self._in_body = False
        self._messages += 1
        if self._current() is not None and not self.transport.is_closing():
            super().on_message_complete()

    def _parse(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest and not self.transport.is_closing():
            if self.pipeline:
                self._unparsed += rest
                self._held_flow.hold()
                return
            size = _BODY_PIECE if self._in_body else _HEAD_PIECE
            self._parse_piece(rest[:size])
            rest = rest[size:]

    def _parse_piece(self, piece: memoryview) -> None:
        messages, body_bytes = self._messages, self._body_bytes
        if self.parser is None:  # the connection is lost
            return
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as stopped:
            self._read_on(piece[stopped.args[0] :])
            return
        except httptools.HttpParserError:
            self._refuse(Problem(BAD_REQUEST, "What arrived is no HTTP request."))
            return
        if self._too_many_headers:
            self._refuse(
                Problem(HEAD_TOO_LARGE, f"The request has more than {MOST_HEADERS} headers.")
            )
        elif self._in_body:
            self._between_bytes = 0 if self._body_bytes != body_bytes else (
                self._between_bytes + len(piece)
            )  # fmt: skip
            if self._between_bytes > self._limits.head_bytes:
                self._refuse(
                    Problem(BAD_REQUEST, "Chunk headers or trailers of the body do not end.")
                )
        else:
            self._count_head(len(piece), is_new=self._messages != messages)

    def _read_on(self, rest: memoryview) -> None:
        """With a new parser, which is given the head again if the body is still to come."""
        self.parser = cast("Any", httptools.HttpRequestParser(self))
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        if self._framing:
            self._replays_head = True
            self.parser.feed_data(b"POST / HTTP/1.1\r\n" + self._framing + b"\r\n")
            self._replays_head = False
        self._parse_piece(rest)

    def _count_head(self, size: int, *, is_new: bool) -> None:
        if is_new:
            self._head_bytes, self._head_since = 0, None
            if not self._head_begun:
                return
        self._head_bytes += size
        if self._head_since is None:
            self._head_since = self.loop.time()
        if self._head_bytes > self._limits.head_bytes:
            self._refuse(
                Problem(
                    HEAD_TOO_LARGE,
                    f"The request's first line and headers have more than "
                    f"{self._limits.head_bytes} bytes (DGNET_MAX_HEAD_BYTES).",
                )
            )

    def _take_host_from_target(self) -> None:
        """A request for a whole address is one for the name in it (RFC 9112, 3.2.2)."""
        target = httptools.parse_url(self.url)
        host, port = cast("tuple[bytes | None, int | None]", (target.host, target.port))
        if host is None:
            return
        if port is not None:
            host = b"%s:%d" % (host, port)
        self.headers[:] = [
            (name, host if name == b"host" else value) for name, value in self.headers
        ]

    def _current(self) -> RequestResponseCycle | None:
        """The request that came last, if there was one."""
        return cast("RequestResponseCycle | None", self.cycle)

    # Clocks

    def _look_again(self) -> None:
        self._next_look = self.loop.call_later(self._limits.step_seconds, self._look)

    def _look(self) -> None:
        self._look_again()
        if self._counted.unread_bytes() == 0:
            self._outgoing.forget()
        elif self._outgoing.is_too_slow(self._counted.written - self._counted.unread_bytes()):
            _log.info("client=%s reads its answer too slowly and is cut off", self.client)
            self._counted.reset()
            return
        if self.transport.is_closing():
            return
        if self._in_body:
            self._look_at_body()
        else:
            self._look_at_head()

    def _look_at_body(self) -> None:
        if self.flow.read_paused:
            self._incoming.forget()
        elif self._incoming.is_too_slow(self._body_bytes):
            self._refuse(
                Problem(
                    BODY_STALLED,
                    f"Less than {self._limits.least_bytes_per_second:g} bytes a second arrived of "
                    f"the body for {self._limits.body_idle_seconds:g} s "
                    "(DGNET_MIN_BYTES_PER_SECOND, DGNET_BODY_IDLE_SECONDS); send it again.",
                )
            )

    def _look_at_head(self) -> None:
        now = self.loop.time()
        cycle = self._current()
        if cycle is not None and not cycle.response_complete:
            if self._head_since is not None:
                self._head_since = now  # a request is answered: the next one has time
        elif self._head_since is None:
            if self.timeout_keep_alive_task is None:
                self._head_since = now
        elif now - self._head_since >= self._limits.head_seconds:
            if not self._head_begun:
                self.transport.close()  # nothing was asked
                return
            self._refuse(
                Problem(
                    HEAD_TIMEOUT,
                    f"The request's first line and headers were not complete after "
                    f"{self._limits.head_seconds:g} s (DGNET_HEAD_TIMEOUT_SECONDS).",
                )
            )

    def _refuse(self, problem: Problem) -> None:
        """Answer in place of the application, and close; only close if it has begun to answer."""
        if self.transport.is_closing():
            return
        cycle = self._current()
        _log.info("client=%s is cut off: %s", self.client, problem)
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started or self.pipeline:
                self._counted.reset()
                return
            cycle.disconnected = True
            cycle.message_event.set()
        request_id = os.urandom(16).hex()
        scope: Scope = {"path": "", "request_id": request_id}
        response = problem_response(problem, scope, retry_after_seconds=1)
        headers = [
            *self.server_state.default_headers,
            *response.raw_headers,
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
        ]
        head = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(
            STATUS_LINE[response.status_code] + head + b"\r\n" + bytes(response.body)
        )
        self.transport.close()
