"""What every layout is read into."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dgnet.layouts import LayoutName as LayoutName
from dgnet.layouts import SplitName as SplitName
from dgnet.model.data.picture import DatasetError, Picture

SPLITS: tuple[SplitName, ...] = ("train", "query", "gallery", "multi_query")


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """The pictures of one data set by split; a split that it lacks is empty.

    One person id means one person in all splits: layouts that number train and test apart get ids
    apart. Junk keeps id -1 and distractors id 0 where the layout has them, and no person gets one
    of them.
    """

    layout: LayoutName
    root: Path
    train: tuple[Picture, ...] = ()
    query: tuple[Picture, ...] = ()
    gallery: tuple[Picture, ...] = ()
    multi_query: tuple[Picture, ...] = ()
    """More pictures of the query's persons, to be searched with together (Market's gt_bbox)."""
    person_names: Mapping[int, str] = field(default_factory=dict[int, str])
    """What the data set calls a person, where that is not the id."""
    warnings: tuple[str, ...] = ()
    """What the reader has to say about the data set as a whole."""
    notes: tuple[str, ...] = ()
    """What was decided or passed over as it should be; good to know."""
    lists: tuple[Path, ...] = ()
    """Files beside the pictures that were read."""
    skipped: tuple[Path, ...] = ()
    """Pictures that were left out because their names do not follow the layout."""

    @property
    def splits(self) -> dict[SplitName, tuple[Picture, ...]]:
        return {
            "train": self.train,
            "query": self.query,
            "gallery": self.gallery,
            "multi_query": self.multi_query,
        }

    @property
    def has_cameras(self) -> bool:
        """Whether any picture's camera is known. Without, nothing is same-camera junk."""
        return any(picture.has_camera for split in self.splits.values() for picture in split)

    def split(self, name: SplitName) -> tuple[Picture, ...]:
        """The pictures of a split that the caller cannot do without."""
        pictures = self.splits[name]
        if not pictures:
            there = [
                f"{other} ({len(self.splits[other])})" for other in SPLITS if self.splits[other]
            ]
            raise DatasetError(
                f"{self.root}: read as {self.layout}, it has no {name} pictures, only "
                f"{', '.join(there) or 'none at all'}; docs/data.md shows the folders of a layout"
            )
        return pictures

    def person_name(self, person_id: int) -> str:
        """What the data set calls the person."""
        return self.person_names.get(person_id, str(person_id))
