"""What the file names of the published data sets say: person, camera and, in some, the clothes.

A rule is a regular expression with the groups `person` and `camera`, perhaps `clothes`. The rules
exclude each other, so that a name tells which data set it is from; PersonX's alone takes what
others take too.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dgnet.model.data.files import without_ending
from dgnet.model.data.picture import DatasetError, Picture

MOST_DIGITS = 18
"""Of a person's or a camera's number: more do not fit into 64 bits."""


@dataclass(frozen=True, kw_only=True)
class NameRule:
    """How the pictures of one data set are named, their ending aside."""

    data_set: str
    pattern: re.Pattern[str]
    form: str
    """The rule in words with an example, for error messages."""

    @property
    def expected(self) -> str:
        """The rule in words, and what else a name must be."""
        return f"{self.form} (numbers of persons and cameras have at most {MOST_DIGITS} digits)"

    def match(self, path: Path) -> re.Match[str] | None:
        """What the name says; None where it does not follow."""
        return self.pattern.fullmatch(without_ending(path.name))

    def matches(self, path: Path) -> bool:
        return self.match(path) is not None

    def resembles(self, path: Path) -> bool:
        """Whether a name is meant to follow, though its numbers may be too long."""
        return self._loose.fullmatch(without_ending(path.name)) is not None

    @cached_property
    def _loose(self) -> re.Pattern[str]:
        text = self.pattern.pattern.replace(f"{{1,{MOST_DIGITS}}}", "+")
        return re.compile(text, re.ASCII)

    def parse(self, path: Path) -> Picture:
        """The person and the camera that a picture's name states."""
        match = self.match(path)
        if match is None:
            raise DatasetError(self._wrong_name(path))
        return Picture(path=path, person_id=int(match["person"]), camera_id=int(match["camera"]))

    def followers(self, paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
        """The paths whose names follow, and those few that do not and may be left out.

        Raises DatasetError, which names the first, unless most names follow: a whole folder of
        others is of another data set.
        """
        right: list[Path] = []
        wrong: list[Path] = []
        for path in paths:
            (right if self.matches(path) else wrong).append(path)
        if wrong and len(wrong) >= len(right):
            raise DatasetError(self._wrong_name(wrong[0]) + others(len(wrong) - 1))
        return right, wrong

    def _wrong_name(self, path: Path) -> str:
        return f"{path}: the name does not follow {self.data_set}; expected {self.expected}"


def others(count: int) -> str:
    """The end of a message about the first of several that are wrong in the same way."""
    return f"; {count} more like it" if count else ""


_PERSON = rf"(?P<person>-1|\d{{1,{MOST_DIGITS}}})"
_CAMERA = rf"(?P<camera>\d{{1,{MOST_DIGITS}}})"


def _rule(data_set: str, pattern: str, form: str) -> NameRule:
    return NameRule(
        data_set=data_set,
        pattern=re.compile(pattern, re.ASCII),
        form=form,
    )


MARKET1501_NAME = _rule(
    "Market-1501",
    rf"{_PERSON}_c{_CAMERA}s\d+_\d+_\d+",
    "PERSON_cCAMERAsSEQUENCE_FRAME_DETECTION such as 0002_c1s1_000451_03.jpg "
    "(-1 junk, 0000 distractor)",
)
DUKE_NAME = _rule(
    "DukeMTMC-reID",
    rf"{_PERSON}_c{_CAMERA}_f\d+",
    "PERSON_cCAMERA_fFRAME such as 0001_c7_f0106449.jpg",
)
CUHK03_NAME = _rule(
    "CUHK03-NP",
    rf"{_PERSON}_c{_CAMERA}_\d+",
    "PERSON_cCAMERA_NUMBER such as 0001_c1_1.png",
)
VERI776_NAME = _rule(
    "VeRi-776",
    rf"{_PERSON}_c{_CAMERA}_\d+_\d+",
    "VEHICLE_cCAMERA_FRAME_NUMBER such as 0001_c001_00016450_0.jpg",
)
LTCC_NAME = _rule(
    "LTCC",
    rf"{_PERSON}_(?P<clothes>\d{{1,{MOST_DIGITS}}})_c{_CAMERA}_\d+",
    "PERSON_CLOTHES_cCAMERA_FRAME such as 094_1_c9_015833.png",
)
_COMPOSITE = re.compile(r"\d+_c\d+s9_\d{9}_99", re.ASCII)
"""What `dgnet generate` calls pictures, in all its layouts: named as in Market-1501, but as no real
picture is."""


def is_composite(path: Path) -> bool:
    """Whether a picture was made by `dgnet generate`, by its name."""
    return _COMPOSITE.fullmatch(without_ending(path.name)) is not None


RANDPERSON_NAME = _rule(
    "RandPerson",
    # A scene's cameras count from 0 anew, so that a camera is known by both numbers.
    r"(?P<person>\d{1,18})_(?P<camera>c\d+_s\d+)_f\d+",
    "PERSON_cCAMERA_sSCENE_fFRAME such as 000000_c00_s00_f000264.jpg",
)
MARS_NAME = _rule(
    "MARS",
    r"(?P<person>00-1|\d{4})C(?P<camera>\d)T\d{4}F\d{3,}",
    "PERSONCCAMERATTRACKFFRAME such as 0002C1T0001F001.jpg (00-1 junk, 0000 distractor)",
)
PERSONX_NAME = _rule(
    "PersonX",
    rf"{_PERSON}_c{_CAMERA}(?:[_s].*)?",
    "PERSON_cCAMERA_... such as 0001_c1_0010.jpg",
)
