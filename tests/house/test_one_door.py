"""Pictures are decoded in one place: everything else asks `pictures`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = sorted(path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests")
SOURCES = sorted({path.resolve() for room in ROOMS for path in room.rglob("*.py")})
DOOR = ROOT / "pictures" / "door.py"
OTHER_DECODERS = frozenset(
    {"cv2", "imageio", "tifffile", "torchvision.io", "torchvision.datasets", "skimage.io"}
)


def image_modules(tree: ast.AST) -> set[str]:
    """Under which names a file knows the module PIL.Image."""
    names: set[str] = {"PIL.Image"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "PIL":
            names |= {name.asname or name.name for name in node.names if name.name == "Image"}
        elif isinstance(node, ast.Import):
            names |= {n.asname for n in node.names if n.name == "PIL.Image" and n.asname}
    return names


def openings(tree: ast.AST) -> Iterator[ast.AST]:
    """Wherever a file decodes pictures, or takes hold of what does."""
    images = image_modules(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            opens = node.attr == "open" and owner in images
            parses = node.attr == "Parser" and owner.endswith("ImageFile")
            if opens or parses or node.attr in ("imread", "decode_image"):
                yield node
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            whole = {module, *(f"{module}.{name.name}" for name in node.names)}
            if whole & OTHER_DECODERS or (
                module == "PIL.Image" and any(name.name == "open" for name in node.names)
            ):
                yield node
        elif isinstance(node, ast.Import) and OTHER_DECODERS & {n.name for n in node.names}:
            yield node


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_other_file_decodes_pictures(path: Path) -> None:
    found = list(openings(ast.parse(path.read_text())))
    if path == DOOR:
        (call,) = (
            node
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Image.open"
        )
        # Without, Pillow tries every format that it knows, and starts Ghostscript for an EPS.
        assert "formats" in {keyword.arg for keyword in call.keywords}
        assert len(found) == 1
    else:
        assert [ast.unparse(node) for node in found] == []


@pytest.mark.parametrize(
    "text",
    [
        "from PIL import Image\nImage.open(path)",
        "from PIL import Image as I\nread = I.open",
        "import PIL.Image\nPIL.Image.open(path)",
        "import PIL.Image as pil\npil.open(path)",
        "from PIL.Image import open as read",
        "import cv2",
        "from PIL import ImageFile\nImageFile.Parser()",
        "from torchvision import io",
        "from torchvision.io import decode_image",
        "from skimage import io",
        "import matplotlib.pyplot as plt\nplt.imread(path)",
    ],
)
def test_ways_around_the_door_are_seen(text: str) -> None:
    assert list(openings(ast.parse(text)))


def test_what_only_looks_like_it_is_not() -> None:
    assert not list(openings(ast.parse("import io\nfrom PIL import Image\nopen(p)\nImage.new(m)")))
