"""Any folder whose paths a regular expression of the user explains.

The expression describes the whole path of a picture below the data set (below the split's folder
where there are splits), with `/` between folders, with or without its ending. The group `person` is
needed, `camera`, `clothes` and `frame` may be there; `dgnet.model.data.expressions` says what the
expression may hold. Persons that are all numbers keep them, -1 and 0 meaning junk and distractors
as in Market-1501; else they are names and get ids from 1.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from dgnet.model.data.expressions import NOT_TAKEN, UserPattern
from dgnet.model.data.files import is_text, pictures_below, without_ending
from dgnet.model.data.layouts.dataset import DataSet, SplitName
from dgnet.model.data.layouts.entries import KINDS, Entry, dataset_of
from dgnet.model.data.layouts.numbering import USUAL_SPECIALS, Specials
from dgnet.model.data.names import others
from dgnet.model.data.picture import DatasetError

_GROUPS = ("person", "camera", "frame", "clothes")
_SPLIT_FOLDERS: dict[SplitName, tuple[str, ...]] = {
    "train": ("train", "bounding_box_train", "image_train", "bbox_train", "train_all"),
    "query": ("query", "image_query"),
    "gallery": ("gallery", "bounding_box_test", "image_test", "bbox_test"),
}


def compile_pattern(pattern: str) -> UserPattern:
    """The user's expression, checked: it compiles and has the right groups."""
    if not is_text(pattern):
        raise DatasetError(
            f"pattern {pattern!r} holds half a character (a lone surrogate); expected text"
        )
    try:
        compiled = UserPattern(pattern)
    except ValueError as error:
        raise DatasetError(
            f"pattern {pattern!r} is no regular expression: {error} ({NOT_TAKEN}); "
            r"an example: (?P<person>\d+)_c(?P<camera>\d+)_.*"
        ) from error
    groups = set(compiled.groupindex)
    if "person" not in groups:
        raise DatasetError(
            f"pattern {pattern!r} lacks the group person; write (?P<person>...) around the part of "
            "a path that tells who it is"
        )
    unknown = sorted(groups - set(_GROUPS))
    if unknown:
        raise DatasetError(
            f"pattern {pattern!r} has the groups {', '.join(unknown)}; known are "
            f"{', '.join(_GROUPS)} (a part without meaning is written (?:...))"
        )
    return compiled


def read_pattern(root: Path, pattern: str, specials: Specials | None = None) -> DataSet:
    """Reads the folders of splits that are there, or all of `root` as training pictures."""
    compiled = compile_pattern(pattern)
    entries: list[Entry] = []
    skipped: list[Path] = []
    for split, folder in (_split_folders(root) or {"train": root}).items():
        found, wrong = _matches(compiled, split, folder)
        entries += found
        skipped += wrong
    specials = specials or USUAL_SPECIALS
    return dataset_of(
        "pattern",
        root,
        entries,
        specials,
        skipped=skipped,
        expected=f"paths that the pattern {pattern!r} describes",
        warnings=tuple(_warnings(entries, specials)),
    )


def _split_folders(root: Path) -> dict[SplitName, Path]:
    present: dict[SplitName, Path] = {}
    for split, names in _SPLIT_FOLDERS.items():
        folders = [root / name for name in names if (root / name).is_dir()]
        if len(folders) > 1:
            raise DatasetError(
                f"{root}: {' and '.join(folder.name for folder in folders)} are both the {split} "
                "split; name one of them otherwise"
            )
        if folders:
            present[split] = folders[0]
    return present


def _matches(
    pattern: UserPattern, split: SplitName, folder: Path
) -> tuple[list[Entry], list[Path]]:
    """What the expression finds, and the few paths that it does not describe."""
    found: list[Entry] = []
    wrong: list[Path] = []
    for path in pictures_below(folder):
        relative = path.relative_to(folder)
        match = next(
            (
                match
                for form in _forms(relative)
                if (match := pattern.fullmatch(form)) and match["person"]
            ),
            None,
        )
        if match is None:
            wrong.append(path)
            continue
        found.append(
            Entry(
                split=split,
                path=path,
                person=match["person"] or "",
                camera=match.get("camera") or None,
                clothes=match.get("clothes") or None,
            )
        )
    if wrong and len(wrong) >= len(found):
        name = wrong[0].relative_to(folder).with_suffix("").as_posix()
        raise DatasetError(
            f"{folder}: the pattern {pattern.pattern!r} finds no person in {name!r}"
            f"{others(len(wrong) - 1)}; it must describe the whole path below {folder}"
        )
    if not found:
        raise DatasetError(f"{folder}: holds no picture, nor do the folders in it")
    return found, wrong


def _forms(relative: Path) -> tuple[str, ...]:
    """A path without its ending, as it is, and without an ending that is doubled."""
    return (
        relative.with_suffix("").as_posix(),
        relative.as_posix(),
        relative.with_name(without_ending(relative.name)).as_posix(),
    )


def _warnings(entries: list[Entry], specials: Specials) -> Iterator[str]:
    counts = Counter(entry.person for entry in entries)
    for name, count in sorted(counts.items()):
        special = specials.id_of(name)
        if special is not None:
            yield (
                f"pictures of person {name} count as {KINDS[special]}, {count:,} of them; if "
                f"that is a person, give --{KINDS[special]} none"
            )
