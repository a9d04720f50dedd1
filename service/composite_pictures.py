"""The pictures of one composite: its own file, wherever the job's layout puts it, and its sources.

Paths come from the manifest alone, never from a request, and yet none is followed out of its
folder. What a browser cannot show, a BMP or TIFF of a data set, becomes a PNG of the same pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.jobs import GenerationJob
from dgnet.jobs.generation.packed import data_file, read_packed
from dgnet.jobs.generation.records import located
from dgnet.jobs.generation.spec import spec_from
from dgnet.jobs.media_types import JPEG, PNG, WEBP
from dgnet.jobs.storage import StorageSettings, resolve_below
from dgnet.pictures import WEB_FORMATS, FormatName, PictureRefused, open_file
from dgnet.pictures.encoding import encode_picture

_MEDIA_TYPES: dict[FormatName, str] = {"JPEG": JPEG, "PNG": PNG, "WEBP": WEBP}
_BY_ENDING = {".jpg": JPEG, ".png": PNG, ".webp": WEBP}
_PICTURES_FOLDER = "pictures"


class PictureGone(Exception):
    """There is no such picture; `str(error)` says why and is safe to show."""


class Picture(NamedTuple):
    """A file that a browser shows."""

    data: bytes
    media_type: str


def composite_picture(folder: Path, part: Path, row: dict[str, Any]) -> Picture:
    """The picture of a row of `part`, the manifest or a shard's; raises PictureGone."""
    file = row["file"]
    if file is None:
        raise PictureGone(
            f"Composite {row['position']} was dropped ({row['dropped']}); its picture was not kept."
        )
    # Those of a shard move when the set is put together.
    for place in (part.parent / _PICTURES_FOLDER, folder):
        try:
            resolve_below(place, data_file(file))
            data = read_packed(place, file)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except ValueError as error:
            raise PictureGone(f"Composite {row['position']} lies elsewhere.") from error
        except ImportError as error:
            raise PictureGone(
                "The picture is packed in Parquet, which this front end cannot read (pyarrow is "
                "not installed); fetch the file."
            ) from error
        return Picture(data, _BY_ENDING.get(Path(file).suffix, PNG))
    raise PictureGone(f"The picture of composite {row['position']} is gone from the server.")


def source_picture(storage: StorageSettings, job: GenerationJob, path: str) -> Picture:
    """A picture of the data set that the job took; raises PictureGone."""
    try:
        source = located(spec_from(job.spec), storage).source.folder
        assert source is not None
        place = resolve_below(source, path)
        resolve_below(storage.data_root, place.relative_to(storage.data_root.resolve()))
        opened = open_file(place)
    except (OSError, ValueError, GenerationError, PictureRefused) as error:
        raise PictureGone(
            f"The source picture {path.encode(errors='replace').decode()[:200]!r} cannot be shown: "
            "the data set was deleted or changed since."
        ) from error
    if opened.kind in WEB_FORMATS:
        return Picture(opened.data, _MEDIA_TYPES[opened.kind])
    try:
        return Picture(encode_picture(opened.rgb(), "PNG", png_level=1), PNG)
    except PictureRefused as error:
        raise PictureGone(f"The source picture cannot be shown: it {error.what}") from error
