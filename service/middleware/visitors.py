"""Who may come in: requests under our own names, and of no web page but our own.

A page that somebody opens in a browser can send requests to this service in their name. Two ways
are closed here. A name of the page's own that is made to lead to this machine (DNS rebinding)
arrives as `Host`: without keys only loopback names, IP literals, which cannot be made to lead
elsewhere, and names from the settings are ours. A form or script that sends to us from its own
origin is told by `Sec-Fetch-Site`, which pages cannot write, and where a browser sends none (older
ones; plain HTTP beyond the own machine) by `Origin`. Programs send neither, and may.

A browser says `same-origin` of a rebound name, too, and a proxy in front that puts its own `Host`
in place hides that name; `Origin` still has it. So where names are asked, both have to be ours.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from dgnet.service.problems import BAD_REQUEST, CROSS_SITE, MISDIRECTED, Problem, problem_response

# For orchestrators, which ask by whatever address they have, and show no pictures.
OPEN_PATHS = frozenset({"/livez", "/readyz", "/metrics"})
ANY_NAME = "*"
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::(\d{0,5}))?")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({b"same-origin", b"none"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


class VisitorMiddleware:
    """Answers 400, 421 or 403 in place of the app."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        allowed_hosts: Collection[str],
        any_host: bool,
        retry_after_seconds: float,
    ) -> None:
        """`any_host` where keys protect: a page of others has none."""
        self._app = app
        self._names = frozenset(name.lower().rstrip(".") for name in allowed_hosts)
        self._any_host = any_host or ANY_NAME in self._names
        self._retry_after_seconds = retry_after_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (problem := self._refusal(scope)) is not None:
            response = problem_response(
                problem, scope, retry_after_seconds=self._retry_after_seconds
            )
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem | None:
        host = origin = site = mode = None
        hosts = 0
        for name, value in scope["headers"]:
            if name == b"host":
                host, hosts = value, hosts + 1
            elif name == b"origin":
                origin = value
            elif name == b"sec-fetch-site":
                site = value
            elif name == b"sec-fetch-mode":
                mode = value
        is_open = scope["path"] in OPEN_PATHS
        if hosts != 1 and not (hosts == 0 and is_open and scope["http_version"] == "1.0"):
            return Problem(BAD_REQUEST, f"The request has {hosts} Host headers; expected one.")
        if host is not None and not is_open and (problem := self._misdirected(host)):
            return problem
        if site is None and origin is None:
            return None
        if scope["method"] in _SAFE_METHODS and (
            not scope["path"].startswith("/v1/") or mode == b"navigate"
        ):
            return None  # a link to us, or what shows and costs nothing
        if self._is_own_page(host, origin, site):
            return None
        return Problem(
            CROSS_SITE,
            f"A page of another site sent this request (Origin {_shown(origin)}, Sec-Fetch-Site "
            f"{_shown(site)}); only this service's own page may. If it is one of its names, the "
            "operator has to add it to DGNET_ALLOWED_HOSTS.",
        )

    def _misdirected(self, host: bytes) -> Problem | None:
        authority = _AUTHORITY.fullmatch(host.decode("latin-1"))
        if authority is None:
            return Problem(BAD_REQUEST, f"Host is {_shown(host)}; expected a name and a port.")
        name = authority[1]
        if self._any_host or _leads_nowhere_else(name) or self._is_named(name):
            return None
        return Problem(
            MISDIRECTED,
            f"Host is {name[:100]!r}, which is no name of this service: without API keys it "
            "answers to localhost, IP addresses and the names in DGNET_ALLOWED_HOSTS; ask its "
            "operator to add this one.",
        )

    def _is_named(self, name: str) -> bool:
        name = name.lower().rstrip(".")
        parents = name.split(".")
        return name in self._names or any(
            f"*.{'.'.join(parents[number:])}" in self._names for number in range(1, len(parents))
        )

    def _is_own_page(self, host: bytes | None, origin: bytes | None, site: bytes | None) -> bool:
        site = None if site is None else site.strip()
        if site in _OWN_SITES:
            return origin is None or self._any_host or self._is_own_name(host, origin)
        if site is not None and site != b"same-site":
            return False
        return self._is_own_origin(host, origin)

    def _is_own_name(self, host: bytes | None, origin: bytes) -> bool:
        """The browser has compared ports, which a proxy may change: the name is left to us."""
        name = _origin(origin)[0]
        if not name:
            return False
        return name == _host(host)[0] or _leads_nowhere_else(name) or self._is_named(name)

    def _is_own_origin(self, host: bytes | None, origin: bytes | None) -> bool:
        if origin is None:
            return False
        (name, port, scheme), (own_name, own_port) = _origin(origin), _host(host)
        if not name:
            return False
        # Behind a proxy that ends TLS our own scheme is not the page's.
        default_port = _DEFAULT_PORTS.get(scheme)
        is_own = name == own_name and (port or default_port) == (own_port or default_port)
        return is_own or self._is_named(name)


def _origin(origin: bytes) -> tuple[str, int | None, str]:
    """Name, port and scheme; no name where it is none, as of `null`."""
    try:
        parts = urlsplit(origin.decode("latin-1"))
        return parts.hostname or "", parts.port, parts.scheme
    except ValueError:
        return "", None, ""


def _host(host: bytes | None) -> tuple[str, int | None]:
    authority = _AUTHORITY.fullmatch((host or b"").decode("latin-1"))
    if authority is None:
        return "", None
    return authority[1].strip("[]").lower(), int(authority[2]) if authority[2] else None


@lru_cache(maxsize=256)
def _leads_nowhere_else(name: str) -> bool:
    """Loopback names, which browsers never ask a name server about, and addresses themselves."""
    plain = name.lower().rstrip(".")
    if plain == "localhost" or plain.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(plain.strip("[]"))
    except ValueError:
        return False
    return True


def _shown(value: bytes | None) -> str:
    return "absent" if value is None else repr(value.decode("latin-1")[:100])
