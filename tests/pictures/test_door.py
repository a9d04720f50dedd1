"""What a file shows, whatever it stores; expected pixels are worked out by hand."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dgnet.pictures import FILE_LIMITS, Limits, PictureRefused, open_file, open_picture, read_file
from tests.pictures.made import EPS, encoded, png_chunk, raw_png, raw_tiff

STORED = np.array([[1, 2], [3, 4], [5, 6]], np.uint8) * 40
# Lying on its side: the stored first row is the right side of the upright picture.
TURNED_BY_6 = [[200, 120, 40], [240, 160, 80]]


def shown(data: bytes) -> list[list[list[int]]]:
    return np.asarray(open_picture(data).rgb()).tolist()


def red(data: bytes) -> list[list[int]]:
    return np.asarray(open_picture(data).rgb())[:, :, 0].tolist()


def refusal(data: bytes) -> PictureRefused:
    with pytest.raises(PictureRefused) as caught:
        open_picture(data).rgb()
    return caught.value


@pytest.mark.parametrize(
    "packing", [None, "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits"]
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_tiffs_show_what_they_hold_however_packed(mode: str, packing: str | None) -> None:
    image = Image.fromarray(STORED).convert(mode)
    assert red(encoded(image, "TIFF", compression=packing)) == STORED.tolist()


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
def test_bmps_show_what_they_hold(mode: str) -> None:
    image = Image.fromarray(STORED).convert("1" if mode == "1" else "L").convert(mode)
    assert red(encoded(image, "BMP")) == np.asarray(image.convert("RGB"))[:, :, 0].tolist()


@pytest.mark.parametrize("mode", ["RGB", "L", "I;16"])
@pytest.mark.parametrize("picture_format", ["PNG", "TIFF"])
def test_exif_turns_every_depth_and_format(picture_format: str, mode: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = STORED.astype(np.uint16) * 257
    image = Image.fromarray(deep) if mode == "I;16" else Image.fromarray(STORED).convert(mode)
    data = encoded(image, picture_format, exif=exif)
    assert red(data) == TURNED_BY_6
    prepared = open_picture(data).prepare(width=3, height=2)
    assert (prepared.original_width, prepared.original_height) == (3, 2)


@pytest.mark.parametrize("packing", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_a_tiff_of_sixteen_bit_gray_keeps_its_high_byte(packing: str | None) -> None:
    deep: NDArray[np.uint16] = np.array([[0, 0x00FF, 0x8000, 0xFFFF]], np.uint16)
    data = encoded(Image.fromarray(deep), "TIFF", compression=packing)
    assert red(data) == [[0, 0, 128, 255]]


def test_a_big_endian_tiff_of_sixteen_bits_keeps_its_high_byte() -> None:
    deep = np.array([[0x0102, 0x8000]], ">u2")
    directory = raw_tiff(
        {256: [2], 257: [1], 258: [16], 259: [1], 262: [1], 273: [8], 277: [1], 279: [4]},
        deep.tobytes(),
    )
    # The same, the other way round.
    count = 8
    start = struct.unpack_from("<I", directory, 4)[0]
    entries = [struct.unpack_from("<HHII", directory, start + 2 + 12 * i) for i in range(count)]
    body = b"".join(struct.pack(">HHII", *entry) for entry in entries)
    data = (
        b"MM\x00*" + struct.pack(">I", start) + deep.tobytes() + struct.pack(">H", count) + body
        + bytes(4)
    )  # fmt: skip
    # LONG values of one number are stored where an offset would be, so nothing else changes.
    assert red(data) == [[1, 128]]


def test_a_tiff_where_white_is_zero_is_turned_the_right_way() -> None:
    deep = np.array([[0, 0xFFFF, 0x8000]], "<u2")
    data = raw_tiff(
        {256: [3], 257: [1], 258: [16], 259: [1], 262: [0], 273: [8], 277: [1], 279: [6]},
        deep.tobytes(),
    )
    assert red(data) == [[255, 0, 127]]


def test_twelve_bits_are_scaled_to_eight() -> None:
    # Samples 0x000 and 0xfff in three bytes; 0x800 and 0x010 in the next three.
    data = raw_tiff(
        {256: [4], 257: [1], 258: [12], 259: [1], 262: [1], 273: [8], 277: [1], 279: [6]},
        bytes.fromhex("000fff800010"),
    )
    assert red(data) == [[0, 255, 128, 1]]


@pytest.mark.parametrize("picture_format", ["PNG", "WEBP", "TIFF"])
def test_what_is_transparent_is_white_whatever_color_hides_there(picture_format: str) -> None:
    image = Image.new("RGBA", (3, 1))
    # red at alpha 0, 51 and 255: 255 * (1 - 51/255) = 204 of white remains in green and blue
    for x, alpha in enumerate((0, 51, 255)):
        image.putpixel((x, 0), (255, 0, 0, alpha))
    data = encoded(image, picture_format, **({"lossless": True, "exact": True}
                                             if picture_format == "WEBP" else {}))  # fmt: skip
    assert shown(data) == [[[255, 255, 255], [255, 204, 204], [255, 0, 0]]]


def test_transparency_of_tall_pictures_is_whole() -> None:
    # Taller than what is put on white at a time.
    alpha = np.tile(np.arange(700, dtype=np.int64)[:, None] % 2 * 255, (1, 2)).astype(np.uint8)
    image = Image.merge("LA", (Image.new("L", (2, 700), 10), Image.fromarray(alpha)))
    assert red(encoded(image)) == [[255, 255] if row % 2 == 0 else [10, 10] for row in range(700)]


@pytest.mark.parametrize(("depth", "rows"), [(2, b"\x00\x18"), (4, b"\x00\x01\x20")])
def test_the_transparent_gray_of_few_bits_is_found(depth: int, rows: bytes) -> None:
    # 2 bits: samples 0, 1, 2; 4 bits: samples 0, 1, 2. Sample 1 is transparent.
    step = 255 // (2**depth - 1)
    data = raw_png(
        3, 1, depth=depth, color_type=0, rows=rows, extra=png_chunk(b"tRNS", b"\x00\x01")
    )
    assert red(data) == [[0, 255, 2 * step]]


def test_the_transparent_color_of_sixteen_bits_is_found() -> None:
    rows = b"\x00" + bytes.fromhex("123456789abc" + "ff0000000000")
    data = raw_png(
        2, 1, depth=16, color_type=2, rows=rows,
        extra=png_chunk(b"tRNS", bytes.fromhex("123456789abc")),
    )  # fmt: skip
    assert shown(data) == [[[255, 255, 255], [255, 0, 0]]]


@pytest.mark.parametrize("mode", ["I", "F", "LAB"])
def test_samples_without_a_white_are_refused_not_guessed(mode: str) -> None:
    refused = refusal(encoded(Image.new(mode, (4, 4)), "TIFF"))
    assert refused.reason == "not-a-picture"
    assert f"Pillow's mode {mode}" in refused.what


def test_several_pages_are_not_one_picture() -> None:
    pages = [Image.new("L", (4, 4), level) for level in (10, 20)]
    refused = refusal(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert (refused.reason, "several pages" in refused.what) == ("animated", True)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "nothing (0 bytes)"),
        (EPS, "PostScript"),
        (encoded(Image.new("RGB", (2, 2)), "GIF"), "a GIF"),
        (encoded(Image.new("RGB", (2, 2)), "JPEG2000"), "a JPEG 2000"),
        (encoded(Image.new("RGB", (2, 2)), "PPM"), "of no known format"),
    ],
)
def test_the_content_decides_and_other_formats_are_named(data: bytes, named: str) -> None:
    refused = refusal(data)
    assert refused.reason == "not-a-picture"
    assert named in refused.what
    assert "expected a JPEG, PNG, WebP, BMP or TIFF picture" in refused.what


def test_a_wrong_ending_plays_no_part(tmp_path: Path) -> None:
    path = tmp_path / "really-a-png.jpg"
    path.write_bytes(encoded(Image.fromarray(STORED)))
    assert np.asarray(open_file(path).rgb())[:, :, 0].tolist() == STORED.tolist()


def test_a_pipe_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(PictureRefused, match="no plain file"):
        read_file(tmp_path / "pipe.jpg")


def test_a_device_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    with pytest.raises(PictureRefused, match="no plain file"):
        read_file(tmp_path / "zero.png")


def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(FILE_LIMITS.size_bytes + 1)
    with pytest.raises(PictureRefused) as caught:
        read_file(path)
    assert caught.value.reason == "too-large"


def test_limits_are_inclusive() -> None:
    data = encoded(Image.fromarray(STORED))
    open_picture(data, Limits(size_bytes=len(data), pixels=6, side=3))
    for limits in (
        Limits(size_bytes=len(data) - 1, pixels=6, side=3),
        Limits(size_bytes=len(data), pixels=5, side=3),
        Limits(size_bytes=len(data), pixels=6, side=2),
    ):
        with pytest.raises(PictureRefused):
            open_picture(data, limits)
