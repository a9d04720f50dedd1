"""A set's `README.md`: the card, behind what Hugging Face's hub and `datasets` read of a set.

`datasets.load_dataset(FOLDER)` gives the composites then, and not the manifest or the plots, which
lie beside them; the hub shows source, license and size. Whatever others called their data is quoted
by PyYAML, so that it is text there and nothing else.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

from dgnet.generation.making.naming import IMAGEFOLDER_FOLDER, MARKET_FOLDER
from dgnet.generation.output.packing import ENDINGS
from dgnet.jobs.generation.spec import GenerationSpec
from dgnet.markdown import one_line

LICENSES = frozenset(
    {
        "apache-2.0", "bsd", "bsd-2-clause", "bsd-3-clause", "c-uda", "cc", "cc0-1.0", "cc-by-2.0",
        "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0",
        "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0",
        "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cdla-permissive-1.0",
        "cdla-permissive-2.0", "cdla-sharing-1.0", "gpl-3.0", "mit", "odbl", "odc-by", "pddl",
        "unlicense",
    }
)  # fmt: skip
"""Those of the hub's own names that data is given under; it takes any other as `other`."""

SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"),
         (10**7, "1M<n<10M"), (10**8, "10M<n<100M"), (10**9, "100M<n<1B"))  # fmt: skip


def readme(spec: GenerationSpec, kept: int, card: str) -> str:
    """Markdown behind YAML; `kept` composites, described by the `card`."""
    yaml: Any = importlib.import_module("yaml")
    front: str = yaml.safe_dump(
        front_matter(spec, kept), allow_unicode=True, sort_keys=False, width=10_000
    )
    return f"---\n{front}---\n\n{card}"


def front_matter(spec: GenerationSpec, kept: int) -> dict[str, Any]:
    """What the hub knows of a data set, in its own words."""
    called = spec.source.name
    fields: dict[str, Any] = {
        "pretty_name": "Composites for person re-identification"
        + ("" if called is None else f" of {one_line(called)}"),
        **_license(spec.source.license),
        "annotations_creators": ["machine-generated"],
        "tags": ["person-re-identification", "synthetic", "dg-net", "image"],
        "size_categories": [next((name for below, name in SIZES if kept < below), "1B<n<10B")],
    }
    if called is not None:
        fields["source_datasets"] = [one_line(called)]
    if kept:  # of a set without a file there is nothing to load
        fields["configs"] = [
            {
                "config_name": "default",
                "data_files": [{"split": "train", "path": _data_files(spec)}],
            }
        ]
    return fields


def _data_files(spec: GenerationSpec) -> str:
    match spec.output.layout:
        case "market1501":
            return f"{MARKET_FOLDER}/*.{spec.output.picture_format}"
        case "imagefolder":
            return f"{IMAGEFOLDER_FOLDER}/*/*.{spec.output.picture_format}"
        case layout:
            return f"composites-*.{ENDINGS[layout]}"


def _license(told: str | None) -> dict[str, str]:
    """The sources', which the composites' follows from."""
    if told is None:
        return {"license": "unknown"}
    slug = re.sub(r"[^a-z0-9.]+", "-", told.lower()).strip("-.")
    slug = {"cc0": "cc0-1.0"}.get(slug, slug)
    if slug in LICENSES:
        return {"license": slug}
    return {"license": "other", "license_name": slug[:100] or "other"}
