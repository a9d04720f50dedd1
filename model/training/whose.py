"""Labels know whose they are: a teacher is one of these very persons, a resumed run sees the data
that it began with.

What is compared is `dgnet.model.data.fingerprint`'s. Checkpoints and runs from before there were
fingerprints have none: that is said, and they go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dgnet.model.checkpoints import Metadata
from dgnet.model.config import ConfigError
from dgnet.model.data.fingerprint import file_hashes, fingerprint_from
from dgnet.model.data.pairs import TrainingPictures
from dgnet.model.data.truth_batches import TruthTriples
from dgnet.model.training.validation import Validation


def require_same_persons(
    teacher: str,
    known: Metadata,
    data: str,
    pictures: TrainingPictures,
    *,
    insisted: bool = False,
) -> list[str]:
    """Raises ConfigError where a teacher knows other persons than the pictures show, in the order
    of their labels; returns what should be said. `teacher` and `data` are names for messages,
    `known` is what the teacher's checkpoint tells. `insisted`: the user knows
    better, so that errors are said and no more.
    """
    try:
        return _compared(teacher, known, data, pictures)
    except ConfigError as error:
        if not insisted:
            raise
        return [f"{error} (given)"]


def _compared(teacher: str, metadata: Metadata, data: str, pictures: TrainingPictures) -> list[str]:
    known, ours = fingerprint_from(metadata.fingerprint), pictures.fingerprint
    theirs = f"{teacher}, trained on {metadata.data.get('name', 'a data set without a name')},"
    if known is None:
        return [
            f"{theirs} does not tell which persons it knows (it was made before that was kept): "
            f"whether they are those of {data} cannot be checked"
        ]
    advice = f"train a teacher on {data}, or name the data that this one was trained on"
    if known.persons != ours.persons:
        raise ConfigError(
            f"{theirs} knows other persons than {data} shows (persons {known.persons} and "
            f"{ours.persons}), so that its labels would mean somebody else: {advice}; if they are "
            "the same and only named otherwise, give --same-persons"
        )
    if known.pictures == ours.pictures:
        return []
    files = set(file_hashes([picture.path for picture in pictures.pictures]))
    if known.samples and not files.intersection(known.samples):
        raise ConfigError(
            f"{theirs} knows persons of the same names as {data}, but not one picture that was "
            f"looked at is the same (pictures {known.pictures} and {ours.pictures}): these are "
            f"other people, or re-encoded files. {advice[0].upper()}{advice[1:]}; if you know that "
            "they are the same persons, give --same-persons"
        )
    return [f"{theirs} saw other pictures of the persons of {data}"]


def sources_of(
    name: object,
    pictures: TrainingPictures,
    validation: Validation | None,
    truth: TruthTriples | None = None,
) -> dict[str, dict[str, Any]]:
    """What a run learns from and is measured on, as its state remembers it."""
    sources = {"training": _source(name, len(pictures), pictures.fingerprint.pictures)}
    if truth is not None:
        sources["true composites'"] = _source(truth.name, len(truth), truth.digest)
    if validation is not None:
        sources["validation"] = _source(validation.name, validation.pictures, validation.digest)
    return sources


def _source(name: object, count: int, digest: str) -> dict[str, Any]:
    return {"name": str(name or "without a name"), "pictures": count, "digest": digest}


def require_same_data(
    run: str, before: Mapping[str, Any] | None, now: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Raises ConfigError where a run would go on with other data than it began with; returns what
    should be said. Both are as `sources_of` gives them.
    """
    if before is None:
        return [
            f"the run in {run} does not tell which data it was started with (it began before that "
            "was kept): whether it is the same cannot be checked"
        ]
    for part, ours in now.items():
        theirs = before.get(part)
        if theirs is not None and theirs["digest"] != ours["digest"]:
            raise ConfigError(
                f"the run in {run} was started with other {part} data: then {_described(theirs)}, "
                f"now {_described(ours)}; resume with the same data, or start a new run folder"
            )
    return []


def _described(found: Mapping[str, Any]) -> str:
    return f"{found['name']} ({found['pictures']} pictures, digest {found['digest']})"
