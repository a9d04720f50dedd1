"""Whose pictures a training set holds, in a few hundred bytes that a checkpoint can carry.

Labels of a classifier are bare numbers: a teacher of other persons labels without complaint. Three
digests tell: of the ordered persons by name, of every picture (to go on with a run), and hashes of
some pictures, since sets of different people often use the same numbers. Files are read, not
decoded.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgnet.model.data.picture import DatasetError, Picture
from dgnet.pictures import PictureRefused, read_file

_SAMPLES = 32
"""Hashes kept of a set, spread over its persons."""

_THREADS = 4
_HASH_BYTES = 6


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """What tells one training set from others.

    Equal persons have equal `persons`, equal files equal `pictures`.
    """

    persons: str
    pictures: str
    samples: tuple[str, ...]
    """Hashes of some files."""

    @classmethod
    def of(cls, pictures: Sequence[Picture], names: Mapping[int, str]) -> "Fingerprint":
        """The fingerprint of pictures in the order of training.

        `names` are persons' where that is not the id.
        """
        hashes = file_hashes([picture.path for picture in pictures])
        by_person: dict[int, list[str]] = {}
        for picture, found in zip(pictures, hashes, strict=True):
            by_person.setdefault(picture.person_id, []).append(found)
        persons = sorted(by_person)
        share = max(1, _SAMPLES // len(persons))
        chosen = persons[:: -(-len(persons) // _SAMPLES)]
        return cls(
            persons=persons_digest(persons, names),
            pictures=listing_digest(
                f"{_name(picture.person_id, names)}\t{picture.path.name}\t{found}"
                for picture, found in zip(pictures, hashes, strict=True)
            ),
            samples=tuple(
                found for person in chosen for found in sorted(by_person[person])[:share]
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """JSON-safe form, read back by `fingerprint_from`."""
        return {
            "persons": self.persons,
            "pictures": self.pictures,
            "samples": "".join(self.samples),
        }


def fingerprint_from(values: Mapping[str, Any]) -> Fingerprint | None:
    """What a checkpoint tells; None where it was made before fingerprints."""
    if not values:
        return None
    joined = str(values.get("samples", ""))
    width = 2 * _HASH_BYTES
    return Fingerprint(
        persons=str(values.get("persons")),
        pictures=str(values.get("pictures")),
        samples=tuple(joined[start : start + width] for start in range(0, len(joined), width)),
    )


def persons_digest(persons: Iterable[int], names: Mapping[int, str]) -> str:
    """The digest of persons in the order of their labels."""
    return listing_digest(_name(person, names) for person in persons)


def listing_digest(lines: Iterable[str]) -> str:
    """Short sha256 of lines in their order."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()[:16]


def file_hashes(paths: Sequence[Path]) -> list[str]:
    """A hash of each file's bytes."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(_file_hash, paths))


def _file_hash(path: Path) -> str:
    try:
        data = read_file(path)
    except PictureRefused as error:
        raise DatasetError(f"{path} cannot be read ({error})") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({os.strerror(error.errno or 0)})") from error
    return hashlib.blake2b(data, digest_size=_HASH_BYTES).hexdigest()


def _name(person: int, names: Mapping[int, str]) -> str:
    """The same for 2, 002 and 0002: layouts write numbers in their own ways."""
    name = names.get(person, str(person))
    return name.lstrip("0") or "0" if name.isascii() and name.isdigit() else name
