"""What is suspicious about a data set, said in sentences: one finding a file or person.

An *error* makes training or figures wrong, a *warning* makes them worse or flattering, a *note* is
good to know. docs/data.md explains every rule.
"""

from dataclasses import dataclass
from typing import Literal

from dgnet.model.data.layouts import DataSet
from dgnet.model.data.picture import Picture

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
RuleName = Literal[
    "unreadable-file",
    "duplicate-with-other-person",
    "person-in-train-and-test",
    "data-set",
    "missing-split",
    "duplicate-across-splits",
    "duplicate-file",
    "query-without-match",
    "person-with-one-picture",
    "person-under-one-camera",
    "query-in-gallery",
    "reading",
]
RULES: dict[RuleName, Severity] = {
    "unreadable-file": "error",
    "duplicate-with-other-person": "error",
    "person-in-train-and-test": "error",
    "data-set": "warning",
    "missing-split": "warning",
    "duplicate-across-splits": "warning",
    "duplicate-file": "warning",
    "query-without-match": "warning",
    "person-with-one-picture": "warning",
    "person-under-one-camera": "note",
    "query-in-gallery": "note",
    "reading": "note",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`subject` is a path below the data set, `person NAME`, or the data set's folder."""

    rule: RuleName
    subject: str
    message: str

    @property
    def severity(self) -> Severity:
        return RULES[self.rule]


def name_of_file(dataset: DataSet, picture: Picture) -> str:
    """The picture's path below the data set."""
    return picture.path.relative_to(dataset.root).as_posix()


def name_of_person(dataset: DataSet, person_id: int) -> str:
    """The person as a finding names it."""
    return f"person {dataset.person_name(person_id)}"


def listing(names: list[str], shown: int = 3) -> str:
    """The first names, and how many more there are."""
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")
