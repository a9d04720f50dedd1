"""Archives for tests, honest and hostile."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Mapping

from tests.service.fakes import png

PEOPLE = {
    f"market/bounding_box_train/000{person}_c{camera}s1_00000{camera}_00.jpg": png((person, 0, 0))
    for person in (1, 2)
    for camera in (1, 2)
}


def zip_of(members: Mapping[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def tar_of(members: Mapping[str, bytes], *odd: tarfile.TarInfo) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for info in odd:
            archive.addfile(info)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def tar_gz_of(members: Mapping[str, bytes]) -> bytes:
    return gzip.compress(tar_of(members))


def odd_member(kind: bytes, name: str = "a.jpg", target: str = "/etc/passwd") -> tarfile.TarInfo:
    """A member that is no file."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


def zip_with_mode(name: str, mode: int) -> bytes:
    """One member with a Unix file type of its own, as Info-ZIP writes links."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        info = zipfile.ZipInfo(name)
        info.create_system = 3
        info.external_attr = mode << 16
        archive.writestr(info, "/etc/passwd")
    return file.getvalue()


def encrypted_zip() -> bytes:
    """The flag in both headers is what readers go by."""
    data = bytearray(zip_of({"a.jpg": b"x"}, compression=zipfile.ZIP_STORED))
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + offset] |= 1
    return bytes(data)


def lying_zip() -> bytes:
    """A member that announces one byte and holds a megabyte, in both headers."""
    data = bytearray(zip_of({"a.jpg": b"x" * 1_000_000}))
    for magic, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = data.index(magic) + offset
        data[place : place + 4] = (1).to_bytes(4, "little")
    return bytes(data)


def overlapping_zip(members: int) -> bytes:
    """Many entries in the list of members for the same packed megabyte."""
    data = zip_of({"a.jpg": bytes(1_000_000)})
    start = data.index(b"PK\x01\x02")
    entry_end = data.index(b"PK\x05\x06")
    entry = data[start:entry_end]
    end = bytearray(data[entry_end:])
    end[8:10] = end[10:12] = members.to_bytes(2, "little")
    end[12:16] = (len(entry) * members).to_bytes(4, "little")
    return data[:start] + entry * members + bytes(end)
