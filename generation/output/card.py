"""The data card: what the set is, what it was made of and with, and what must be known to use it.

Nothing in it changes from run to run: no time, no folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from statistics import median

from dgnet.generation.output.plots import CAMERAS_PLOT, PERSONS_PLOT, score_plot
from dgnet.generation.output.summary import Summary
from dgnet.generation.pairing.listing import Listing
from dgnet.jobs.generation.manifest import MANIFEST, MANIFEST_TABLE
from dgnet.jobs.generation.spec import GenerationSpec
from dgnet.markdown import code, plain, table
from dgnet.model.checkpoints import Metadata
from dgnet.model.config import NetworkConfig

TITLE = "# Composites for person re-identification"
PATHS_SHOWN = 50
QUANTILES = (0.05, 0.5, 0.95)

PRIVACY = """\
Composites recombine pictures of real people where the sources show real people: clothes of one
person, body, face, pose and scene of another. **They are not anonymous.** Whoever may be recognised
in a source may be recognised in a composite; the rights of the people shown, and the terms under
which the sources were given, hold for the composites too."""


def card(spec: GenerationSpec, listing: Listing, metadata: Metadata, summary: Summary) -> str:
    """Markdown."""
    values = spec.to_json()
    del values["source"]["folder"], values["output"]["destination"]
    names = {person: listing.person_name(person) for person in listing.persons}
    counted = [f"## {heading}\n\n{text}" for heading, text in counts(names, summary).items()]
    sections = [
        TITLE,
        opening(summary),
        counted[0],
        "## Pictures\n\n" + _pictures(spec, metadata.config),
        *counted[1:],
    ]
    if summary.unreadable:
        sections.append("## Pictures that could not be read\n\n" + _unreadable(summary))
    if summary.changed:
        sections.append("## Pictures that changed meanwhile\n\n" + _changed(summary))
    sections += [
        "## Made of\n\n" + _sources(spec, listing),
        "## Made with\n\n" + _networks(metadata),
        f"## Spec\n\nSeed {spec.seed}.\n\n```json\n{json.dumps(values, indent=2)}\n```",
        "## License\n\n" + _license(spec, metadata),
        f"## Privacy\n\n{PRIVACY}",
    ]
    return "\n\n".join(sections) + "\n"


def opening(summary: Summary) -> str:
    """What stands below the title."""
    return (
        f"{summary.kept} pictures made by DG-Net: each wears the clothes of one picture (the "
        f"appearance) in the pose and scene of another (the structure). `{MANIFEST_TABLE}` and "
        f"`{MANIFEST}` have a row for each, also for those that were dropped."
    )


def counts(names: Mapping[int, str], summary: Summary) -> dict[str, str]:
    """The sections that a manifest tells, by their headings; `names` of all who may have
    composites, sorted by id.
    """
    sections = {
        "Counts": _counts(summary),
        "Scene": _scene(summary),
        "By person who gives the appearance": _persons(names, summary),
        "By camera of the structure": _cameras(summary),
    }
    if summary.scores:
        sections["Scores of all that were made"] = _scores(summary)
    return sections


def _counts(summary: Summary) -> str:
    rows: list[tuple[object, ...]] = [("made or tried", summary.planned), ("kept", summary.kept)]
    rows += [(f"dropped: {reason}", count) for reason, count in sorted(summary.dropped.items())]
    return table([("what", "composites"), *rows])


def _pictures(spec: GenerationSpec, config: NetworkConfig) -> str:
    height, width = spec.output.size or (config.height, config.width)
    quality = "" if spec.output.picture_format == "png" else f", quality {spec.output.quality}"
    resampled = ""
    if (height, width) != (config.height, config.width):
        resampled = f", resampled (Lanczos) from {config.height} x {config.width}"
    return (
        f"{spec.output.picture_format}{quality}, {height} x {width} pixels (height x width)"
        f"{resampled}; layout {spec.output.layout}."
    )


def _scene(summary: Summary) -> str:
    """Whose pixels these are."""
    lines: list[str] = []
    shares = summary.kept_shares
    if kept := shares.get("keep"):
        lines.append(
            f"Kept in {kept.count} composites: where the swap changes nothing, the pixel is the "
            "structure picture's own, as the network saw it. This passes on the face of whoever "
            "the structure shows, and the place. Share of the pixels that equal the structure's "
            f"(`kept_share` of the manifest): mean {kept.mean:.1%}, smallest {kept.smallest:.1%}, "
            f"largest {kept.largest:.1%}."
        )
    if generated := shares.get("generate"):
        lines.append(
            f"Generated in {generated.count} composites: every pixel was painted by the network, "
            "none is copied from a structure picture."
        )
    if untold := summary.kept - sum(histogram.count for histogram in shares.values()):
        lines.append(
            f"Not noted for {untold} composites, which a release made that did not write it down."
        )
    return "\n\n".join(lines) or "None: no composite was kept."


def _persons(names: Mapping[int, str], summary: Summary) -> str:
    counts = [summary.persons[person] for person in names]
    head = (
        f"{len(counts)} persons; smallest {min(counts)}, median {median(counts):g}, largest "
        f"{max(counts)} composites a person."
    )
    rows: list[tuple[object, ...]] = [
        (plain(name), summary.persons[person]) for person, name in names.items()
    ]
    plot = f"![composites by person]({PERSONS_PLOT})"
    if without := summary.persons_without:
        named = [plain(names[person]) for person in without[:PATHS_SHOWN]]
        more = f" and {len(without) - len(named)} more" if len(without) > len(named) else ""
        head += (
            f"\n\n**No composite was kept of {len(without)} of them**: {', '.join(named)}{more}. "
            "Lower the filters, or let more be made in place of dropped ones (`top_up`)."
        )
    return f"{head}\n\n{plot}\n\n" + table([("person", "composites"), *rows])


def _cameras(summary: Summary) -> str:
    known = summary.known_cameras
    rows: list[tuple[object, ...]] = [(camera, summary.cameras[camera]) for camera in known]
    if None in summary.cameras:
        rows.append(("not known", summary.cameras[None]))
    if not rows:
        return "None: no composite was kept."
    text = f"![composites by camera]({CAMERAS_PLOT})\n\n" + table([("camera", "composites"), *rows])
    if known and known[-1] > 9:
        text += (
            "\n\nCameras have two digits: readers that take one digit after `_c`, such as "
            "torchreid's, mix them up in the layout `market1501`; take cameras from the manifest."
        )
    return text


def _scores(summary: Summary) -> str:
    rows: list[tuple[object, ...]] = []
    for name, scores in sorted(summary.scores.items()):
        quantiles = (scores.quantile(share) for share in QUANTILES)
        values = (scores.smallest, *quantiles, scores.largest, scores.mean)
        rows.append((name, *(f"{value:.4f}" for value in values)))
    head = ("score", "smallest", *(f"{share:.0%}" for share in QUANTILES), "largest", "mean")
    plots = "\n\n".join(f"![{name}]({score_plot(name)})" for name in sorted(summary.scores))
    return f"{table([head, *rows])}\n\nQuantiles are good to a thousandth of the range.\n\n{plots}"


def _unreadable(summary: Summary) -> str:
    shown = sorted(summary.unreadable.items())[:PATHS_SHOWN]
    lines = [f"- {code(path)}: {plain(reason)}" for path, reason in shown]
    if len(summary.unreadable) > len(shown):
        lines.append(f"- and {len(summary.unreadable) - len(shown)} more")
    return "\n".join(lines)


def _changed(summary: Summary) -> str:
    text = (
        f"{len(summary.changed)} source pictures were replaced by others while the set was made. "
        "Composites of these were made of the picture before or of the one after, and the manifest "
        "does not tell which: make the set anew if that matters."
    )
    shown = [f"- {code(path)}" for path in sorted(summary.changed)[:PATHS_SHOWN]]
    if len(summary.changed) > len(shown):
        shown.append(f"- and {len(summary.changed) - len(shown)} more")
    return text + "\n\n" + "\n".join(shown)


def _license(spec: GenerationSpec, metadata: Metadata) -> str:
    told = spec.source.license
    sources = "it was not given to the program" if told is None else f"they have {plain(told)}"
    return (
        f"What the license of the sources allows, and no more: {sources}. Training data of the "
        f"weights: {plain(str(metadata.data.get('license', 'license not stated')))}."
    )


def _sources(spec: GenerationSpec, listing: Listing) -> str:
    called = "" if spec.source.name is None else f"{plain(spec.source.name)}: "
    lines = [
        f"{called}{len(listing)} pictures of {len(listing.persons)} persons, read as "
        f"{listing.layout}; sha256 of the listing `{listing.digest}`."
    ]
    lines += [f"- {plain(warning)}" for warning in listing.warnings]
    return "\n".join(lines)


def _networks(metadata: Metadata) -> str:
    data = plain(str(metadata.data.get("name", "data that its checkpoint does not name")))
    return (
        f"Preset {metadata.config.preset}, {metadata.config.height} x {metadata.config.width} "
        f"pixels (height x width), trained on {data}; sha256 of the checkpoint "
        f"`{metadata.sha256 or 'not saved'}`, code version {metadata.code_version or 'unknown'}."
    )
