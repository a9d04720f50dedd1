"""MARS: people in tracks of pictures, a folder a person.

`bbox_train/0001/0001C1T0001F001.jpg` says person 1, camera 1, track 1, frame 1. In `bbox_test` the
folder `00-1` holds junk and `0000` distractors. Which tracks are queries is told by the files of
the evaluation code in `info`: `tracks_test_info.mat` gives first and last line in `test_name.txt`
of each track, `query_IDX.mat` the tracks that search. Without them there are no queries.
"""

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from dgnet.model.data.files import pictures_below
from dgnet.model.data.layouts.dataset import DataSet, SplitName
from dgnet.model.data.layouts.entries import Entry, dataset_of
from dgnet.model.data.layouts.numbering import USUAL_SPECIALS, Specials
from dgnet.model.data.names import MARS_NAME
from dgnet.model.data.picture import DatasetError

MARS_FOLDERS: dict[SplitName, str] = {"train": "bbox_train", "gallery": "bbox_test"}
INFO_FILES = ("test_name.txt", "tracks_test_info.mat", "query_IDX.mat")


def looks_like_mars(root: Path) -> bool:
    """Whether one of its folders is there."""
    return any((root / name).is_dir() for name in MARS_FOLDERS.values())


def read_mars(root: Path, specials: Specials | None = None) -> DataSet:
    """Reads the folders that are there; all pictures of a query's track are queries."""
    entries: list[Entry] = []
    skipped: list[Path] = []
    warnings: list[str] = []
    if not looks_like_mars(root):
        raise DatasetError(
            f"{root}: no folder of a MARS data set; expected {', '.join(MARS_FOLDERS.values())}"
        )
    for split, name in MARS_FOLDERS.items():
        if not (root / name).is_dir():
            continue
        right, wrong = MARS_NAME.followers(pictures_below(root / name))
        if not right:
            raise DatasetError(f"{root / name}: holds no picture, nor do the folders in it")
        skipped += wrong
        entries += (_entry(split, path) for path in right)
    if (root / MARS_FOLDERS["gallery"]).is_dir():
        if all((root / "info" / name).is_file() for name in INFO_FILES):
            queries = _query_names(root / "info")
            entries = [_as_query(entry, queries) for entry in entries]
        else:
            warnings.append(
                f"which tracks are queries is not known: expected info/{', info/'.join(INFO_FILES)}"
                " of the data set's evaluation code"
            )
    found = dataset_of(
        "mars",
        root,
        entries,
        specials or USUAL_SPECIALS,
        skipped=skipped,
        expected=MARS_NAME.expected,
        warnings=warnings,
    )
    return replace(found, lists=tuple(root / "info" / name for name in INFO_FILES))


def _entry(split: SplitName, path: Path) -> Entry:
    match = MARS_NAME.match(path)
    assert match is not None
    return Entry(split=split, path=path, person=match["person"], camera=match["camera"])


def _as_query(entry: Entry, queries: set[str]) -> Entry:
    if entry.split != "gallery" or entry.path.name not in queries:
        return entry
    return Entry(split="query", path=entry.path, person=entry.person, camera=entry.camera)


def _query_names(info: Path) -> set[str]:
    """Names of the pictures whose tracks search."""
    try:
        names = (info / "test_name.txt").read_text(encoding="utf-8").split()
        tracks = _matrix(info / "tracks_test_info.mat", "track_test_info")
        rows = [int(row) for row in _matrix(info / "query_IDX.mat", "query_IDX").reshape(-1)]
        found: set[str] = set()
        for row in rows:
            first, last = (int(line) for line in tracks[row - 1][:2])  # all count from 1
            if row < 1 or not 1 <= first <= last <= len(names):
                raise ValueError(f"track {row} has lines {first} to {last} of {len(names)}")
            found.update(names[first - 1 : last])
    except (IndexError, KeyError, TypeError, ValueError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{info}: {', '.join(INFO_FILES)} do not tell the queries ({error}); expected the "
            "files of MARS's evaluation code"
        ) from error
    return found


def _matrix(path: Path, name: str) -> Any:
    """A matrix of a MATLAB file."""
    try:
        io: Any = importlib.import_module("scipy.io")  # it ships no types
    except ImportError as error:
        raise DatasetError(
            f"{path}: reading MATLAB files needs scipy, which is not installed here: "
            "pip install 'dgnet[train]'"
        ) from error
    try:
        return io.loadmat(path)[name]
    except Exception as error:  # scipy raises anything at damaged files
        raise DatasetError(f"{path}: holds no matrix {name}: {error!r}") from error
