"""Small data sets of two cameras without a published split: VIPeR, CUHK01, PRID-2011, iLIDS-VID.

Papers draw halves of the persons at random, ten times. Here the halves are fixed, so that figures
repeat: of the persons whom both cameras saw, in the order of their numbers, every second one is
trained on, beginning with the first; of the others camera 1 searches camera 2. Who was seen by one
camera alone is trained on.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from dgnet.model.data.files import pictures_below, without_ending
from dgnet.model.data.layouts.dataset import DataSet, LayoutName, SplitName
from dgnet.model.data.layouts.entries import Entry, dataset_of
from dgnet.model.data.layouts.numbering import NO_SPECIALS, Specials
from dgnet.model.data.names import others
from dgnet.model.data.picture import DatasetError

_CAMERAS = {"a": "1", "b": "2"}

SPLIT_RULE = (
    "no split of this data set was published: every second person is trained on, of the others "
    "camera 1 searches camera 2; papers average over ten random halves"
)


@dataclass(frozen=True, kw_only=True)
class TwoCameras:
    """How paths below the data set's folder tell person and camera."""

    layout: LayoutName
    data_set: str
    path: re.Pattern[str]
    """Without the picture's ending; groups `person` and `camera`, or `picture` in its place."""
    form: str
    inside: tuple[str, ...]
    """Folders, one in the other, that published archives put around everything."""
    versions: tuple[str, ...] = ()
    """Folders that hold the same people in other pictures: one of them is read."""
    shared_persons: int | None = None
    """Persons of larger numbers are others before each camera, and only camera 2's are used."""

    def base(self, root: Path) -> Path:
        """Where the paths begin."""
        base = root
        for name in self.inside:
            base = base / name if (base / name).is_dir() else base
        versions = [base / name for name in self.versions if (base / name).is_dir()]
        if len(versions) > 1:
            raise DatasetError(
                f"{base}: holds {' and '.join(path.name for path in versions)}, other pictures of "
                f"the same people; name one of them, such as {versions[-1]}"
            )
        return versions[0] if versions else base

    def looks_alike(self, root: Path) -> bool:
        """Whether most pictures follow."""
        try:
            base = self.base(root)
        except DatasetError:  # both versions are there, which the reader explains
            return True
        count = followers = 0
        for path in pictures_below(base):
            count += 1
            followers += self._match(path, base) is not None
            if count == 200:
                break
        return followers * 2 > count

    def read(self, root: Path, specials: Specials | None = None) -> DataSet:
        base = self.base(root)
        found: list[tuple[Path, str, str]] = []
        skipped: list[Path] = []
        for path in pictures_below(base):
            match = self._match(path, base)
            if match is None:
                skipped.append(path)
            else:
                found.append((path, match["person"], _camera(match)))
        if not found or len(skipped) >= len(found):
            first = skipped[0] if skipped else base
            raise DatasetError(
                f"{first}: the path does not follow {self.data_set}; expected "
                f"{self.form}{others(len(skipped) - 1)}"
            )
        entries = self._split(found)
        left_out = len(found) - len(entries)
        warnings = [SPLIT_RULE]
        if left_out:
            warnings.append(
                f"{left_out} pictures of persons above {self.shared_persons} before camera 1 are "
                "not read: they are others than those before camera 2, and no protocol uses them"
            )
        return dataset_of(
            self.layout,
            root,
            entries,
            specials or NO_SPECIALS,
            skipped=skipped,
            expected=self.form,
            warnings=warnings,
        )

    def _match(self, path: Path, base: Path) -> re.Match[str] | None:
        return self.path.fullmatch(without_ending(path.relative_to(base).as_posix()))

    def _split(self, found: list[tuple[Path, str, str]]) -> list[Entry]:
        cameras: defaultdict[int, set[str]] = defaultdict(set)
        for _, person, camera in found:
            cameras[int(person)].add(camera)
        both = sorted(
            person for person, seen in cameras.items() if len(seen) > 1 and self._shared(person)
        )
        tested = set(both[1::2])
        entries: list[Entry] = []
        for path, person, camera in found:
            split: SplitName = "train"
            if not self._shared(int(person)):
                if camera == "1":
                    continue
                split = "gallery"
            elif int(person) in tested:
                split = "query" if camera == "1" else "gallery"
            entries.append(Entry(split=split, path=path, person=person, camera=camera))
        return entries

    def _shared(self, person: int) -> bool:
        return self.shared_persons is None or person <= self.shared_persons


def _camera(match: re.Match[str]) -> str:
    groups = match.groupdict()
    if groups.get("picture"):  # CUHK01: two pictures before each camera
        return "1" if int(groups["picture"]) <= 2 else "2"
    return _CAMERAS.get(groups["camera"], groups["camera"])


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.ASCII)


TWO_CAMERA_LAYOUTS = (
    TwoCameras(
        layout="viper",
        data_set="VIPeR",
        path=_pattern(r"cam_(?P<camera>[ab])/(?P<person>\d{1,18})_\d+"),
        form="cam_a/PERSON_ANGLE and cam_b/PERSON_ANGLE such as cam_a/001_45.bmp",
        inside=("VIPeR",),
    ),
    TwoCameras(
        layout="cuhk01",
        data_set="CUHK01",
        path=_pattern(r"(?P<person>\d{4})(?P<picture>00[1-4])"),
        form="PERSONPICTURE of four and three digits such as 0001001.png (001 and 002 are of "
        "camera 1, 003 and 004 of camera 2)",
        inside=("campus",),
    ),
    TwoCameras(
        layout="prid2011",
        data_set="PRID-2011",
        path=_pattern(r"cam_(?P<camera>[ab])/person_(?P<person>\d{1,18})(?:/\d+)?"),
        form="cam_a/person_PERSON.png (single_shot) or cam_a/person_PERSON/NUMBER.png (multi_shot)",
        inside=("prid_2011",),
        versions=("single_shot", "multi_shot"),
        shared_persons=200,
    ),
    TwoCameras(
        layout="ilids_vid",
        data_set="iLIDS-VID",
        path=_pattern(r"cam(?P<camera>[12])/person(?P<person>\d{1,18})/cam\d_person\d+(?:_\d+)?"),
        form="camCAMERA/personPERSON/camCAMERA_personPERSON_NUMBER.png",
        inside=("i-LIDS-VID",),
        versions=("images", "sequences"),
    ),
)
