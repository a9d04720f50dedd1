"""Numbers for persons and cameras that a data set knows by name."""

from collections.abc import Iterable


def number_names(names: Iterable[str]) -> dict[str, int]:
    """1, 2, ... in the order of the sorted names: 0 and -1 mean distractors and junk."""
    return {name: number for number, name in enumerate(sorted(set(names)), start=1)}
