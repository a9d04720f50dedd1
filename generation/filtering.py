"""A new set of the composites of a complete one whose scores are high enough.

Nothing is made: scores are the manifest's, pictures are those that lie there, each with the sha256
that its row says. Rows stay, those that are dropped now with the reason that a filter of the spec
would have given. Needs neither networks nor the source pictures; so the contact sheet has the
composites alone, and persons are called by their ids, which is all that a manifest has of them.
"""

from __future__ import annotations

import copy
import math
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dgnet.arrays import Pixels
from dgnet.files import file_sha256, write_file
from dgnet.generation.output.arrow import ManifestWriter
from dgnet.generation.output.card import PATHS_SHOWN, TITLE, counts, opening
from dgnet.generation.output.folder import job_file
from dgnet.generation.output.plots import PLOTS_FOLDER, plots
from dgnet.generation.output.publication import published_folder
from dgnet.generation.output.readme import readme
from dgnet.generation.output.sheet import GAP_PIXELS, SHOWN
from dgnet.generation.output.summary import Summary
from dgnet.generation.upload.pulling import checked_picture
from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.manifest import (
    CARD,
    JOB_FILE,
    MANIFEST,
    MANIFEST_TABLE,
    README,
    SHEET,
    Row,
    Score,
    Written,
    read_rows,
)
from dgnet.jobs.generation.packed import data_file
from dgnet.jobs.generation.spec import GenerationSpec, merged, spec_from
from dgnet.markdown import table
from dgnet.paths import local_path
from dgnet.pictures import open_picture
from dgnet.pictures.encoding import encode_picture
from dgnet.pictures.sheets import grid, lines

FILTERED = "filtered"
"""In `JOB_FILE`: what was filtered of which set, the first step first."""

ACROSS = 8
"""Composites a line of the sheet."""


@dataclass(kw_only=True)
class Filtered:
    """What thresholds come to."""

    minimums: dict[Score, float]
    before: int = 0
    """Composites that the set has."""
    below: Counter[Score] = field(default_factory=Counter[Score])
    """Of these, how many are below each threshold, whatever the others say."""
    dropped: Counter[Score] = field(default_factory=Counter[Score])
    """How many each threshold drops: the first that a composite fails, in the order of `SCORES`."""
    persons_before: Counter[int] = field(default_factory=Counter[int])
    """Composites by the person of the appearance."""
    summary: Summary = field(default_factory=Summary)
    """Of the rows as they are afterwards."""

    @property
    def kept(self) -> int:
        return self.summary.kept

    @property
    def persons_emptied(self) -> list[int]:
        """Those who had composites and are left with none, sorted."""
        return sorted(self.persons_before.keys() - self.summary.persons.keys())

    def judge(self, row: Row) -> Row:
        """The row as it is afterwards, counted; GenerationError where a composite has no score."""
        after = row
        if row.written is not None:
            self.before += 1
            self.persons_before[row.appearance.person] += 1
            failed: list[Score] = [
                name for name, least in self.minimums.items() if _score(row, name) < least
            ]
            self.below.update(failed)
            if failed:
                self.dropped[failed[0]] += 1
                after = replace(row, written=None, dropped=f"low_{failed[0]}")
        self.summary.add(after)
        return after


def count_filtered(
    directory: str | Path, job: dict[str, Any], minimums: Mapping[Score, float]
) -> Filtered:
    """What the thresholds would come to; writes nothing. Raises GenerationError as `filter_set`,
    but packed sets are counted as well.
    """
    _spec_of(job)
    found = Filtered(minimums=dict(minimums))
    for row in _rows(local_path(directory)):
        found.judge(row)
    return found


