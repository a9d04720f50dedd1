"""Layouts with one folder a split and everything else in the file's name.

Market-1501, DukeMTMC-reID (Occluded-Duke too), CUHK03-NP, VeRi-776, LTCC, RandPerson and PersonX. A
folder that holds such pictures directly, with no folder of a split, is all training pictures.
"""

from dataclasses import dataclass
from pathlib import Path

from dgnet.model.data.files import pictures_in, some_pictures_in
from dgnet.model.data.layouts.dataset import DataSet, LayoutName, SplitName
from dgnet.model.data.layouts.entries import Entry, dataset_of
from dgnet.model.data.layouts.numbering import NO_SPECIALS, USUAL_SPECIALS, Specials
from dgnet.model.data.names import (
    CUHK03_NAME,
    DUKE_NAME,
    LTCC_NAME,
    MARKET1501_NAME,
    PERSONX_NAME,
    RANDPERSON_NAME,
    VERI776_NAME,
    NameRule,
)
from dgnet.model.data.picture import DatasetError

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
    versions: tuple[str, ...] = ()
    """Folders that hold the same people, cropped in other ways: one of them is read."""
    inside: str | None = None
    """A folder that holds everything and may stand between."""
    specials: Specials = USUAL_SPECIALS
    warnings: tuple[str, ...] = ()

    def bases(self, root: Path) -> list[Path]:
        """Where the folders of splits may be."""
        inside = () if self.inside is None else (self.inside,)
        return [
            root,
            *(root / name for name in (*self.versions, *inside) if (root / name).is_dir()),
        ]

    def base(self, root: Path) -> Path:
        """Where the folders of the splits are: `root`, or CUHK03's one version in it."""
        if self.inside is not None and (root / self.inside).is_dir():
            return root / self.inside
        versions = [root / name for name in self.versions if (root / name).is_dir()]
        if len(versions) > 1:
            raise DatasetError(
                f"{root}: holds {' and '.join(self.versions)}, the same people cropped twice; "
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

    def read(self, root: Path, specials: Specials | None = None) -> DataSet:
        base = self.base(root)
        folders: dict[SplitName, Path] = self.present(base)
        if not folders and pictures_in(base):
            folders = {"train": base}
        if not folders:
            sought = [*self.folders.values(), *([self.inside] if self.inside else [])]
            raise DatasetError(
                f"{base}: no folder of a {self.rule.data_set} data set; expected "
                f"{', '.join(sought)}, or pictures directly in it"
            )
        entries: list[Entry] = []
        skipped: list[Path] = []
        for split, folder in folders.items():
            right, wrong = self.rule.followers(some_pictures_in(folder))
            skipped += wrong
            entries += (self._entry(split, path) for path in right)
        return dataset_of(
            self.layout,
            root,
            entries,
            specials or self.specials,
            skipped=skipped,
            expected=self.rule.expected,
            warnings=self.warnings,
        )

    def _entry(self, split: SplitName, path: Path) -> Entry:
        match = self.rule.match(path)
        assert match is not None
        found = match.groupdict()
        return Entry(
            split=split,
            path=path,
            person=found["person"],
            camera=found["camera"],
            clothes=found.get("clothes"),
        )


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
    SplitFolders(
        layout="cuhk03", rule=CUHK03_NAME, folders=_MARKET_FOLDERS, versions=CUHK03_VERSIONS
    ),
    SplitFolders(layout="veri776", rule=VERI776_NAME, folders=_VERI_FOLDERS),
    SplitFolders(
        layout="ltcc",
        rule=LTCC_NAME,
        folders={"train": "train", "query": "query", "gallery": "test"},
        specials=NO_SPECIALS,
    ),
    SplitFolders(
        layout="randperson",
        rule=RANDPERSON_NAME,
        folders={},
        inside="randperson_subset",
        specials=NO_SPECIALS,
    ),
    # Last: its rule takes the names of others too.
    SplitFolders(layout="personx", rule=PERSONX_NAME, folders=_MARKET_FOLDERS),
)
