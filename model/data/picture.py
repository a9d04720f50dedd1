"""One crop of one person, as every reader of data sets hands it out.

Person -1 marks junk (ignored by evaluation), person 0 marks distractors (they count as wrong); the
convention is Market-1501's. Which of them a task wants is left to that task. Nothing is decoded
here.
"""

from dataclasses import dataclass
from pathlib import Path

from dgnet.pictures import PICTURE_SUFFIXES as PICTURE_SUFFIXES

JUNK_PERSON_ID = -1
DISTRACTOR_PERSON_ID = 0

# Of a picture whose camera is not known; such a picture is nobody's same-camera junk.
NO_CAMERA = -1


class DatasetError(ValueError):
    """A folder or file does not look like the dataset that was asked for.

    Its message can always be printed and sent, whatever bytes the names in it have.
    """

    def __init__(self, message: str) -> None:
        super().__init__(writable(message))


def writable(text: str) -> str:
    """Text with what is not UTF-8 written out, as `\\xfc` for a name in Latin-1."""
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # no file's name
        data = text.encode("utf-8", "backslashreplace")
    return data.decode("utf-8", "backslashreplace")


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One crop of one person, known by its path. `camera_id` may be NO_CAMERA."""

    path: Path
    person_id: int
    camera_id: int
    clothes_id: str | None = None
    """Which clothes the person wears, as the data set calls them; None where it does not tell."""

    @property
    def is_junk(self) -> bool:
        return self.person_id == JUNK_PERSON_ID

    @property
    def is_distractor(self) -> bool:
        return self.person_id == DISTRACTOR_PERSON_ID

    @property
    def shows_a_person(self) -> bool:
        """Neither junk nor a distractor."""
        return not self.is_junk and not self.is_distractor

    @property
    def has_camera(self) -> bool:
        return self.camera_id != NO_CAMERA
