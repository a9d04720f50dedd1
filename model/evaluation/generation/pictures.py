"""Which pictures take part when composites are measured as a set, drawn from a seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from dgnet.model.data.layouts import DataSet, SplitName
from dgnet.model.data.picture import DatasetError, Picture

LEAST_REAL = 4
"""Two sets of two: with fewer pictures there is no covariance."""


def pictured_people(dataset: DataSet, split: SplitName | None) -> tuple[Picture, ...]:
    """Pictures of persons in a split, by default query and gallery; each file once."""
    if split is not None:
        found = dataset.split(split)
    elif dataset.query or dataset.gallery:
        found = (*dataset.query, *dataset.gallery)
    else:
        raise DatasetError(
            f"{dataset.root}: read as {dataset.layout}, it has neither query nor gallery pictures, "
            f"only {len(dataset.train)} for training: --split train measures on those"
        )
    people = _persons_alone(found)
    if len(people) < LEAST_REAL:
        raise DatasetError(
            f"{dataset.root}: {len(people)} pictures of persons; expected at least {LEAST_REAL}"
        )
    return people


def pictured_composites(dataset: DataSet) -> tuple[Picture, ...]:
    """Pictures of persons in all splits of a data set of composites; each file once."""
    people = _persons_alone(picture for pictures in dataset.splits.values() for picture in pictures)
    if len(people) < 2:
        raise DatasetError(
            f"{dataset.root}: {len(people)} composites of persons; expected at least 2"
        )
    return people


def drawn_pictures(pictures: Sequence[Picture], count: int, seed: int) -> tuple[Picture, ...]:
    """`count` of them, or all where there are no more; a person's pictures stand together."""
    chosen = range(len(pictures))
    if len(pictures) > count:
        random = np.random.Generator(np.random.PCG64(seed))
        chosen = random.choice(len(pictures), count, replace=False).tolist()
    return tuple(
        sorted(
            (pictures[row] for row in chosen), key=lambda picture: (picture.person_id, picture.path)
        )
    )


def _persons_alone(pictures: Iterable[Picture]) -> tuple[Picture, ...]:
    once = {picture.path: picture for picture in pictures if picture.shows_a_person}
    return tuple(once.values())
