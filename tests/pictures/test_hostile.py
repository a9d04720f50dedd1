"""Files made to harm: refused by name, at once, and never with another error."""

from __future__ import annotations

import os
import struct
import time
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgnet.pictures import FORMATS, PictureRefused, open_file, open_picture
from tests.pictures.made import EPS, encoded, png_chunk, raw_png, raw_tiff

AT_ONCE_SECONDS = 2.0
MUTATIONS = 400


def refused(data: bytes) -> PictureRefused:
    started = time.perf_counter()
    with pytest.raises(PictureRefused) as caught:
        open_picture(data).rgb()
    assert time.perf_counter() - started < AT_ONCE_SECONDS
    return caught.value


def test_an_eps_called_jpg_starts_no_ghostscript(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, started = tmp_path / "bin", tmp_path / "started"
    programs.mkdir()
    for name in ("gs", "gswin32c", "gswin64c"):
        (programs / name).write_text(f"#!/bin/sh\ntouch {started}\nexit 1\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    path = tmp_path / "person.jpg"
    path.write_bytes(EPS)
    with pytest.raises(PictureRefused, match="PostScript"):
        open_file(path).rgb()
    assert not started.exists()


def jpeg_of_scans(scans: int) -> bytes:
    """A progressive JPEG whose last scan is there many times."""
    noise = np.random.default_rng(1).integers(0, 256, (64, 64), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + b"\xff\xd9"


def test_a_jpeg_of_thousands_of_scans_is_refused_unread() -> None:
    assert open_picture(jpeg_of_scans(1)).rgb().size == (64, 64)
    assert "100 scans" in refused(jpeg_of_scans(3000)).what


def test_a_damaged_png_chunk_is_a_refusal_not_a_syntax_error() -> None:
    data = bytearray(encoded(Image.effect_noise((64, 64), 50)))
    data[data.index(b"IDAT") + 40] ^= 1
    assert refused(bytes(data)).reason == "damaged"


BOMBS = {
    "png": raw_png(30_000, 30_000, depth=1, color_type=0, rows=b"\x00" * 1000),
    "png of another billion": raw_png(2**31 - 1, 1, depth=1, color_type=0, rows=b""),
    "bmp": b"BM" + struct.pack("<IHHIIii", 100, 0, 0, 54, 40, 20_000, -20_000) + bytes(50),
    "tiff": raw_tiff({256: [20_000], 257: [20_000], 258: [8], 262: [1], 273: [8], 279: [4]}, b"ab"),
    "webp": b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\x1f\x4e\x00" * 2 + bytes(20),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_by_their_header_without_a_warning(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert refused(BOMBS[name]).reason == "dimensions"


def test_a_bomb_jpeg_is_refused_by_its_header() -> None:
    data = bytearray(encoded(Image.new("L", (8, 8)), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 10_000, 10_000)
    assert refused(bytes(data)).reason == "dimensions"


def test_a_tiff_whose_strips_are_all_the_same_bytes_is_refused() -> None:
    # 30,000 rows, each to be unpacked from the same 200 kB that hold one row and much of nothing.
    packed = zlib.compress(bytes(1000)) + bytes(200_000)
    rows = 30_000
    data = raw_tiff(
        {256: [1000], 257: [rows], 258: [8], 259: [8], 262: [1], 277: [1], 278: [1],
         273: [8] * rows, 279: [len(packed)] * rows},
        packed,
    )  # fmt: skip
    assert "strips together" in refused(data).what


def test_a_tiff_of_a_million_strips_is_refused() -> None:
    many = 2**20
    data = raw_tiff({256: [1], 257: [many], 258: [8], 273: [8] * many, 279: [1] * many}, b"a")
    assert refused(data).reason in ("damaged", "dimensions")


def test_a_tiff_of_one_giant_tile_is_refused() -> None:
    data = raw_tiff(
        {256: [8], 257: [8], 258: [8], 259: [8], 262: [1], 322: [2**16], 323: [2**15],
         324: [8], 325: [4]},
        b"abcd",
    )  # fmt: skip
    assert "tiles" in refused(data).what


@pytest.mark.parametrize("method", [6, 34925, 50000, 50001, 65000])
def test_a_tiff_packed_in_a_rare_way_is_refused_by_name(method: int) -> None:
    data = raw_tiff({256: [8], 257: [8], 258: [8], 259: [method], 273: [8], 279: [4]}, b"abcd")
    assert f"method {method}" in refused(data).what


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_exif_whose_tags_are_all_the_same_megabyte_takes_no_memory() -> None:
    many, size = 2000, 2**20
    entries = b"".join(struct.pack("<HHII", tag + 1, 7, size, 8) for tag in range(many))
    directory = 8 + size
    exif = (
        b"II*\x00" + struct.pack("<I", directory) + bytes(size)
        + struct.pack("<H", many) + entries + bytes(4)
    )  # fmt: skip
    data = raw_png(1, 1, depth=8, color_type=0, rows=b"\x00\x07", extra=png_chunk(b"eXIf", exif))
    tracemalloc.start()
    try:
        assert np.asarray(open_picture(data).rgb()).tolist() == [[[7, 7, 7]]]
        assert tracemalloc.get_traced_memory()[1] < 20 * size
    finally:
        tracemalloc.stop()


def originals() -> dict[str, bytes]:
    noise = np.random.default_rng(1).integers(0, 256, (24, 12, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "JPEG": encoded(image, "JPEG", exif=exif),
        "JPEG progressive": encoded(image, "JPEG", progressive=True),
        "PNG": encoded(image.convert("RGBA"), exif=exif),
        "PNG palette": encoded(image.quantize(16), transparency=3),
        "WEBP": encoded(image, "WEBP", exif=exif),
        "BMP": encoded(image.quantize(16), "BMP"),
        "TIFF": encoded(image, "TIFF", compression="tiff_lzw", exif=exif),
        "TIFF raw": encoded(image.convert("L"), "TIFF"),
        "TIFF deflate": encoded(image, "TIFF", compression="tiff_adobe_deflate"),
        "TIFF JPEG": encoded(image, "TIFF", compression="jpeg"),
    }


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", originals())
def test_damage_anywhere_gives_pixels_or_a_refusal_and_nothing_else(name: str) -> None:
    original = originals()[name]
    random = np.random.default_rng(len(name))
    done = 0
    for _ in range(MUTATIONS):
        data = bytearray(original)
        kind = random.integers(4)
        at = int(random.integers(4, len(data)))
        if kind == 0:
            data[at] ^= 1 << int(random.integers(8))
        elif kind == 1:
            data = data[:at]
        elif kind == 2:
            data[at : at + 4] = random.bytes(4)
        else:
            end = min(len(data), at + int(random.integers(1, 40)))
            del data[at:end]
        try:
            prepared = open_picture(bytes(data)).prepare(width=4, height=8)
        except PictureRefused:
            continue
        assert prepared.pixels.shape == (8, 4, 3)
        done += 1
    assert done > 0  # some damage leaves a picture


def test_what_a_refused_file_is_called_is_not_in_the_refusal() -> None:
    """Callers name the picture, in their own words."""
    assert str(refused(b"hello")) == (
        "it is of no known format (5 bytes that begin with 68 65 6c 6c 6f); expected a JPEG, PNG, "
        "WebP, BMP or TIFF picture"
    )


def test_every_format_is_damaged_here() -> None:
    assert {open_picture(data).kind for data in originals().values()} == set(FORMATS)
