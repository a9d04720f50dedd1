"""Data sets of a few tiny pictures, each a color of its own unless told otherwise."""

from __future__ import annotations

import zlib
from pathlib import Path

from PIL import Image

SIZE = (8, 16)

MARKET = (
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "bounding_box_train/0002_c2s1_000500_01.jpg",
    "bounding_box_train/0007_c1s2_000011_01.jpg",
    "bounding_box_train/0007_c3s2_000012_01.jpg",
    "query/0001_c1s1_001051_00.jpg",
    "bounding_box_test/-1_c3s2_000101_01.jpg",
    "bounding_box_test/0000_c6s4_000101_01.jpg",
    "bounding_box_test/0001_c2s1_000301_00.jpg",
    "gt_bbox/0001_c1s1_001052_00.jpg",
)
DUKE = (
    "bounding_box_train/0001_c7_f0106449.jpg",
    "query/0005_c12_f0046985.jpg",
    "bounding_box_test/0005_c5_f0051341.jpg",
)
CUHK03 = (
    "bounding_box_train/0001_c1_1.png",
    "query/0003_c1_21.png",
    "bounding_box_test/0003_c2_26.png",
)
VERI = (
    "image_train/0001_c001_00016450_0.jpg",
    "image_query/0002_c002_00030600_0.jpg",
    "image_test/0002_c017_00030640_1.jpg",
)
MSMT_LISTS = {
    "list_train.txt": "0000/0000_000_01_0303morning_0008_0.jpg 0\n"
    "0000/0000_013_04_0303morning_0020_2_ex.jpg 0\n",
    "list_val.txt": "0001/0001_002_15_0303noon_0100_0.jpg 1\n",
    "list_query.txt": "0000/0000_002_01_0303morning_0016_2.jpg 0\n",
    "list_gallery.txt": "0000/0000_003_12_0302afternoon_0019_1.jpg 0\n",
}


def write_picture(path: Path, color: tuple[int, int, int] | None = None) -> Path:
    """A picture of one color, by default one that follows from its path alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = path.parts[-3:]
    red, green, blue, _ = zlib.crc32("/".join(parts).encode()).to_bytes(4, "big")
    Image.new("RGB", SIZE, color or (red, green, blue)).save(path)
    return path


def write_pictures(root: Path, *names: str) -> Path:
    for name in names:
        write_picture(root / name)
    return root


def write_msmt17(root: Path, *, train: str = "train", test: str = "test") -> Path:
    """The lists of MSMT_LISTS and every picture that they name."""
    root.mkdir(parents=True, exist_ok=True)
    for name, text in MSMT_LISTS.items():
        (root / name).write_text(text)
        folder = root / (train if name in ("list_train.txt", "list_val.txt") else test)
        for line in text.splitlines():
            write_picture(folder / line.split()[0])
    return root
