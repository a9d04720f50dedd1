"""Synthetic data for person re-identification. Importing this loads nothing else.

The names below are loaded when they are first asked for, so that `from dgnet import Client` needs
no torch. The rooms are folders beside this one, by links: docs/architecture.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dgnet.client import AsyncClient as AsyncClient
    from dgnet.client import Client as Client
    from dgnet.client import DGNetClient as DGNetClient
    from dgnet.client import DGNetError as DGNetError
    from dgnet.client import JobFailed as JobFailed
    from dgnet.generation.generate import generate as generate
    from dgnet.model.data.layouts import read_dataset as read_dataset
    from dgnet.model.predictor import Predictor as Predictor

_HOMES = {
    "AsyncClient": "dgnet.client:AsyncClient",
    "Client": "dgnet.client:Client",
    "DGNetClient": "dgnet.client:DGNetClient",
    "DGNetError": "dgnet.client:DGNetError",
    "JobFailed": "dgnet.client:JobFailed",
    "Predictor": "dgnet.model.predictor:Predictor",
    "generate": "dgnet.generation.generate:generate",
    "read_dataset": "dgnet.model.data.layouts:read_dataset",
}

__all__ = [
    "AsyncClient",
    "Client",
    "DGNetClient",
    "DGNetError",
    "JobFailed",
    "Predictor",
    "generate",
    "read_dataset",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dgnet' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
