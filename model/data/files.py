"""Lists pictures and folders the way every reader of data sets sees them.

Published archives also carry Thumbs.db, `.DS_Store`, `__MACOSX` and `._NAME.jpg` (which is no
JPEG): hidden entries and files without a picture's ending are passed over.
"""

from pathlib import Path

from dgnet.model.data.picture import PICTURE_SUFFIXES, DatasetError


def is_picture_name(name: str) -> bool:
    """Whether a file's name is that of a picture; its content is not looked at."""
    return not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES


def pictures_in(directory: Path) -> list[Path]:
    """The pictures directly in a folder, sorted by name; may be none."""
    return sorted(path for path in directory.iterdir() if is_picture_name(path.name))


def some_pictures_in(directory: Path) -> list[Path]:
    """As `pictures_in`; none is an error."""
    paths = pictures_in(directory)
    if not paths:
        raise DatasetError(
            f"{directory}: holds no picture; expected files ending in "
            f"{', '.join(sorted(PICTURE_SUFFIXES))}"
        )
    return paths


def is_folder_to_read(path: Path) -> bool:
    """Whether a path is a folder that may hold pictures."""
    return path.is_dir() and not path.name.startswith(".") and path.name != "__MACOSX"


def folders_in(directory: Path) -> list[Path]:
    """The folders directly in a folder, sorted by name."""
    return sorted(path for path in directory.iterdir() if is_folder_to_read(path))