def filter_set(
    directory: str | Path,
    output: str | Path,
    job: dict[str, Any],
    minimums: Mapping[Score, float],
    *,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Filtered:
    """Make the new set in `output`, a new or empty folder; whole or not at all.

    `job` is what the set's `JOB_FILE` holds. Pictures are hard links to those of the set, copies
    where that cannot be. `report` hears how many rows of how many are done. Raises GenerationError
    for a packed set, a score that the manifest lacks, pictures that are not what it says, an output
    that is taken, and where nothing would be left.
    """
    directory, output = local_path(directory), local_path(output).resolve()
    spec = _spec_of(job)
    if spec.output.layout not in ("market1501", "imagefolder"):
        raise GenerationError(
            f"{directory} has the layout {spec.output.layout}, whose files hold many pictures each;"
            " expected market1501 or imagefolder. Filter the rows by `scores` when reading them, or"
            " generate the set anew with the threshold; --dry-run counts here, too"
        )
    _require_free(directory, output)
    counted = count_filtered(directory, job, minimums)
    if not counted.kept:
        raise GenerationError(
            f"none of {counted.before} composites in {directory} passes; nothing was written. Lower"
            " the thresholds: --dry-run tells what each of them drops"
        )
    manifest_sha256 = file_sha256(directory / MANIFEST)
    old_card = _card_of(directory)
    output.parent.mkdir(parents=True, exist_ok=True)
    wanted = {counted.kept * number // SHOWN for number in range(SHOWN)}
    with published_folder(output) as folder:
        found, shown = Filtered(minimums=dict(minimums)), list[Pixels]()
        clothes = next(_rows(directory)).appearance.clothes_told
        with (
            (folder / MANIFEST).open("w", encoding="utf-8") as file,
            ManifestWriter(folder / MANIFEST_TABLE, spec, clothes=clothes) as parquet,
        ):
            for row in _rows(directory):
                after = found.judge(row)
                if after.written is not None:
                    _take(directory, folder, after.written)
                    if found.kept - 1 in wanted:
                        picture = open_picture((folder / after.written.file).read_bytes())
                        shown.append(np.asarray(picture.rgb()))
                file.write(after.to_line())
                parquet.write(after)
                report(found.summary.planned, counted.summary.planned)
        rows = lines(shown, across=min(ACROSS, len(shown)))
        sheet = grid(rows, gap=GAP_PIXELS, margin=GAP_PIXELS)
        write_file(folder / SHEET, encode_picture(sheet, "PNG"))
        _describe(folder, spec, found, old_card, manifest_sha256)
        steps = [*job.get(FILTERED, []), {"of": manifest_sha256, "minimums": found.minimums}]
        write_file(folder / JOB_FILE, job_file({**copy.deepcopy(job), FILTERED: steps}))
        _require_free(directory, output)  # somebody else may have taken it meanwhile
    return found


def _score(row: Row, name: Score) -> float:
    value: object = row.scores.get(name)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise GenerationError(
            f"the composite at position {row.position} has no score {name} "
            f"({'it is empty' if value is None else f'it is {value!r}'}), so it cannot be filtered "
            f"by. Generate the set anew with --score {name}, or with the threshold itself"
        )
    return float(value)


def _rows(directory: Path) -> Iterator[Row]:
    """Of the manifest; GenerationError where a line is none."""
    number = 0
    try:
        for number, row in enumerate(read_rows(directory / MANIFEST), start=1):
            if row.written is not None:
                checked_picture(row.written, f"line {number} of {directory / MANIFEST}")
            yield row
    except GenerationError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GenerationError(
            f"line {number + 1} of {directory / MANIFEST} is no row of a manifest "
            f"({type(error).__name__}); expected a set as `dgnet generate` wrote it"
        ) from error


def _spec_of(job: dict[str, Any]) -> GenerationSpec:
    """As it was generated; a job does not say from which folder."""
    spec: object = job.get("spec")
    if not isinstance(spec, dict):
        raise GenerationError(
            f"{JOB_FILE} has no spec; expected a set as `dgnet generate` wrote it"
        )
    # A job that asked for no scores says nothing of them.
    return spec_from(
        merged({"scores": [], **spec}, {"source": {"folder": "."}}), where=f"the spec of {JOB_FILE}"
    )


def _require_free(directory: Path, output: Path) -> None:
    if output.is_file() or (output.is_dir() and any(output.iterdir())):
        raise GenerationError(f"{output} is there already; expected a new or an empty folder")
    if output.is_relative_to(directory.resolve()):
        raise GenerationError(f"{output} lies in the set {directory} itself; choose another folder")


def _take(directory: Path, folder: Path, written: Written) -> None:
    """Link or copy a picture, if it is what the manifest says."""
    path, place = (directory / written.file).resolve(), folder / written.file
    if data_file(written.file) != written.file:
        raise GenerationError(f"{written.file} is packed, though the layout of the set is not")
    if not path.is_file():
        problem = "is gone, though the manifest names it"
    elif file_sha256(path) != written.sha256:
        problem = "is not what the manifest says: its sha256 differs"
    else:
        problem = None
    if problem is not None:
        raise GenerationError(
            f"{directory / written.file} {problem}; nothing was written. Bring the picture back "
            "(dgnet pull mends a set that was pushed), or generate the set anew"
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, place)
    except FileExistsError:
        raise GenerationError(f"{directory / MANIFEST} names {written.file} twice") from None
    except OSError:  # another file system, or one that knows no links
        shutil.copyfile(path, place)


def _describe(
    folder: Path, spec: GenerationSpec, found: Filtered, old_card: dict[str, str], manifest: str
) -> None:
    """Plots, card and README."""
    persons = sorted(found.summary.tried)
    cuts = dict(spec.keep.minimums)
    for name, value in found.minimums.items():
        cuts[name] = max(value, cuts.get(name, value))
    (folder / PLOTS_FOLDER).mkdir()
    for name, plot in plots(persons, found.summary, cuts).items():
        write_file(folder / name, plot)
    names = {person: str(person) for person in persons}
    sections = {**old_card, **counts(names, found.summary)}
    earlier = sections.pop("Filtered", None)
    told = _told(found, manifest)
    filtered = told if earlier is None else f"{earlier}\n\n{told}"
    parts = [TITLE, opening(found.summary), f"## Filtered\n\n{filtered}"]
    parts += [f"## {heading}\n\n{text}" for heading, text in sections.items()]
    text = "\n\n".join(parts) + "\n"
    write_file(folder / CARD, text.encode())
    write_file(folder / README, readme(spec, found.kept, text).encode())


def _told(found: Filtered, manifest: str) -> str:
    rows: list[tuple[object, ...]] = [
        (f"{name} at least {minimum:g}", found.below[name], found.dropped[name])
        for name, minimum in found.minimums.items()
    ]
    text = (
        f"{found.kept} of {found.before} composites were kept of a set whose `{MANIFEST}` has the "
        f"sha256 `{manifest}`; the spec below is that set's. A composite is dropped by the first "
        "threshold that it fails. Persons are called by their ids in the manifest.\n\n"
        + table([("threshold", "below it", "dropped by it"), *rows])
    )
    if emptied := found.persons_emptied:
        more = f" and {len(emptied) - PATHS_SHOWN} more" if len(emptied) > PATHS_SHOWN else ""
        named = ", ".join(map(str, emptied[:PATHS_SHOWN]))
        text += f"\n\n**{len(emptied)} persons are left with nothing by this**: {named}{more}."
    return text


def _card_of(directory: Path) -> dict[str, str]:
    """Sections of the set's card by their headings. What others called their data is on one line
    and escaped there, so that it is no heading.
    """
    try:
        text = (directory / CARD).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GenerationError(
            f"{directory / CARD} cannot be read ({type(error).__name__}), which tells license and "
            "sources; bring it back, or generate the set anew"
        ) from error
    parts = re.split(r"^## (.*)\n", text, flags=re.MULTILINE)
    return {heading: body.strip() for heading, body in zip(parts[1::2], parts[2::2], strict=True)}
