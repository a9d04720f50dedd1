"""What a composite's file is called and in which folder it lies.

Person of the appearance, camera of the structure. Market-1501's own frames have six digits and its
sequences end at 6, so no real picture has such a name, while every reader of Market-1501 takes it.
"""

from __future__ import annotations

from collections.abc import Iterable

from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.spec import OutputSpec

MARKET_FOLDER = "bounding_box_train"
IMAGEFOLDER_FOLDER = "train"
UNKNOWN_CAMERA = 0


def market_name(person_id: int, camera_id: int | None, position: int, ending: str) -> str:
    """`0002_c1s9_000000123_99.jpg`; camera 0 where it is not known."""
    camera = UNKNOWN_CAMERA if camera_id is None else camera_id
    return f"{person_id:04d}_c{camera}s9_{position:09d}_99.{ending}"


class Names:
    """Paths of composites below the output folder (or below a shard's), with forward slashes."""

    def __init__(
        self, output: OutputSpec, person_ids: Iterable[int], person_names: dict[int, str]
    ) -> None:
        self._output = output
        self._folders = {
            person: _folder_name(person_names.get(person), person) for person in person_ids
        }
        if output.layout == "imagefolder" and len(set(self._folders.values())) < len(self._folders):
            raise GenerationError(
                "two persons would share a folder of the layout imagefolder, since their names "
                "differ in characters only that a folder cannot have; choose another layout"
            )

    def path(self, person_id: int, camera_id: int | None, position: int) -> str:
        name = market_name(person_id, camera_id, position, self._output.picture_format)
        match self._output.layout:
            case "market1501":
                return f"{MARKET_FOLDER}/{name}"
            case "imagefolder":
                return f"{IMAGEFOLDER_FOLDER}/{self._folders[person_id]}/{name}"
            case "webdataset" | "parquet":
                return name


def _folder_name(name: str | None, person_id: int) -> str:
    if name is None:
        return f"{person_id:04d}"
    # A leading dot would hide the folder from readers.
    return name.replace("/", "_").replace("\\", "_").lstrip(".") or f"{person_id:04d}"
