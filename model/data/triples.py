"""Reads triples of pictures for which the perfect composite is known.

A folder holds `NNNN_appearance_PPPP.jpg`, `NNNN_structure_PPPP.jpg` and `NNNN_truth_PPPP.jpg`:
triple number and person. The truth shows the clothes of the first in the pose, body and scene of
the second. `NNNN_changed_PPPP.png`, where a renderer wrote it, is 255 wherever structure picture
and truth show other surfaces or shadows, else 0; all triples of a folder have it, or none.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from dgnet.model.data.files import pictures_in, without_ending
from dgnet.model.data.picture import DatasetError
from dgnet.paths import local_path

_NAME = re.compile(r"(?P<triple>\d+)_(?P<role>appearance|structure|truth|changed)_\d+")
_ROLES = ("appearance", "structure", "truth")
_CHANGED = "changed"


@dataclass(frozen=True, kw_only=True)
class Triple:
    """Paths of one triple, and whose clothes and whose body it shows."""

    appearance: Path
    structure: Path
    truth: Path
    changed: Path | None = None
    """Mask of what the change of clothes changed, told before any camera; None where not known."""

    @property
    def appearance_person_id(self) -> int:
        return _person_id(self.appearance)

    @property
    def structure_person_id(self) -> int:
        return _person_id(self.structure)


def read_triples(directory: str | Path) -> list[Triple]:
    """All triples of a folder in the order of their numbers."""
    directory = local_path(directory)
    if not directory.is_dir():
        raise DatasetError(f"{directory}: no such folder; expected a folder of true triples")
    found: defaultdict[str, dict[str, Path]] = defaultdict(dict)
    for path in pictures_in(directory):
        match = _NAME.fullmatch(without_ending(path.name))
        if match is None:
            raise DatasetError(
                f"{path}: expected NNNN_appearance_PPPP, NNNN_structure_PPPP or NNNN_truth_PPPP "
                "(triple number, role, person), or the mask NNNN_changed_PPPP"
            )
        found[match["triple"]][match["role"]] = path
    if not found:
        raise DatasetError(f"{directory}: holds no picture; expected triples of three")
    masked = any(_CHANGED in paths for paths in found.values())
    expected = (*_ROLES, _CHANGED) if masked else _ROLES
    for number, paths in sorted(found.items()):
        missing = [role for role in expected if role not in paths]
        if missing:
            raise DatasetError(
                f"{directory}: triple {number} lacks its {' and '.join(missing)} picture"
            )
    return [Triple(**paths) for _, paths in sorted(found.items())]


def _person_id(path: Path) -> int:
    return int(without_ending(path.name).rpartition("_")[2])
