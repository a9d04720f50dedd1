"""constraints.txt: every package at one version, wherever it comes from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, cast

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LINES = [
    line
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
LOCKED = [Requirement(line) for line in LINES]


def asked_for() -> list[Requirement]:
    """Requirements of the base install and of every extra, but for our own extras."""
    extras = cast("dict[str, list[str]]", PROJECT["optional-dependencies"])
    texts = [*PROJECT["dependencies"], *(text for extra in extras.values() for text in extra)]
    requirements = [Requirement(text) for text in texts]
    return [requirement for requirement in requirements if requirement.name != PROJECT["name"]]


def locked_versions(name: str, python: str) -> list[str]:
    """The versions that a Python on Linux x86-64 would get."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
    }
    return [
        next(iter(lock.specifier)).version
        for lock in LOCKED
        if canonicalize_name(lock.name) == canonicalize_name(name)
        and (lock.marker is None or lock.marker.evaluate(environment))
    ]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("requirement", asked_for(), ids=str)
def test_every_requirement_is_locked_to_one_fitting_version(
    requirement: Requirement, python: str
) -> None:
    (version,) = locked_versions(requirement.name, python)
    assert version in requirement.specifier


def test_every_line_is_an_exact_version() -> None:
    inexact = [line for line in LINES if not re.match(r"[a-z0-9._-]+==[^=*;]+( ;.*)?$", line)]
    assert inexact == []


def test_no_address_is_named() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert not re.search(r"://|^\s*-|\s@\s", text, flags=re.MULTILINE)


def test_the_broken_torch_is_never_chosen() -> None:
    (torch,) = [requirement for requirement in asked_for() if requirement.name == "torch"]
    assert "2.13.0" not in torch.specifier


def test_the_base_install_has_no_torch() -> None:
    base = {Requirement(text).name for text in PROJECT["dependencies"]}
    assert base.isdisjoint({"torch", "torchvision", "timm", "safetensors", "fakeredis"})
