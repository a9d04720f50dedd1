"""Whatever is imported is asked for in pyproject.toml: nothing works by accident of another."""

from __future__ import annotations

import ast
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.house.test_constraints import asked_for

ROOT = Path(__file__).parents[2]
OURS = {"dgnet", "model", "people", "pictures", "worker", "service", "tests", "benchmarks"}
ASKED_FOR = {canonicalize_name(requirement.name) for requirement in asked_for()}


def imported_packages(folder: str) -> dict[str, str]:
    """Top-level names of other people's packages, each with a file that imports it."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                found.setdefault(name.partition(".")[0], str(path.relative_to(ROOT)))
    others = found.keys() - OURS - set(sys.stdlib_module_names)
    return {name: found[name] for name in others}


@pytest.mark.parametrize("folder", sorted(OURS))
def test_every_imported_package_is_asked_for(folder: str) -> None:
    distributions = packages_distributions()
    missing = {
        f"{package} ({where})"
        for package, where in imported_packages(folder).items()
        if ASKED_FOR.isdisjoint(map(canonicalize_name, distributions.get(package, [package])))
    }
    assert missing == set()
