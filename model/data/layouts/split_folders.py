"""Layouts with one folder a split and everything else in the file's name.

Market-1501, DukeMTMC-reID, CUHK03-NP and VeRi-776. A folder that holds such pictures directly, with
no folder of a split, is all training pictures.
"""

from dataclasses import dataclass
from pathlib import Path

from dgnet.model.data.files import pictures_in, some_pictures_in
from dgnet.model.data.layouts.dataset import DataSet, LayoutName, SplitName
from dgnet.model.data.names import CUHK03_NAME, DUKE_NAME, MARKET1501_NAME, VERI776_NAME, NameRule
from dgnet.model.data.picture import DatasetError, Picture

CUHK03_VERSIONS = ("detected", "labeled")

_MARKET_FOLDERS: dict[SplitName, str] = {
    "train": "bounding_box_train",
    "query": "query",
    "gallery": "bounding_box_test",
}
_VERI_FOLDERS: dict[SplitName, str] = {
    "train": "image_train",
    "query": "image_query",
    "gallery": "image_test",
}


@dataclass(frozen=True, kw_only=True)
class SplitFolders:
    """Folder names and file names of one layout."""

    layout: LayoutName
    rule: NameRule
    folders: dict[SplitName, str]
    warnings: tuple[str, ...] = ()

    def base(self, root: Path) -> Path:
        """Where the folders of the splits are: `root`, or CUHK03's one version in it."""
        if self.layout != "cuhk03":
            return root
        versions = [root / name for name in CUHK03_VERSIONS if (root / name).is_dir()]
        if len(versions) > 1:
            raise DatasetError(
                f"{root}: holds {' and '.join(CUHK03_VERSIONS)}, the same people cropped twice; "
                f"name one of them, such as {versions[0]}"
            )
        return versions[0] if versions else root

    def present(self, base: Path) -> dict[SplitName, Path]:
        """The folders of splits that are there."""
        present: dict[SplitName, Path] = {}
        for split, name in self.folders.items():
            if (base / name).is_dir():
                present[split] = base / name
        return present

    def read(self, root: Path) -> DataSet:
        base = self.base(root)
        folders: dict[SplitName, Path] = self.present(base)
        if not folders and pictures_in(base):
            folders = {"train": base}
        if not folders:
            raise DatasetError(
                f"{base}: no folder of a {self.rule.data_set} data set; expected "
                f"{', '.join(self.folders.values())}, or pictures directly in it"
            )
        pictures: dict[SplitName, tuple[Picture, ...]] = {}
        for split, folder in folders.items():
            pictures[split] = tuple(self.rule.parse_all(some_pictures_in(folder)))
        return DataSet(layout=self.layout, root=root, warnings=self.warnings, **pictures)


SPLIT_FOLDER_LAYOUTS = (
    SplitFolders(
        layout="market1501",
        rule=MARKET1501_NAME,
        folders={**_MARKET_FOLDERS, "multi_query": "gt_bbox"},
    ),
    SplitFolders(
        layout="duke",
        rule=DUKE_NAME,
        folders=_MARKET_FOLDERS,
        warnings=(
            "DukeMTMC-reID was withdrawn by its authors, because the people in it were filmed "
            "without their consent: do not publish new results or pictures made with it",
        ),
    ),
    SplitFolders(layout="cuhk03", rule=CUHK03_NAME, folders=_MARKET_FOLDERS),
    SplitFolders(layout="veri776", rule=VERI776_NAME, folders=_VERI_FOLDERS),
)
