"""What happens to a picture before it is queued; expected pixels are worked out by hand."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dgnet.service.pictures import PreparedPicture, open_picture
from dgnet.service.problems import Problem
from dgnet.service.settings import ServiceSettings
from tests.pictures.made import png_chunk, raw_png
from tests.service.fakes import encode, gradient

SETTINGS = ServiceSettings()


def prepare(data: bytes, *, width: int, height: int) -> PreparedPicture:
    return open_picture(data, SETTINGS, label="picture").prepare(width=width, height=height)


def refuse(data: bytes, settings: ServiceSettings = SETTINGS) -> Problem:
    with pytest.raises(Problem) as caught:
        open_picture(data, settings, label="picture").prepare(width=8, height=16)
    return caught.value


@pytest.mark.parametrize("picture_format", ["PNG", "WEBP"])
def test_lossless_pictures_of_the_model_size_pass_through_unchanged(picture_format: str) -> None:
    image = gradient(8, 16)
    prepared = prepare(encode(image, picture_format, lossless=True), width=8, height=16)
    assert np.array_equal(prepared.pixels, np.asarray(image))
    assert prepared.pixels.dtype == np.uint8


def test_resizing_is_bicubic_and_keeps_the_original_size_in_mind() -> None:
    image = gradient(24, 32)
    prepared = prepare(encode(image), width=8, height=16)
    expected = image.resize((8, 16), Image.Resampling.BICUBIC)
    assert np.array_equal(prepared.pixels, np.asarray(expected))
    assert (prepared.original_width, prepared.original_height) == (24, 32)


def test_jpeg_decodes_to_its_color() -> None:
    data = encode(Image.new("RGB", (8, 16), (200, 100, 50)), "JPEG", quality=100)
    assert np.abs(prepare(data, width=8, height=16).pixels.astype(int) - (200, 100, 50)).max() <= 2


def test_gray_sixteen_bit_keeps_its_high_byte_and_is_not_clipped() -> None:
    # 0x0000, 0x00ff, 0x8000, 0xffff -> 0, 0, 128, 255
    rows = b"\x00" + bytes.fromhex("000000ff8000ffff")
    prepared = prepare(raw_png(4, 1, depth=16, color_type=0, rows=rows), width=4, height=1)
    assert prepared.pixels.tolist() == [[[0] * 3, [0] * 3, [128] * 3, [255] * 3]]


def test_color_sixteen_bit_keeps_its_high_byte() -> None:
    rows = b"\x00" + bytes.fromhex("ffff80000100" + "0000ff007f80")
    prepared = prepare(raw_png(2, 1, depth=16, color_type=2, rows=rows), width=2, height=1)
    assert prepared.pixels.tolist() == [[[255, 128, 1], [0, 255, 127]]]


def test_transparent_gray_of_sixteen_bit_becomes_white() -> None:
    rows = b"\x00" + bytes.fromhex("1234" + "1235")
    transparent = png_chunk(b"tRNS", bytes.fromhex("1234"))
    data = raw_png(2, 1, depth=16, color_type=0, rows=rows, extra=transparent)
    assert prepare(data, width=2, height=1).pixels.tolist() == [[[255] * 3, [0x12] * 3]]


def test_alpha_is_composited_on_white() -> None:
    # red at alpha 0, 51 and 255: 255 * (1 - 51/255) = 204 of white remains in green and blue
    image = Image.new("RGBA", (3, 1))
    for x, alpha in enumerate((0, 51, 255)):
        image.putpixel((x, 0), (255, 0, 0, alpha))
    pixels = prepare(encode(image), width=3, height=1).pixels
    assert pixels.tolist() == [[[255, 255, 255], [255, 204, 204], [255, 0, 0]]]


def test_gray_with_alpha_is_composited_on_white() -> None:
    image = Image.new("LA", (2, 1), (0, 0))
    image.putpixel((1, 0), (100, 255))
    assert prepare(encode(image), width=2, height=1).pixels.tolist() == [[[255] * 3, [100] * 3]]


def test_palette_colors_are_looked_up_and_transparent_entries_become_white() -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    for x in range(3):
        image.putpixel((x, 0), x)
    data = encode(image, transparency=1)
    pixels = prepare(data, width=3, height=1).pixels
    assert pixels.tolist() == [[[10, 20, 30], [255, 255, 255], [70, 80, 90]]]


def test_one_bit_pictures_become_black_and_white() -> None:
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert prepare(encode(image), width=2, height=1).pixels.tolist() == [[[0] * 3, [255] * 3]]


@pytest.mark.parametrize(
    ("cmyk", "rgb"),
    [
        ((0, 0, 0, 0), (255, 255, 255)),
        ((0, 255, 255, 0), (255, 0, 0)),
        ((255, 0, 0, 0), (0, 255, 255)),
        ((0, 0, 0, 155), (100, 100, 100)),
    ],
)
def test_cmyk_jpeg_is_converted_and_not_inverted(
    cmyk: tuple[int, int, int, int], rgb: tuple[int, int, int]
) -> None:
    data = encode(Image.new("CMYK", (8, 16), cmyk), "JPEG", quality=100)
    pixels = prepare(data, width=8, height=16).pixels
    assert np.abs(pixels.astype(int) - rgb).max() <= 3


# The stored corners of a 2 x 3 picture, by the EXIF definition: where the stored first row and
# first column lie in the upright picture.
STORED = np.array([[1, 2], [3, 4], [5, 6]], np.uint8) * 40
UPRIGHT: dict[int, NDArray[np.uint8]] = {
    1: STORED,
    2: np.array([[2, 1], [4, 3], [6, 5]], np.uint8) * 40,
    3: np.array([[6, 5], [4, 3], [2, 1]], np.uint8) * 40,
    4: np.array([[5, 6], [3, 4], [1, 2]], np.uint8) * 40,
    5: np.array([[1, 3, 5], [2, 4, 6]], np.uint8) * 40,
    6: np.array([[5, 3, 1], [6, 4, 2]], np.uint8) * 40,
    7: np.array([[6, 4, 2], [5, 3, 1]], np.uint8) * 40,
    8: np.array([[2, 4, 6], [1, 3, 5]], np.uint8) * 40,
}


@pytest.mark.parametrize("orientation", list(range(1, 9)))
@pytest.mark.parametrize("picture_format", ["PNG", "WEBP"])
def test_exif_orientation_is_applied_before_resizing(orientation: int, picture_format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(STORED).convert("RGB")
    data = encode(image, picture_format, exif=exif, lossless=True)
    expected = UPRIGHT[orientation]
    height, width = expected.shape
    prepared = prepare(data, width=width, height=height)
    assert prepared.pixels[:, :, 0].tolist() == expected.tolist()
    assert (prepared.original_width, prepared.original_height) == (width, height)


def test_exif_orientation_of_a_jpeg_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its left side
    image = Image.new("RGB", (32, 16), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 16, 16))
    pixels = prepare(encode(image, "JPEG", exif=exif, quality=100), width=16, height=32).pixels
    assert pixels[2, 8, 0] > 250
    assert pixels[29, 8, 0] < 5


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_broken_exif_block_does_not_cost_the_picture() -> None:
    data = encode(gradient(8, 16), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert prepare(data, width=8, height=16).pixels.shape == (16, 8, 3)


def test_a_color_profile_is_ignored() -> None:
    data = encode(gradient(8, 16), icc_profile=b"a profile that nobody reads")
    assert np.array_equal(prepare(data, width=8, height=16).pixels, np.asarray(gradient(8, 16)))


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "nothing (0 bytes)"),
        (b"hello, world", "12 bytes that begin with 68 65 6c 6c 6f"),
        (encode(gradient(), "GIF"), "a GIF"),
        (encode(gradient(), "BMP"), "a BMP"),
        (encode(gradient(), "TIFF"), "a TIFF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG"),
        (b"\x00\x00\x00\x20ftypheic\x00\x00\x00\x00", "'heic'"),
    ],
)
def test_other_formats_are_refused_by_name(data: bytes, named: str) -> None:
    problem = refuse(data)
    assert problem.kind.code == "not-a-picture"
    assert problem.kind.status == 415
    assert named in problem.detail
    assert "JPEG, PNG or WebP" in problem.detail


@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("keep", [0.9, 0.5, 0.1])
def test_truncated_pictures_are_refused(picture_format: str, keep: float) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), picture_format)
    problem = refuse(data[: int(len(data) * keep)])
    assert (problem.kind.code, problem.kind.status) == ("damaged-picture", 422)


@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "WEBP"])
def test_a_magic_number_alone_is_not_a_picture(picture_format: str) -> None:
    assert refuse(encode(gradient(), picture_format)[:16]).kind.code == "damaged-picture"


def test_forty_megapixels_are_refused_by_the_header_alone() -> None:
    # No pixel data at all: a decoder that looked at it would call it truncated.
    problem = refuse(raw_png(8000, 5000, depth=8, color_type=2, rows=b""))
    assert (problem.kind.code, problem.kind.status) == ("picture-dimensions", 422)
    assert "8000 x 5000" in problem.detail


def test_a_decompression_bomb_is_refused_by_the_header_alone() -> None:
    bomb = raw_png(30_000, 30_000, depth=1, color_type=0, rows=b"\x00" * 1000)
    assert refuse(bomb).kind.code == "picture-dimensions"


def test_a_jpeg_header_of_forty_megapixels_is_refused() -> None:
    data = bytearray(encode(gradient(), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 5000, 8000)
    assert refuse(bytes(data)).kind.code == "picture-dimensions"


@pytest.mark.parametrize("lossless", [True, False])
def test_a_webp_header_of_too_many_pixels_is_refused(lossless: bool) -> None:
    data = bytearray(encode(gradient(), "WEBP", lossless=lossless))
    if lossless:
        data[21:25] = ((7999) | (4999 << 14)).to_bytes(4, "little")
    else:
        data[26:30] = struct.pack("<HH", 8000, 5000)
    problem = refuse(bytes(data))
    assert problem.kind.code == "picture-dimensions"
    assert "8000 x 5000" in problem.detail


def test_an_extended_webp_of_too_many_pixels_is_refused() -> None:
    exif = Image.Exif()
    exif[0x0112] = 1
    data = bytearray(encode(gradient(), "WEBP", exif=exif))
    assert data[12:16] == b"VP8X"
    data[24:30] = (7999).to_bytes(3, "little") + (4999).to_bytes(3, "little")
    assert "8000 x 5000" in refuse(bytes(data)).detail


def test_one_side_over_the_limit_is_refused() -> None:
    assert refuse(encode(Image.new("L", (4097, 1)))).kind.code == "picture-dimensions"
    assert prepare(encode(Image.new("L", (4096, 1))), width=8, height=16).pixels.shape == (16, 8, 3)


def test_limits_come_from_the_settings() -> None:
    tight = ServiceSettings(max_picture_pixels=127)
    assert refuse(encode(gradient(8, 16)), tight).kind.code == "picture-dimensions"
    tight = ServiceSettings(max_picture_bytes=128)
    noise = np.random.default_rng(1).integers(0, 256, (16, 8, 3), dtype=np.uint8)
    problem = refuse(encode(Image.fromarray(noise)), tight)
    assert (problem.kind.code, problem.kind.status) == ("picture-too-large", 413)


@pytest.mark.parametrize("picture_format", ["PNG", "WEBP"])
def test_animated_pictures_are_refused(picture_format: str) -> None:
    frames = [Image.new("RGB", (8, 16), color) for color in ("red", "green", "blue")]
    data = encode(frames[0], picture_format, save_all=True, append_images=frames[1:])
    problem = refuse(data)
    assert (problem.kind.code, problem.kind.status) == ("animated-picture", 422)


def test_the_first_picture_of_a_phone_jpeg_counts() -> None:
    file = io.BytesIO()
    first, second = Image.new("RGB", (8, 16), "white"), Image.new("RGB", (8, 16), "black")
    first.save(file, "MPO", save_all=True, append_images=[second])
    assert prepare(file.getvalue(), width=8, height=16).pixels.min() >= 250


def test_a_jpeg_of_hundreds_of_scans_is_refused_unseen() -> None:
    data = encode(gradient(), "JPEG") + b"\xff\xda" * 200
    problem = refuse(data)
    assert problem.kind.code == "damaged-picture"
    assert "scans" in problem.detail
