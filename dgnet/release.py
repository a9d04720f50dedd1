"""Which release this is. `pyproject.toml` says it; an installation knows it from there."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def _installed() -> str:
    try:
        return version("dgnet")
    except PackageNotFoundError:  # run from the sources
        return "uninstalled"


RELEASE = _installed()
