"""Gives every request an id, its metrics, a log line, and an answer when all else fails.

Unless all requests are to be logged, only failed ones are: a line costs as much as parsing a form.
The log names method, path, status and time; never bodies, query strings or keys.
"""

from __future__ import annotations

import logging
import os
import re
import time

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dgnet.service.metrics import Metrics
from dgnet.service.problems import INTERNAL_ERROR, Problem, problem_response

access_log = logging.getLogger("dgnet.access")
error_log = logging.getLogger("dgnet.service")

_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}\Z")
CLIENT_CLOSED_REQUEST = 499  # nginx's word for it; only logs and metrics ever see it


class ContextMiddleware:
    """The outermost middleware."""

    def __init__(
        self, app: ASGIApp, *, metrics: Metrics, log_all: bool, retry_after_seconds: float
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._log_all = log_all
        self._retry_after_seconds = retry_after_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope["request_id"] = request_id.decode()
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            status = status or CLIENT_CLOSED_REQUEST
        except Exception:
            error_log.exception("request_id=%s failed", scope["request_id"])
            if status:
                raise  # half an answer is out: only closing the connection tells the client
            problem = Problem(
                INTERNAL_ERROR,
                "The server failed to answer; the cause is in its log under this request_id.",
            )
            response = problem_response(
                problem, scope, retry_after_seconds=self._retry_after_seconds
            )
            await response(scope, receive, send_with_id)
        finally:
            self._record(scope, status or CLIENT_CLOSED_REQUEST, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        # Known routes only: paths and methods that clients invent must not become label values.
        route = getattr(scope.get("route"), "path", None) or "unmatched"
        method = scope["method"] if route != "unmatched" else "any"
        self._metrics.observe(method=method, route=route, status=status, seconds=seconds)
        if not self._log_all and status < 400:
            return
        access_log.info(
            "request_id=%s method=%s path=%r status=%d ms=%.1f",
            scope["request_id"],
            scope["method"],
            scope["path"],
            status,
            seconds * 1000,
        )


def _request_id(scope: Scope) -> bytes:
    """The client's own id when it is sane, so that logs can be joined; else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_ID.match(value):
            return value
    return os.urandom(16).hex().encode()
