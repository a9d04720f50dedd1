"""Whatever has happened to an archive, it is unpacked or refused in words: nothing else leaves
`unpack`, nothing comes out beyond the limits, and over HTTP it is never a 500.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from dgnet.service.archives import ArchiveError, UnpackLimits, unpack
from tests.service.archives import tar_of, zip_of
from tests.service.fakes import encode, gradient

PICTURES = {
    f"market/{folder}/000{person}_c{camera}s1_00000{camera}_00.jpg": encode(
        gradient(16 * person, 32 * camera), "JPEG"
    )
    for folder in ("bounding_box_train", "query")
    for person in (1, 2)
    for camera in (1, 2)
}
LIMITS = UnpackLimits(max_bytes=1_000_000, max_ratio=50, max_members=100, max_depth=6)


def streamed_zip() -> bytes:
    """Sizes behind the members, as writers to a pipe leave them, and a comment at the end."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise io.UnsupportedOperation

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

    file = Pipe()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = b"made by a camera"
        for name, content in PICTURES.items():
            archive.writestr(name, content)
    return file.getvalue()


def large_zip() -> bytes:
    """With the longer numbers of zip64."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in PICTURES.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(content)
    return file.getvalue()


def tar_as(tar_format: int) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tar_format) as archive:
        for name, content in PICTURES.items():
            info = tarfile.TarInfo(f"{'long' * 40}/{name}")
            info.size, info.mtime, info.uname = len(content), 1.5, "jörg"  # type: ignore[assignment]
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


ARCHIVES: dict[str, bytes] = {
    "zip": zip_of(PICTURES),
    "stored zip": zip_of(PICTURES, compression=zipfile.ZIP_STORED),
    "streamed zip": streamed_zip(),
    "zip64": large_zip(),
    "tar": tar_of(PICTURES),
    "pax tar": tar_as(tarfile.PAX_FORMAT),
    "gnu tar": tar_as(tarfile.GNU_FORMAT),
    "tar.gz": gzip.compress(tar_of(PICTURES)),
    "tar.bz2": bz2.compress(tar_of(PICTURES)),
    "tar.xz": lzma.compress(tar_of(PICTURES)),
}
TAKEN = [kind for kind in ARCHIVES if kind not in ("tar.bz2", "tar.xz")]


def flip(data: bytearray, draw: random.Random) -> None:
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def replace_byte(data: bytearray, draw: random.Random) -> None:
    data[draw.randrange(len(data))] = draw.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))


def lose(data: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(data))
    del data[start : start + draw.choice((1, 7, 100, 1000))]


def insert(data: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(data))
    data[start:start] = draw.randbytes(draw.choice((1, 4, 600)))


def repeat(data: bytearray, draw: random.Random) -> None:
    start, target = draw.randrange(len(data)), draw.randrange(len(data))
    data[target:target] = data[start : start + draw.choice((8, 46, 512, 2000))]


def blank(data: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(data))
    end = min(len(data), start + draw.choice((2, 4, 8, 64)))
    data[start:end] = draw.choice((b"\0", b"\xff")) * (end - start)


def cut(data: bytearray, draw: random.Random) -> None:
    del data[draw.randrange(len(data)) :]


DAMAGES: list[Callable[[bytearray, random.Random], None]] = [
    flip, replace_byte, lose, insert, repeat, blank, cut,
]  # fmt: skip


def damaged(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """The archive with one to three damages; half of them at its ends, where the headers are."""
    draw = random.Random(seed)
    for number in range(count):
        changed = bytearray(data)
        ends = number % 2 and len(changed) > 2000
        piece = changed if not ends else changed[-1000:] if number % 4 == 1 else changed[:1000]
        for _ in range(draw.choice((1, 1, 1, 2, 3))):
            if piece:
                draw.choice(DAMAGES)(piece, draw)
        if ends and number % 4 == 1:
            changed[-1000:] = piece
        elif ends:
            changed[:1000] = piece
        yield bytes(changed)


def one_bit_wrong(data: bytes, start: int, end: int) -> Iterator[bytes]:
    for place in range(start, end):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            yield bytes(changed)


def holds(archives: Iterator[bytes], folder: Path) -> tuple[int, int]:
    """How many were taken and how many refused; anything else fails."""
    taken = refused = 0
    for data in archives:
        archive, out = folder / "archive", folder / "out"
        archive.write_bytes(data)
        out.mkdir()
        try:
            unpacked = unpack(archive, out, LIMITS)
        except ArchiveError:
            refused += 1
        else:
            taken += 1
            assert unpacked.size_bytes <= LIMITS.max_bytes
        written = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        assert written <= LIMITS.max_bytes + 1_000_000
        assert {path.name for path in folder.iterdir()} <= {"archive", "archive.tar", "out"}
        shutil.rmtree(out)
        (folder / "archive.tar").unlink(missing_ok=True)
    return taken, refused


@pytest.mark.parametrize("kind", TAKEN)
def test_undamaged_ones_are_taken(kind: str, tmp_path: Path) -> None:
    assert holds(iter([ARCHIVES[kind]]), tmp_path) == (1, 0)


@pytest.mark.parametrize("kind", ARCHIVES)
def test_a_few_damaged_ones(kind: str, tmp_path: Path) -> None:
    taken, refused = holds(damaged(ARCHIVES[kind], 40, seed=1), tmp_path)
    assert taken + refused == 40
    assert refused > 0


@pytest.mark.long
@pytest.mark.parametrize("kind", ARCHIVES)
def test_thousands_of_damaged_ones(kind: str, tmp_path: Path) -> None:
    taken, refused = holds(damaged(ARCHIVES[kind], 1000, seed=100), tmp_path)
    assert taken + refused == 1000


@pytest.mark.long
@pytest.mark.parametrize("kind", ["zip"])
def test_every_bit_of_a_directory(kind: str, tmp_path: Path) -> None:
    data = ARCHIVES[kind]
    holds(one_bit_wrong(data, data.index(b"PK\x01\x02"), len(data)), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["pax tar"])
def test_every_bit_of_a_first_header(kind: str, tmp_path: Path) -> None:
    holds(one_bit_wrong(ARCHIVES[kind], 0, 600), tmp_path)


@pytest.mark.parametrize("lost", [1, 10, 100])
@pytest.mark.parametrize("kind", ["zip", "stored zip", "streamed zip", "zip64"])
def test_bytes_missing_in_the_middle_of_a_zip(kind: str, lost: int, tmp_path: Path) -> None:
    data = ARCHIVES[kind]
    middle = len(data) // 2
    archives = iter([data[:middle] + data[middle + lost :]])
    assert holds(archives, tmp_path) == (0, 1)


@pytest.mark.parametrize("kind", TAKEN)
async def test_over_http_a_damage_is_told_as_one(http: httpx.AsyncClient, kind: str) -> None:
    statuses: set[int] = set()
    for data in damaged(ARCHIVES[kind], 12, seed=7):
        headers = {"Content-Type": "application/octet-stream"}
        response = await http.post("/v1/datasets", content=data, headers=headers)
        statuses.add(response.status_code)
    # Taken all the same; too much comes out; no archive any more; damaged.
    assert statuses <= {201, 413, 415, 422}


async def test_bytes_missing_in_the_middle_are_a_bad_archive(http: httpx.AsyncClient) -> None:
    data = ARCHIVES["zip"]
    headers = {"Content-Type": "application/zip"}
    lacking = data[:500] + data[600:]
    response = await http.post("/v1/datasets", content=lacking, headers=headers)
    assert response.status_code == 422
    assert response.json()["type"] == "urn:dgnet:problem:bad-archive"
