"""The data card: what the set is, what it was made of and with, and what must be known to use it.

Nothing in it changes from run to run: no time, no folder.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from model.checkpoints import Metadata
from worker.generation.listing import Listing
from worker.generation.spec import GenerationSpec

Row = dict[str, Any]

UNREADABLE_SHOWN = 50

PRIVACY = """\
Composites recombine pictures of real people where the sources show real people: clothes of one
person, body, face, pose and scene of another. **They are not anonymous.** Whoever may be recognised
in a source may be recognised in a composite; the rights of the people shown, and the terms under
which the sources were given, hold for the composites too."""


@dataclass
class Range:
    """Smallest, mean and largest of numbers that are not kept."""

    count: int = 0
    total: float = 0.0
    smallest: float = float("inf")
    largest: float = float("-inf")

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.smallest = min(self.smallest, value)
        self.largest = max(self.largest, value)


@dataclass
class Summary:
    """What the rows of a manifest come to."""

    planned: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter[str])
    persons: Counter[int] = field(default_factory=Counter[int])
    """Kept composites by the person of the appearance."""
    cameras: Counter[int | None] = field(default_factory=Counter[int | None])
    """Kept composites by the camera of the structure."""
    scores: dict[str, Range] = field(default_factory=dict[str, Range])
    """Of all that were made, dropped ones too."""
    unreadable: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, row: Row) -> None:
        self.planned += 1
        for name, value in row["scores"].items():
            self.scores.setdefault(name, Range()).add(value)
        if not row["kept"]:
            self.dropped[row["dropped"]] += 1
            return
        self.kept += 1
        self.persons[row["appearance_person"]] += 1
        self.cameras[row["structure_camera"]] += 1


def card(spec: GenerationSpec, listing: Listing, metadata: Metadata, summary: Summary) -> str:
    """Markdown."""
    plain = spec.to_json()
    del plain["source"]["folder"]
    sections = [
        "# Composites for person re-identification",
        f"{summary.kept} pictures made by DG-Net: each wears the clothes of one picture (the "
        "appearance) in the pose and scene of another (the structure). `manifest.parquet` and "
        "`manifest.jsonl` have a row for each, also for those that were dropped.",
        "## Counts\n\n" + _counts(summary),
        "## By person who gives the appearance\n\n" + _persons(listing, summary),
        "## By camera of the structure\n\n" + _cameras(summary),
    ]
    if summary.scores:
        sections.append("## Scores of all that were made\n\n" + _scores(summary))
    if summary.unreadable:
        sections.append("## Pictures that could not be read\n\n" + _unreadable(summary))
    sections += [
        "## Made of\n\n" + _sources(listing),
        "## Made with\n\n" + _networks(metadata),
        f"## Spec\n\nSeed {spec.seed}.\n\n```json\n{json.dumps(plain, indent=2)}\n```",
        "## License\n\nWhat the license of the sources allows, and no more: it was not given to "
        "the program. Training data of the weights: "
        f"{metadata.data.get('license', 'license not stated')}.",
        f"## Privacy\n\n{PRIVACY}",
    ]
    return "\n\n".join(sections) + "\n"


def _table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _counts(summary: Summary) -> str:
    rows: list[tuple[object, ...]] = [("made or tried", summary.planned), ("kept", summary.kept)]
    rows += [(f"dropped: {reason}", count) for reason, count in sorted(summary.dropped.items())]
    return _table(("what", "composites"), rows)


def _persons(listing: Listing, summary: Summary) -> str:
    counts = [summary.persons[person] for person in listing.persons]
    head = (
        f"{len(counts)} persons; smallest {min(counts)}, median {median(counts):g}, largest "
        f"{max(counts)} composites a person."
    )
    rows: list[tuple[object, ...]] = [
        (listing.person_name(person), summary.persons[person]) for person in listing.persons
    ]
    return f"{head}\n\n" + _table(("person", "composites"), rows)


def _cameras(summary: Summary) -> str:
    known = sorted(camera for camera in summary.cameras if camera is not None)
    rows: list[tuple[object, ...]] = [(camera, summary.cameras[camera]) for camera in known]
    if None in summary.cameras:
        rows.append(("not known", summary.cameras[None]))
    text = _table(("camera", "composites"), rows)
    if known and known[-1] > 9:
        text += (
            "\n\nCameras have two digits: readers that take one digit after `_c`, such as "
            "torchreid's, mix them up in the layout `market1501`; take cameras from the manifest."
        )
    return text


def _scores(summary: Summary) -> str:
    rows: list[tuple[object, ...]] = [
        (name, *(f"{value:.4f}" for value in (r.smallest, r.total / r.count, r.largest)))
        for name, r in sorted(summary.scores.items())
    ]
    return _table(("score", "smallest", "mean", "largest"), rows)


def _unreadable(summary: Summary) -> str:
    shown = sorted(summary.unreadable.items())[:UNREADABLE_SHOWN]
    lines = [f"- `{path}`: {reason}" for path, reason in shown]
    if len(summary.unreadable) > len(shown):
        lines.append(f"- and {len(summary.unreadable) - len(shown)} more")
    return "\n".join(lines)


def _sources(listing: Listing) -> str:
    lines = [
        f"{len(listing)} pictures of {len(listing.persons)} persons, read as {listing.layout}; "
        f"sha256 of the listing `{listing.digest}`."
    ]
    lines += [f"- {warning}" for warning in listing.warnings]
    return "\n".join(lines)


def _networks(metadata: Metadata) -> str:
    data = metadata.data.get("name", "data that its checkpoint does not name")
    return (
        f"Preset {metadata.config.preset}, {metadata.config.height} x {metadata.config.width} "
        f"pixels (height x width), trained on {data}; sha256 of the checkpoint "
        f"`{metadata.sha256 or 'not saved'}`, code version {metadata.code_version or 'unknown'}."
    )
