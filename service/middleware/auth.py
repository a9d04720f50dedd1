"""Asks for a bearer key on /v1 when keys are configured.

Health, metrics, the page and the OpenAPI document stay open: they show no pictures. Keys are
compared as digests in constant time, all of them every time, and are never logged.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from dgnet.service.problems import UNAUTHORIZED, Problem, problem_response

PROTECTED_PREFIX = "/v1/"


class AuthMiddleware:
    """Refuses requests to /v1 that carry no known key; not installed when no key is configured."""

    def __init__(
        self, app: ASGIApp, *, api_keys: Sequence[SecretStr], retry_after_seconds: float
    ) -> None:
        self._app = app
        self._digests = [_digest(key.get_secret_value().encode()) for key in api_keys]
        self._retry_after_seconds = retry_after_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or not scope["path"].startswith(PROTECTED_PREFIX)
            or self._is_known(_bearer_key(scope))
        ):
            await self._app(scope, receive, send)
            return
        problem = Problem(
            UNAUTHORIZED,
            "The Authorization header holds no accepted key; expected 'Authorization: Bearer KEY'.",
            headers={"WWW-Authenticate": 'Bearer realm="dgnet"'},
        )
        response = problem_response(problem, scope, retry_after_seconds=self._retry_after_seconds)
        await response(scope, receive, send)

    def _is_known(self, key: bytes | None) -> bool:
        if key is None:
            return False
        digest = _digest(key)
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return any(matches)


def _bearer_key(scope: Scope) -> bytes | None:
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, key = value.partition(b" ")
            return key.strip() if scheme.lower() == b"bearer" else None
    return None


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
