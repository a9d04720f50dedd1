"""Whether a job may put its set to a URL: only below a prefix that the operator named."""

from __future__ import annotations

from urllib.parse import unquote


def is_allowed(url: str, allowed: str) -> bool:
    """`allowed` holds prefixes separated by commas; a prefix ends where a name ends, so that
    s3://bucket does not let s3://bucket-of-others in, and no step upwards leads out of it.
    """
    if {"..", "."} & set(unquote(url).split("/")):
        return False
    prefixes = [prefix.strip().rstrip("/") for prefix in allowed.split(",") if prefix.strip()]
    return any(url == prefix or url.startswith(f"{prefix}/") for prefix in prefixes)
