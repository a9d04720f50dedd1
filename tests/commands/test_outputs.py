"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgnet.commands.failures import InputError
from dgnet.commands.outputs import picture_format, write_bytes, write_picture
from dgnet.commands.pictures import GAP_PIXELS, tile


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"old")

    def fail(self: Path, target: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_replaces_the_file_and_makes_folders(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.bin"
    write_bytes(path, b"one")
    write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "kind"), [("a.png", "PNG"), ("a.JPG", "JPEG"), ("a.webp", "WEBP")]
)
def test_the_name_decides_the_format(name: str, kind: str, tmp_path: Path) -> None:
    write_picture(tmp_path / name, np.zeros((4, 6, 3), np.uint8))
    with Image.open(tmp_path / name) as image:
        assert (image.format, image.size) == (kind, (6, 4))


def test_a_name_without_a_known_ending_is_refused() -> None:
    with pytest.raises(InputError, match="expected a name ending in"):
        picture_format(Path("out.tiff"))


def test_tiles_stand_in_lines_with_gaps_between() -> None:
    pictures = np.stack([np.full((2, 3, 3), level, np.uint8) for level in (1, 2, 3)])
    sheet = tile(pictures, across=2)
    assert sheet.shape == (2 * 2 + GAP_PIXELS, 2 * 3 + GAP_PIXELS, 3)
    assert (sheet[:2, :3] == 1).all()
    assert (sheet[:2, -3:] == 2).all()
    assert (sheet[-2:, :3] == 3).all()
    assert (sheet[-2:, -3:] == 255).all()
    assert (sheet[2:-2] == 255).all()
