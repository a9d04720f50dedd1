"""What `dgnet data check` tells: counts, sizes and findings, for people and for programs."""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dgnet.markdown import aligned_table
from dgnet.model.data.check.files import FileFacts
from dgnet.model.data.check.findings import SEVERITIES, Finding, Severity
from dgnet.model.data.check.pairs import Pairs, pairs_of
from dgnet.model.data.layouts import DataSet, LayoutName, SplitName
from dgnet.model.data.picture import Picture

FINDINGS_SHOWN_PER_RULE = 20


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Counts of one split or of all; junk and distractors are pictures, not people."""

    pictures: int
    people: int
    cameras: int
    junk: int
    distractors: int

    @classmethod
    def of(cls, pictures: Sequence[Picture]) -> "Counts":
        return cls(
            pictures=len(pictures),
            people=len({p.person_id for p in pictures if p.shows_a_person}),
            cameras=len({p.camera_id for p in pictures if p.has_camera}),
            junk=sum(p.is_junk for p in pictures),
            distractors=sum(p.is_distractor for p in pictures),
        )


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How a size in pixels spreads over all readable files."""

    min: int
    median: float
    max: int

    @classmethod
    def of(cls, values: Sequence[int]) -> "Spread":
        return cls(min=min(values), median=statistics.median(values), max=max(values))


@dataclass(frozen=True, kw_only=True)
class DatasetReport:
    """`width` and `height` are None where no file is readable."""

    root: str
    layout: LayoutName
    splits: dict[SplitName, Counts]
    total: Counts
    pairs: dict[SplitName, dict[str, Pairs]]
    """What a generation job could pair, by split and pairing; docs/generation.md."""
    width: Spread | None
    height: Spread | None
    findings: tuple[Finding, ...]

    @classmethod
    def of(
        cls, dataset: DataSet, facts: Mapping[Path, FileFacts], findings: Iterable[Finding]
    ) -> "DatasetReport":
        readable = [found for found in facts.values() if found.problem is None]
        everything = [picture for split in dataset.splits.values() for picture in split]
        return cls(
            root=str(dataset.root),
            layout=dataset.layout,
            splits={split: Counts.of(pictures) for split, pictures in dataset.splits.items()},
            total=Counts.of(everything),
            pairs={split: pairs_of(pictures) for split, pictures in dataset.splits.items()},
            width=Spread.of([found.width for found in readable]) if readable else None,
            height=Spread.of([found.height for found in readable]) if readable else None,
            findings=tuple(sorted(findings, key=lambda found: SEVERITIES.index(found.severity))),
        )

    @property
    def errors(self) -> int:
        return self.count("error")

    def count(self, severity: Severity) -> int:
        """How many findings there are of a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Nested dictionaries: counts, sizes and every finding."""
        return {
            "root": self.root,
            "layout": self.layout,
            "splits": {split: asdict(counts) for split, counts in self.splits.items()},
            "total": asdict(self.total),
            "pairs": {
                split: {name: asdict(pairs) for name, pairs in by_pairing.items()}
                for split, by_pairing in self.pairs.items()
            },
            "width": None if self.width is None else asdict(self.width),
            "height": None if self.height is None else asdict(self.height),
            "counts": {severity: self.count(severity) for severity in SEVERITIES},
            "findings": [
                {"rule": f.rule, "severity": f.severity, "subject": f.subject, "message": f.message}
                for f in self.findings
            ],
        }

    def to_table(self, shown_per_rule: int = FINDINGS_SHOWN_PER_RULE) -> str:
        """A Markdown table of the counts, then the findings by rule."""
        rows = [["split", "pictures", "people", "cameras", "junk", "distractors"]]
        for name, counts in (*self.splits.items(), ("all", self.total)):
            if counts.pictures:
                rows.append([name, *(f"{value:,}" for value in asdict(counts).values())])
        return "\n".join(
            [
                f"{self.root}: read as {self.layout}",
                "",
                aligned_table(rows, numbers=True),
                "",
                self._sizes(),
                *self._findings(shown_per_rule),
            ]
        )

    def _sizes(self) -> str:
        if self.width is None or self.height is None:
            return "sizes: no file is readable"
        return "sizes in pixels (min, median, max): " + "; ".join(
            f"{name} {spread.min}, {spread.median:g}, {spread.max}"
            for name, spread in (("width", self.width), ("height", self.height))
        )

    def _findings(self, shown_per_rule: int) -> Iterator[str]:
        if not self.findings:
            yield "nothing suspicious was found"
        for rule in dict.fromkeys(finding.rule for finding in self.findings):
            found = [finding for finding in self.findings if finding.rule == rule]
            yield ""
            yield f"{found[0].severity}: {rule} ({len(found):,})"
            yield from (
                f"  {finding.subject}: {finding.message}" for finding in found[:shown_per_rule]
            )
            if len(found) > shown_per_rule:
                yield f"  ... and {len(found) - shown_per_rule:,} more"
