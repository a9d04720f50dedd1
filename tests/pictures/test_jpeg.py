"""JPEG files are encoded outside of the interpreter lock, and are the same as ever."""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from PIL import Image

from dgnet.pictures.jpeg import MOST_KEPT_BYTES, jpeg


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def as_pillow_writes(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling=0)
    return file.getvalue()


def test_bytes_are_those_that_pillow_writes_whatever_was_encoded_before() -> None:
    pictures = [noise(256, 128, 1), noise(8, 8, 2), noise(128, 64, 3), noise(700, 900, 4)]
    pictures += pictures[:2]
    for picture in pictures:
        for quality in (20, 95):
            assert jpeg(picture, quality=quality) == as_pillow_writes(picture, quality)


def test_threads_do_not_write_into_each_others_files() -> None:
    pictures = [noise(64, 32, seed) for seed in range(40)]
    expected = [as_pillow_writes(picture, 90) for picture in pictures]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(partial(jpeg, quality=90), pictures)) == expected


def test_a_picture_that_cannot_be_written_leaves_nothing_for_the_next() -> None:
    picture = noise(32, 32)
    jpeg(picture, quality=90)
    with pytest.raises(OSError, match="cannot write mode RGBA as JPEG"):
        jpeg(picture.convert("RGBA"), quality=90)
    assert jpeg(picture, quality=90) == as_pillow_writes(picture, 90)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_does_not_share_the_file() -> None:
    picture, other = noise(32, 32, 1), noise(64, 64, 2)
    jpeg(picture, quality=90)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, jpeg(other, quality=90))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == as_pillow_writes(other, 90)
    os.waitpid(child, 0)
    assert jpeg(picture, quality=90) == as_pillow_writes(picture, 90)


def test_without_memory_files_the_bytes_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(name: str) -> int:
        raise OSError(f"no {name}")

    picture = noise(32, 32)
    expected = as_pillow_writes(picture, 90)
    monkeypatch.setattr("dgnet.pictures.jpeg.os.memfd_create", refused)
    with ThreadPoolExecutor(1) as new_thread:
        assert new_thread.submit(jpeg, picture, quality=90).result() == expected


def test_ended_threads_and_large_pictures_leave_neither_descriptors_nor_memory() -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    large = noise(1500, 1500)
    for _ in range(3):
        with ThreadPoolExecutor(2) as threads:
            made = threads.submit(jpeg, large, quality=95).result()
            assert len(made) > MOST_KEPT_BYTES
    assert descriptors() == before
