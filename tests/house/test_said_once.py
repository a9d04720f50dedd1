"""What one file does for all: no other file does it in its own way."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dgnet.jobs import media_types
from tests.house.rooms import ROOT, sources

MEDIA_TYPES = frozenset(
    value
    for value in (*vars(media_types).values(), *media_types.ARCHIVES)
    if isinstance(value, str) and re.fullmatch(r"[a-z]+/[a-z0-9.+-]+", value)
)
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
SOURCES = [
    path for path in sources() if path.relative_to(ROOT).parts[0] not in ("benchmarks", "tests")
]


def half_written(node: ast.AST) -> bool:
    """A file under another name until it is complete, or brought to the disk."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and node.value.endswith(".part")
    return isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.fsync", "os.replace")


def hashed(node: ast.AST) -> bool:
    """The hash of a file's bytes."""
    return isinstance(node, ast.Attribute) and node.attr == "file_digest"


def array_named(node: ast.AST) -> bool:
    """A name for arrays of one kind of number."""
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    return value is not None and ast.unparse(value).startswith("NDArray[np.")


def version_told(node: ast.AST) -> bool:
    """Which release this is."""
    if isinstance(node, ast.ImportFrom):
        return node.module == "importlib.metadata"
    return isinstance(node, ast.Constant) and node.value == VERSION


def media_type_named(node: ast.AST) -> bool:
    """What HTTP calls a format that others name, too."""
    return isinstance(node, ast.Constant) and node.value in MEDIA_TYPES


def picture_encoded(node: ast.AST) -> bool:
    """Pixels made the bytes of a file, in a format that stands there."""
    if not isinstance(node, ast.Call) or not ast.unparse(node.func).endswith(".save"):
        return False
    formats = {part.value for part in node.args if isinstance(part, ast.Constant)}
    return not formats.isdisjoint({"PNG", "JPEG", "WEBP"})


HOMES: dict[Callable[[ast.AST], bool], set[str]] = {
    half_written: {"dgnet/files.py"},
    hashed: {"dgnet/files.py"},
    media_type_named: {"jobs/media_types.py"},
    picture_encoded: {"pictures/jpeg.py"},
    version_told: {"dgnet/release.py"},
    array_named: {"dgnet/arrays.py", "people/arrays.py"},
}


def places(is_it: Callable[[ast.AST], bool]) -> Iterator[str]:
    """Files that do it."""
    for path in SOURCES:
        if any(is_it(node) for node in ast.walk(ast.parse(path.read_text()))):
            yield Path(path.relative_to(ROOT)).as_posix()


@pytest.mark.parametrize("is_it", HOMES, ids=lambda is_it: is_it.__name__)
def test_one_file_does_it(is_it: Callable[[ast.AST], bool]) -> None:
    assert set(places(is_it)) == HOMES[is_it]
