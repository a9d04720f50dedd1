"""`dgnet filter`: a set that was generated, once more with higher thresholds on its scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dgnet.commands.failures import CommandError, InputError, needs_extra
from dgnet.commands.interruption import sigterm_interrupts
from dgnet.commands.options import (
    JsonOption,
    MinimumIdentityConsistencyOption,
    MinimumJudgeSimilarityOption,
    MinimumRealismPercentileOption,
    MinimumTeacherConfidenceOption,
)
from dgnet.commands.progress import counted
from dgnet.commands.sets import job_of_set
from dgnet.commands.talk import answer, first_named, say
from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.spec import spec_from
from dgnet.paths import local_path

if TYPE_CHECKING:
    from dgnet.generation.filtering import Filtered

PERSONS_NAMED = 20
"""Of those who are left with nothing; `--json` and the card name more."""


def filter_set(
    folder: Annotated[
        Path, typer.Argument(metavar="SET", help="Folder of a set that `dgnet generate` made.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="New or empty folder to write to."),
    ] = None,
    minimum_identity_consistency: MinimumIdentityConsistencyOption = None,
    minimum_teacher_confidence: MinimumTeacherConfidenceOption = None,
    minimum_realism_percentile: MinimumRealismPercentileOption = None,
    minimum_judge_similarity: MinimumJudgeSimilarityOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only; write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a new set of the composites whose scores in the manifest are high enough.

    The set itself stays as it is. Pictures are hard links to its own where the file system allows,
    rows of dropped ones stay in the manifest, with the reason.
    """
    keep = {
        "minimum_identity_consistency": minimum_identity_consistency,
        "minimum_teacher_confidence": minimum_teacher_confidence,
        "minimum_realism_percentile": minimum_realism_percentile,
        "minimum_judge_similarity": minimum_judge_similarity,
    }
    if output is None and not dry_run:
        raise InputError("no output: give -o DIR, or --dry-run to count only")
    try:
        output = None if output is None else local_path(output)
    except ValueError as error:
        raise InputError(f"{error}; filter into one, then `dgnet push` it") from error
    job = job_of_set(folder)
    try:
        asked: dict[str, Any] = {"source": {"folder": str(folder)}, "count": 1, "keep": keep}
        minimums = spec_from(asked, where="the options").keep.minimums
        if not minimums:
            raise InputError(
                "no threshold: give at least one, such as --minimum-identity-consistency 0.5"
            )
        with needs_extra("generate"):
            from dgnet.generation import filtering

            if dry_run or output is None:
                found = filtering.count_filtered(folder, job, minimums)
            else:
                with sigterm_interrupts(), counted("rows filtered") as report:
                    found = filtering.filter_set(folder, output, job, minimums, report=report)
    except GenerationError as error:
        raise InputError(str(error)) from error
    except KeyboardInterrupt:
        raise CommandError(f"interrupted: nothing was written to {output}") from None
    written = None if dry_run else output
    if as_json:
        answer(_figures(found, written))
    _tell(found, written, talk=not as_json)


def _figures(found: Filtered, written: Path | None) -> dict[str, Any]:
    kept = found.summary.persons
    return {
        "output": None if written is None else str(written),
        "minimums": found.minimums,
        "before": found.before,
        "kept": found.kept,
        "below": {name: found.below[name] for name in found.minimums},
        "dropped": {name: found.dropped[name] for name in found.minimums},
        "persons": {
            str(person): {"before": before, "kept": kept[person]}
            for person, before in sorted(found.persons_before.items())
        },
        "persons_emptied": found.persons_emptied,
    }


def _tell(found: Filtered, written: Path | None, *, talk: bool) -> None:
    """Warnings always, the rest as `talk`."""
    if emptied := found.persons_emptied:
        typer.echo(
            f"warning: every composite of {len(emptied)} persons is dropped: "
            f"{first_named(emptied, PERSONS_NAMED)}",
            err=True,
        )
    if not talk:
        return
    place = "would be kept; nothing was written" if written is None else f"kept, in {written}"
    say(f"{found.kept} of {found.before} composites {place}")
    for name, minimum in found.minimums.items():
        say(
            f"dropped, {name} below {minimum:g}: {found.dropped[name]} ({found.below[name]} are "
            "below it)"
        )
    left = sorted(found.summary.persons[person] for person in found.persons_before)
    if left:
        say(f"composites a person: smallest {left[0]}, largest {left[-1]}, of {len(left)} persons")
