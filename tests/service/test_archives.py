"""What comes out of an archive, and what makes it refused."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from dgnet.jobs import dataset_names
from dgnet.jobs.dataset_names import dataset_root, is_wanted
from dgnet.model.data.layouts.mars import INFO_FILES, MARS_FOLDERS
from dgnet.model.data.layouts.msmt17 import LISTS
from dgnet.model.data.layouts.prepared import PREPARED_FOLDERS
from dgnet.model.data.layouts.split_folders import SPLIT_FOLDER_LAYOUTS
from dgnet.model.data.picture import PICTURE_SUFFIXES
from dgnet.service.archives import (
    ArchiveError,
    ArchiveTooLarge,
    NotAnArchive,
    Stopped,
    Unpacked,
    UnpackLimits,
    unpack,
)
from tests.service.archives import (
    encrypted_zip,
    lying_zip,
    odd_member,
    overlapping_zip,
    tar_gz_of,
    tar_of,
    zip_of,
    zip_with_mode,
)

LIMITS = UnpackLimits(max_bytes=3_000_000, max_ratio=50, max_members=20, max_depth=4)
FILES = {"a/1.jpg": b"one", "a/b/2.png": b"two" * 1000, "list_train.txt": b"1.jpg 0\n"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def unpack_bytes(data: bytes, folder: Path, limits: UnpackLimits = LIMITS) -> Unpacked:
    archive = folder.with_name("archive")
    archive.write_bytes(data)
    return unpack(archive, folder, limits, wanted=is_wanted)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    "data",
    [zip_of(FILES), zip_of(FILES, compression=zipfile.ZIP_STORED), tar_of(FILES), tar_gz_of(FILES)],
    ids=["zip", "stored zip", "tar", "tar.gz"],
)
def test_files_come_out_whole(data: bytes, folder: Path) -> None:
    assert unpack_bytes(data, folder) == Unpacked(files=3, size_bytes=3011, ignored=0)
    assert contents(folder) == FILES


@pytest.mark.parametrize("tar_format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_and_foreign_names_survive(tar_format: int, folder: Path) -> None:
    name = f"{'ö' * 60}/{'x' * 150}.jpg"
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tar_format) as archive:
        archive.addfile(tarfile.TarInfo(name))
    unpack_bytes(file.getvalue(), folder)
    assert contents(folder) == {name: b""}


def test_what_no_reader_looks_at_is_left_out(folder: Path) -> None:
    more = dict.fromkeys(["a/readme.txt", "a/.hidden.jpg", "__MACOSX/a/._1.jpg", "x.exe"], b"")
    assert unpack_bytes(zip_of({**FILES, **more}), folder).ignored == 4
    assert contents(folder) == FILES


def test_names_that_matter_are_those_of_the_readers() -> None:
    assert dataset_names.PICTURE_SUFFIXES == PICTURE_SUFFIXES
    assert set(LISTS) == dataset_names.LIST_NAMES
    assert set(INFO_FILES) == dataset_names.MARS_FILES
    assert set(MARS_FOLDERS.values()) <= dataset_names.SPLIT_FOLDERS
    prepared = {name for names in PREPARED_FOLDERS.values() for name in names}
    assert prepared <= dataset_names.SPLIT_FOLDERS
    folders = {name for layout in SPLIT_FOLDER_LAYOUTS for name in layout.folders.values()}
    assert folders <= dataset_names.SPLIT_FOLDERS


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (zip_of({"/a.jpg": b""}), "absolute"),
        (zip_of({"C:/a.jpg": b""}), "absolute"),
        (zip_of({"a/../../b.jpg": b""}), "leads out"),
        (zip_of({"..\\b.jpg": b""}), "characters"),
        (zip_of({"a\nb.jpg": b""}), "characters"),
        (zip_of({"1/2/3/4/5.jpg": b""}), "5 levels deep"),
        (zip_of({f"{'x' * 256}.jpg": b""}), "more than 255 bytes"),
        (zip_of({"a": b"", "a/b.jpg": b"", "a/b.jpg/c.jpg": b""}), "twice"),
        (tar_of({"../b.jpg": b""}), "leads out"),
        (tar_of({"/b.jpg": b""}), "absolute"),
        (tar_of({"a.jpg": b"1"})[:1024] + tar_of({"./a.jpg": b"2"}), "twice"),
        (tar_of({}, odd_member(tarfile.SYMTYPE)), "a link"),
        (tar_of({}, odd_member(tarfile.LNKTYPE)), "a link"),
        (tar_of({}, odd_member(tarfile.CHRTYPE)), "a device"),
        (tar_of({}, odd_member(tarfile.BLKTYPE)), "a device"),
        (tar_of({}, odd_member(tarfile.FIFOTYPE)), "a device"),
        (zip_with_mode("a.jpg", stat.S_IFLNK | 0o777), "a link"),
        (zip_with_mode("a.jpg", stat.S_IFCHR | 0o600), "a device"),
        (encrypted_zip(), "encrypted"),
        (zip_of({"a.jpg": b"x" * 500}, compression=zipfile.ZIP_LZMA), "method 14"),
        (zip_of({"a.jpg": b"x" * 500}, compression=zipfile.ZIP_BZIP2), "method 12"),
        (lying_zip(), "damaged"),
        (overlapping_zip(15), "twice"),
    ],
)
def test_hostile_members_make_the_archive_refused(data: bytes, message: str, folder: Path) -> None:
    with pytest.raises(ArchiveError, match=message) as caught:
        unpack_bytes(data, folder)
    assert type(caught.value) is ArchiveError
    outside = [path for path in folder.parent.iterdir() if path.name not in ("out", "archive")]
    assert outside == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_in_a_zip_is_refused(folder: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.jpg", b"1")
        archive.writestr("a.jpg", b"2")
    with pytest.raises(ArchiveError, match=r"a\.jpg' is in the archive twice"):
        unpack_bytes(file.getvalue(), folder)


def test_a_sparse_member_is_refused(folder: Path) -> None:
    info = tarfile.TarInfo("a.jpg")
    info.pax_headers = {
        "GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.name": "a.jpg",
        "GNU.sparse.map": "0,1", "GNU.sparse.size": "1000000000",
    }  # fmt: skip
    info.size = 1
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(b"x"))
    with pytest.raises(ArchiveError, match="sparse"):
        unpack_bytes(file.getvalue(), folder)


ZEROS = {"a.jpg": bytes(2_000_000)}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (zip_of(ZEROS), "50 times its own size"),
        (tar_gz_of(ZEROS), "50 times its own size"),
        (zip_of({"a.jpg": bytes(3_100_000)}, compression=zipfile.ZIP_STORED), "3000000 bytes"),
        (tar_of({"a.jpg": bytes(3_100_000)}), "3000000 bytes"),
        (zip_of(dict.fromkeys(map("{}.jpg".format, range(21)), b"")), "more members"),
        (tar_of(dict.fromkeys(map("{}.jpg".format, range(21)), b"")), "more members"),
        (tar_of({}, *[odd_member(tarfile.DIRTYPE, f"d{n}") for n in range(21)]), "more members"),
    ],
)
def test_bombs_go_off_at_the_limit(data: bytes, message: str, folder: Path) -> None:
    with pytest.raises(ArchiveTooLarge, match=message):
        unpack_bytes(data, folder)
    assert sum(map(len, contents(folder).values())) <= LIMITS.max_bytes


def test_a_gzip_bomb_is_stopped_before_it_fills_the_disk(folder: Path) -> None:
    with pytest.raises(ArchiveTooLarge):
        unpack_bytes(gzip.compress(bytes(20_000_000)), folder)
    assert folder.with_name("archive.tar").stat().st_size <= 2_000_000


def test_extended_headers_are_not_held_in_memory(folder: Path) -> None:
    # A name of 10 MB; the archive's size would let ten times as much through.
    data = tar_of({"x" * 10_000_000: b""})
    with pytest.raises(ArchiveTooLarge, match="headers"):
        unpack_bytes(
            data, folder, UnpackLimits(max_bytes=10**9, max_ratio=50, max_members=20, max_depth=4)
        )


def test_an_endless_chain_of_headers_is_refused(folder: Path) -> None:
    link = tarfile.TarInfo("x")
    link.type = tarfile.GNUTYPE_LONGNAME
    link.size = 1
    block = link.tobuf(tarfile.GNU_FORMAT) + b"x".ljust(512, b"\0")
    with pytest.raises(ArchiveError):
        unpack_bytes(block * 5000 + bytes(1024), folder)


def test_a_negative_size_is_refused(folder: Path) -> None:
    info = tarfile.TarInfo("a.jpg")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 10 + b"\xfc\x00"  # -1024 in base 256: back to the same header
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    with pytest.raises(ArchiveError):
        unpack_bytes(bytes(header) + bytes(1024), folder)


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.8])
@pytest.mark.parametrize("make", [zip_of, tar_of, tar_gz_of])
def test_a_truncated_archive_is_refused(
    make: Callable[[dict[str, bytes]], bytes], keep: float, folder: Path
) -> None:
    data = make({f"{n}.jpg": bytes(range(256)) * 8 for n in range(10)})
    with pytest.raises(ArchiveError):
        unpack_bytes(data[: int(len(data) * keep)], folder)


def test_a_tar_cut_between_two_members_is_refused(folder: Path) -> None:
    data = tar_of({"1.jpg": bytes(512), "2.jpg": bytes(512)})
    with pytest.raises(ArchiveError, match="incomplete"):
        unpack_bytes(data[:1024], folder)


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"\xfd7zXZ\0" + bytes(600), b"BZh9" + bytes(600), b"\x89PNG\r\n\x1a\n",
     gzip.compress(b"not a tar" * 100)],
    ids=["empty", "text", "xz", "bzip2", "png", "gzip of no tar"],
)  # fmt: skip
def test_other_files_are_no_archives(data: bytes, folder: Path) -> None:
    with pytest.raises(NotAnArchive, match=r"expected zip, tar or tar in gzip"):
        unpack_bytes(data, folder)


def test_damaged_packed_data_is_refused(folder: Path) -> None:
    data = bytearray(zip_of({"a.jpg": bytes(range(256)) * 40}))
    data[60] ^= 0xFF
    with pytest.raises(ArchiveError, match="damaged"):
        unpack_bytes(bytes(data), folder)


def test_an_archive_within_an_archive_stays_packed(folder: Path) -> None:
    assert unpack_bytes(zip_of({"inner.zip": zip_of(FILES), "a.jpg": b"x"}), folder).ignored == 1
    assert contents(folder) == {"a.jpg": b"x"}


def test_unpacking_stops_when_nobody_wants_it(folder: Path) -> None:
    archive = folder.with_name("archive")
    archive.write_bytes(zip_of(FILES))
    with pytest.raises(Stopped):
        unpack(archive, folder, LIMITS, stopped=lambda: True)
    assert contents(folder) == {}


@pytest.mark.parametrize(
    ("paths", "root"),
    [
        (["market/query/1.jpg", "market/train/1.jpg"], "market"),
        (["query/1.jpg"], "."),
        (["a/1.jpg", "b/1.jpg"], "."),
        (["1.jpg"], "."),
    ],
)
def test_a_lone_wrapping_folder_is_passed_over(paths: list[str], root: str, folder: Path) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    assert dataset_root(folder) == folder / PurePosixPath(root)
