"""From what names say to a data set: the one way in which persons and cameras get their numbers.

A reader hands in an entry a picture, all in the data set's own words; what is decided about them,
and whatever looks as if it were not meant, is said in the data set's warnings.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dgnet.model.data.layouts.dataset import SPLITS, DataSet, LayoutName, SplitName
from dgnet.model.data.layouts.numbering import (
    NO_SPECIALS,
    USUAL_SPECIALS,
    Persons,
    Specials,
    means,
    number_cameras,
    number_persons,
)
from dgnet.model.data.picture import DISTRACTOR_PERSON_ID, NO_CAMERA, Picture

KINDS = {-1: "junk", 0: "distractors"}

_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One picture in the data set's own words."""

    split: SplitName
    path: Path
    person: str
    camera: str | None = None
    clothes: str | None = None


def dataset_of(
    layout: LayoutName,
    root: Path,
    entries: Iterable[Entry],
    specials: Specials = NO_SPECIALS,
    *,
    as_names: bool = False,
    skipped: Sequence[Path] = (),
    expected: str = "",
    warnings: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> DataSet:
    """The data set of these entries, each split in their order.

    `as_names`: persons get ids in the order of their names, even where all are numbers. `skipped`
    are pictures that did not follow the layout, in words `expected`.
    """
    entries = list(entries)
    persons = number_persons((entry.person for entry in entries), specials, as_names=as_names)
    cameras, about_cameras = number_cameras(
        entry.camera for entry in entries if entry.camera is not None
    )
    pictures: dict[SplitName, list[Picture]] = {split: [] for split in SPLITS}
    for entry in entries:
        pictures[entry.split].append(
            Picture(
                path=entry.path,
                person_id=persons.ids[entry.person],
                camera_id=NO_CAMERA if entry.camera is None else cameras[entry.camera],
                clothes_id=entry.clothes,
            )
        )
    return DataSet(
        layout=layout,
        root=root,
        person_names=persons.names,
        warnings=(
            *warnings,
            *skipped_warning(root, skipped, expected),
            *persons.warnings,
            *about_cameras,
            *_absent(persons, specials),
        ),
        notes=tuple(notes),
        skipped=tuple(skipped),
        train=tuple(pictures["train"]),
        query=tuple(pictures["query"]),
        gallery=tuple(pictures["gallery"]),
        multi_query=tuple(pictures["multi_query"]),
    )


def _absent(persons: Persons, specials: Specials) -> Iterator[str]:
    """A spelling of junk or distractors that a user gave and nobody has."""
    default = USUAL_SPECIALS
    for kind, given, usual in (
        ("junk", specials.junk, default.junk),
        ("distractors", specials.distractors, default.distractors),
    ):
        for text in given:
            if text not in usual and not any(means(text, person) for person in persons.ids):
                yield f"nobody is called {text}, which was given as {kind}"


def skipped_warning(root: Path, skipped: Sequence[Path], expected: str) -> tuple[str, ...]:
    """Which pictures are left out, counted."""
    if not skipped:
        return ()
    count = f"{len(skipped)} pictures are" if len(skipped) > 1 else "1 picture is"
    names = ", ".join(path.relative_to(root).as_posix() for path in skipped[:_SHOWN])
    more = ", ..." if len(skipped) > _SHOWN else ""
    return (
        f"{count} left out, since the name does not follow the layout: {names}{more}; expected "
        f"{expected}",
    )


def nobody_warnings(dataset: DataSet) -> tuple[str, ...]:
    """Junk and distractors where a published data set has none: among those to train on, and among
    the queries.
    """
    found: list[str] = []
    senses: dict[SplitName, str] = {
        "train": "so that nobody learns them",
        "query": "for whom nobody searches, so that these queries are left out",
    }
    for split, sense in senses.items():
        counts = Counter(p.person_id for p in dataset.splits[split] if not p.shows_a_person)
        for person, count in sorted(counts.items()):
            option = "--distractors" if person == DISTRACTOR_PERSON_ID else "--junk"
            found.append(
                f"{count} {split} pictures of person {person} count as {KINDS[person]}, {sense}; "
                f"if that is a person (are persons numbered from 0?), give {option} none"
            )
    return tuple(found)
