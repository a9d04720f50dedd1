"""What the file names of the published data sets say: person and camera.

A rule is a regular expression with the groups `person` and `camera`. The rules exclude each other,
so that a name tells which data set it is from.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dgnet.model.data.picture import DatasetError, Picture


@dataclass(frozen=True, kw_only=True)
class NameRule:
    """How the pictures of one data set are named, their ending aside."""

    data_set: str
    pattern: re.Pattern[str]
    form: str
    """The rule in words with an example, for error messages."""

    def matches(self, path: Path) -> bool:
        return self.pattern.fullmatch(path.stem) is not None

    def parse(self, path: Path) -> Picture:
        """The person and the camera that a picture's name states."""
        match = self.pattern.fullmatch(path.stem)
        if match is None:
            raise DatasetError(self._wrong_name(path))
        return Picture(path=path, person_id=int(match["person"]), camera_id=int(match["camera"]))

    def parse_all(self, paths: Iterable[Path]) -> list[Picture]:
        """As `parse`; the error names the first wrong name and counts the others."""
        paths = list(paths)
        wrong = [path for path in paths if not self.matches(path)]
        if wrong:
            raise DatasetError(self._wrong_name(wrong[0]) + others(len(wrong) - 1))
        return [self.parse(path) for path in paths]

    def _wrong_name(self, path: Path) -> str:
        return f"{path}: the name does not follow {self.data_set}; expected {self.form}"


def others(count: int) -> str:
    """The end of a message about the first of several that are wrong in the same way."""
    return f"; {count} more like it" if count else ""


def _rule(data_set: str, pattern: str, form: str) -> NameRule:
    return NameRule(data_set=data_set, pattern=re.compile(pattern, re.ASCII), form=form)


MARKET1501_NAME = _rule(
    "Market-1501",
    r"(?P<person>-1|\d+)_c(?P<camera>\d+)s\d+_\d+_\d+",
    "PERSON_cCAMERAsSEQUENCE_FRAME_DETECTION such as 0002_c1s1_000451_03.jpg "
    "(-1 junk, 0000 distractor)",
)
DUKE_NAME = _rule(
    "DukeMTMC-reID",
    r"(?P<person>-1|\d+)_c(?P<camera>\d+)_f\d+",
    "PERSON_cCAMERA_fFRAME such as 0001_c7_f0106449.jpg",
)
CUHK03_NAME = _rule(
    "CUHK03-NP",
    r"(?P<person>-1|\d+)_c(?P<camera>\d+)_\d+",
    "PERSON_cCAMERA_NUMBER such as 0001_c1_1.png",
)
VERI776_NAME = _rule(
    "VeRi-776",
    r"(?P<person>-1|\d+)_c(?P<camera>\d+)_\d+_\d+",
    "VEHICLE_cCAMERA_FRAME_NUMBER such as 0001_c001_00016450_0.jpg",
)
