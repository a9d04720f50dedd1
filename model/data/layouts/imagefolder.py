"""A folder a person, as common classifiers of pictures read them.

`DIR/PERSON/*.jpg`, or `DIR/train/PERSON/*.jpg` with `query` and `gallery` beside it. A person's
name is any text and the same person in every split; ids count from 1 in the order of the names.
Cameras are not known, and no name means junk or distractor.
"""

from collections.abc import Iterator
from pathlib import Path

from dgnet.model.data.files import folders_in, pictures_in, some_pictures_in
from dgnet.model.data.layouts.dataset import DataSet, SplitName
from dgnet.model.data.layouts.numbering import number_names
from dgnet.model.data.picture import NO_CAMERA, DatasetError, Picture

IMAGEFOLDER_SPLITS: tuple[SplitName, ...] = ("train", "query", "gallery")


def read_imagefolder(root: Path) -> DataSet:
    """Reads the splits that are there, or all of `root` as training pictures."""
    folders: dict[SplitName, Path] = {
        split: root / split for split in IMAGEFOLDER_SPLITS if (root / split).is_dir()
    }
    beside = [path.name for path in folders_in(root) if path not in folders.values()]
    warnings = (
        (f"folders beside {', '.join(folders)} are passed over: {', '.join(beside)}",)
        if folders and beside
        else ()
    )
    found = [
        (split, person.name, path)
        for split, folder in (folders or {"train": root}).items()
        for person, path in _pictures(folder)
    ]
    ids = number_names(name for _, name, _ in found)
    pictures: dict[SplitName, tuple[Picture, ...]] = {
        split: tuple(
            Picture(path=path, person_id=ids[name], camera_id=NO_CAMERA)
            for other, name, path in found
            if other == split
        )
        for split in IMAGEFOLDER_SPLITS
    }
    return DataSet(
        layout="imagefolder",
        root=root,
        person_names={number: name for name, number in ids.items()},
        warnings=warnings,
        **pictures,
    )


def _pictures(folder: Path) -> Iterator[tuple[Path, Path]]:
    """The folder of the person and the path of each picture."""
    stray = pictures_in(folder)
    persons = folders_in(folder)
    if stray:
        raise DatasetError(
            f"{stray[0]}: a picture outside the folder of a person; expected {folder}/PERSON/"
            f"{stray[0].name}, or name the layout of {folder}"
        )
    if not persons:
        raise DatasetError(f"{folder}: holds no folder of a person; expected PERSON/PICTURE.jpg")
    for person in persons:
        deeper = folders_in(person)
        if deeper:
            raise DatasetError(
                f"{deeper[0]}: a folder inside the folder of a person; pictures must be directly "
                f"in {person}, or give a pattern that says what the folders mean"
            )
        for path in some_pictures_in(person):
            yield person, path
