"""Numbers for the persons and cameras of a data set, and what is junk or a distractor.

Persons that are numbers throughout keep them; where one is not, all are names and get ids from 1.
Which spellings mean junk (-1) and distractors (0) does not depend on that, so that one odd name
changes nobody into a person. Whatever is decided here is said.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dgnet.model.data.files import is_text
from dgnet.model.data.names import MOST_DIGITS
from dgnet.model.data.picture import DISTRACTOR_PERSON_ID, JUNK_PERSON_ID, DatasetError

NOBODY = "none"
"""In place of a spelling: the data set has no junk, or no distractors."""

# MARS writes junk as 00-1.
_NUMBER = re.compile(rf"0*(-?)0*(\d{{1,{MOST_DIGITS}}})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Specials:
    """How a data set spells junk and distractors; numbers mean all their spellings (0, 0000)."""

    junk: tuple[str, ...] = ("-1",)
    distractors: tuple[str, ...] = ("0",)

    @classmethod
    def of(
        cls, junk: Sequence[str] | None = None, distractors: Sequence[str] | None = None
    ) -> "Specials | None":
        """What a user gave in place of the defaults; None where nothing was given."""
        if junk is None and distractors is None:
            return None
        default = USUAL_SPECIALS
        given = cls(
            junk=default.junk if junk is None else _spellings("junk", junk),
            distractors=(
                default.distractors
                if distractors is None
                else _spellings("distractors", distractors)
            ),
        )
        both = {_key(text) for text in given.junk} & {_key(text) for text in given.distractors}
        if both:
            raise DatasetError(f"{both.pop()} is to be junk and distractors; expected one of both")
        return given

    def id_of(self, person: str) -> int | None:
        """-1 or 0 where the text means junk or distractors."""
        if any(means(text, person) for text in self.junk):
            return JUNK_PERSON_ID
        if any(means(text, person) for text in self.distractors):
            return DISTRACTOR_PERSON_ID
        return None


USUAL_SPECIALS = Specials()
NO_SPECIALS = Specials(junk=(), distractors=())
"""Of layouts in which every number and name is a person's."""


@dataclass(frozen=True, kw_only=True)
class Persons:
    """Ids by what the data set writes, and what it calls whom, where that is not the id."""

    ids: dict[str, int]
    names: dict[int, str]
    warnings: tuple[str, ...] = ()


def number_names(names: Iterable[str]) -> dict[str, int]:
    """1, 2, ... in the order of the sorted names: 0 and -1 mean distractors and junk."""
    return {name: number for number, name in enumerate(sorted(set(names)), start=1)}


def number_persons(
    written: Iterable[str], specials: Specials, *, as_names: bool = False
) -> Persons:
    """Ids for persons as a data set writes them; `as_names` numbers them anew in any case."""
    special: dict[str, int] = {}
    people: set[str] = set()
    for text in set(written):
        found = specials.id_of(text)
        if found is None:
            people.add(text)
        else:
            special[text] = found
    numbers = {text: _number(text) for text in people}
    others = sorted(text for text, number in numbers.items() if number is None)
    if others or as_names:
        ids = number_names(people)
        return Persons(
            ids=ids | special,
            names={number: name for name, number in ids.items()},
            warnings=() if as_names else _mixed("persons", others, len(people)),
        )
    ids = {text: number for text, number in numbers.items() if number is not None}
    # A person whom the data set calls 0 or -1 needs an id that means nobody else.
    free = max(ids.values(), default=0)
    names: dict[int, str] = {}
    for number in sorted(number for number in set(ids.values()) if number <= 0):
        free = max(free, 0) + 1
        spelled = sorted(text for text, own in ids.items() if own == number)
        names[free] = spelled[0]
        ids |= dict.fromkeys(spelled, free)
    return Persons(ids=ids | special, names=names)


def number_cameras(written: Iterable[str]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Numbers for cameras as a data set writes them, and warnings."""
    cameras = set(written)
    numbers = {text: _number(text) for text in cameras}
    others = sorted(text for text, number in numbers.items() if number is None or number < 0)
    if others:
        return number_names(cameras), _mixed("cameras", others, len(cameras))
    return {text: number for text, number in numbers.items() if number is not None}, ()


def _spellings(option: str, texts: Sequence[str]) -> tuple[str, ...]:
    for text in texts:
        if not text or not is_text(text):
            raise DatasetError(
                f"{option} {text!r}: expected text as in the data set, or {NOBODY} for nobody"
            )
    if NOBODY in texts:
        if len(texts) > 1:
            raise DatasetError(f"{option}: {NOBODY} stands alone; got {', '.join(texts)}")
        return ()
    return tuple(texts)


def _number(text: str) -> int | None:
    match = _NUMBER.fullmatch(text)
    return None if match is None else int(match[1] + match[2])


def means(spelling: str, person: str) -> bool:
    """Whether a spelling is that of the person: the same text, or the same number."""
    return _key(spelling) == _key(person)


def _key(text: str) -> str | int:
    number = _number(text)
    return text if number is None else number


def _mixed(what: str, others: Sequence[str], count: int) -> tuple[str, ...]:
    """A warning where some are numbers and some are not."""
    if len(others) == count:
        return ()
    return (
        f"all {count} {what} are taken as names and numbered anew, since {len(others)} of them "
        f"are no numbers of at most {MOST_DIGITS} digits, such as {others[0]!r}; numbers would "
        "have been kept",
    )
