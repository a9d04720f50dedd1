"""Findings about what is in the files: damaged ones, and the same content twice."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from dgnet.model.data.check.files import FileFacts
from dgnet.model.data.check.findings import Finding, RuleName, listing, name_of_file
from dgnet.model.data.layouts import DataSet, SplitName
from dgnet.model.data.picture import Picture

Copies = list[tuple[SplitName, Picture]]

_ADVICE: dict[RuleName, str] = {
    "duplicate-with-other-person": "at most one of the labels is right; correct or remove it",
    "duplicate-across-splits": "a copy of a training or query picture is found again by itself, "
    "which flatters figures; keep one",
    "duplicate-file": "it counts twice; keep one",
    "query-in-gallery": "person and camera are the same, so that evaluation passes it over; "
    "nothing needs to be done",
}


def content_findings(dataset: DataSet, facts: Mapping[Path, FileFacts]) -> Iterator[Finding]:
    """All findings of this file's rules."""
    copies: defaultdict[bytes, Copies] = defaultdict(list)
    reported: set[Path] = set()
    for split, pictures in dataset.splits.items():
        for picture in pictures:
            found = facts[picture.path]
            if found.problem is None:
                copies[found.digest].append((split, picture))
            elif picture.path not in reported:
                reported.add(picture.path)
                yield Finding(
                    rule="unreadable-file",
                    subject=name_of_file(dataset, picture),
                    message=f"cannot be read as a picture ({found.problem}); training and "
                    "evaluation would stop here: fetch it again or remove it",
                )
    for group in copies.values():
        if len(group) > 1:
            yield from _duplicates(dataset, group)


def _duplicates(dataset: DataSet, copies: Copies) -> Iterator[Finding]:
    # Junk is nobody, so that it contradicts nobody.
    if len({picture.person_id for _, picture in copies if not picture.is_junk}) > 1:
        yield _finding(dataset, "duplicate-with-other-person", copies)
        return
    # Market's gt_bbox holds the queries again, that is what it is for.
    copies = [copy for copy in copies if copy[0] != "multi_query"]
    splits = {split for split, _ in copies}
    if len(copies) < 2:
        return
    if len(splits) == 1:
        yield _finding(dataset, "duplicate-file", copies)
    elif splits == {"query", "gallery"} and _passed_over(copies):
        yield _finding(dataset, "query-in-gallery", copies)
    else:
        yield _finding(dataset, "duplicate-across-splits", copies)


def _passed_over(copies: Copies) -> bool:
    """Whether person and camera are the same: such a picture is junk for its query."""
    known = all(picture.has_camera for _, picture in copies)
    return known and len({(p.person_id, p.camera_id) for _, p in copies}) == 1


def _finding(dataset: DataSet, rule: RuleName, copies: Copies) -> Finding:
    def described(split: SplitName, picture: Picture) -> str:
        person = f", person {dataset.person_name(picture.person_id)}"
        shown = person if rule == "duplicate-with-other-person" else ""
        return f"{name_of_file(dataset, picture)} ({split}{shown})"

    (split, first), *rest = copies
    place = described(split, first).removeprefix(f"{name_of_file(dataset, first)} ")
    twins = listing([described(*copy) for copy in rest])
    return Finding(
        rule=rule,
        subject=name_of_file(dataset, first),
        message=f"{place} has the same content as {twins}: {_ADVICE[rule]}",
    )
