"""The end of a job: pictures move from the shards to their places, then it is described.

Each step can be repeated, so that a kill between any two is mended by running them again. The
manifest appears last: where it is, the job is complete.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dgnet.files import replaced_file, sync, write_file
from dgnet.generation.output.arrow import ManifestWriter
from dgnet.generation.output.card import card
from dgnet.generation.output.plots import PLOTS_FOLDER, plots
from dgnet.generation.output.publication import sync_file_system
from dgnet.generation.output.readme import readme
from dgnet.generation.output.shards import (
    PICTURES_FOLDER,
    ShardIndex,
    close_shards,
    read_index,
    rows_of,
    shard_folder,
)
from dgnet.generation.output.sheet import SHOWN, sheet
from dgnet.generation.output.sources import SeenSources
from dgnet.generation.output.summary import Summary
from dgnet.generation.pairing.listing import Listing
from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.manifest import (
    CARD,
    MANIFEST,
    MANIFEST_TABLE,
    README,
    SHEET,
    Row,
    read_rows,
)
from dgnet.jobs.generation.spec import GenerationSpec
from dgnet.model.checkpoints import Metadata
from dgnet.paths import local_path
from dgnet.pictures.encoding import encode_picture


def assemble(
    spec: GenerationSpec,
    listing: Listing,
    metadata: Metadata,
    directory: Path,
    shards: int,
) -> Summary:
    """Make one data set of so many shards, which are removed.

    Memory: one shard's index, a row group of the manifest, a hash of each source picture and what
    the summary counts.
    """
    summary = Summary()
    sources = SeenSources()
    kept = 0
    for number in range(shards):
        index = _index(directory, number)
        _move(directory, index)
        kept += index.kept
        summary.unreadable |= index.unreadable
        sources.add(index.sources)
    wanted = {kept * number // SHOWN for number in range(SHOWN)} if kept else set[int]()
    shown: list[Row] = []
    with replaced_file(directory / MANIFEST) as lines:
        with (
            replaced_file(directory / MANIFEST_TABLE) as table,
            lines.open("w", encoding="utf-8") as file,
            ManifestWriter(table, spec, clothes=listing.clothes is not None) as parquet,
        ):
            for number in range(shards):
                for row in rows_of(directory, number):
                    if row.kept and summary.kept in wanted:
                        shown.append(row)
                    summary.add(row)
                    file.write(row.to_line())
                    parquet.write(row)
        _describe(spec, listing, metadata, directory, summary, shown, sources)
        sync_file_system(directory)
    sync(directory)
    remove_shards(directory)
    return summary


def read_manifest(directory: str | Path) -> Iterator[Row]:
    """Rows of a complete job."""
    return read_rows(local_path(directory) / MANIFEST)


def remove_shards(directory: Path) -> None:
    """The set is complete: nobody may write into it any more."""
    close_shards(directory)


def _describe(
    spec: GenerationSpec,
    listing: Listing,
    metadata: Metadata,
    directory: Path,
    summary: Summary,
    shown: list[Row],
    sources: SeenSources,
) -> None:
    """Sheet, plots and card; `summary` is told what was seen meanwhile."""
    if shown:
        shown_sheet, unreadable = sheet(shown, listing, directory, sources)
        summary.unreadable = unreadable | summary.unreadable
        if shown_sheet is not None:
            write_file(directory / SHEET, encode_picture(shown_sheet, "PNG"), durable=True)
    summary.changed |= sources.changed
    (directory / PLOTS_FOLDER).mkdir(exist_ok=True)
    for name, plot in plots(listing.persons, summary, spec.keep.minimums).items():
        write_file(directory / name, plot, durable=True)
    text = card(spec, listing, metadata, summary)
    write_file(directory / CARD, text.encode(), durable=True)
    write_file(directory / README, readme(spec, summary.kept, text).encode(), durable=True)


def _index(directory: Path, number: int) -> ShardIndex:
    index = read_index(shard_folder(directory, number))
    if index is None:
        raise GenerationError(
            f"shard {number} is gone from {directory}; resume the job to make it anew"
        )
    return index


def _move(directory: Path, index: ShardIndex) -> None:
    pictures = shard_folder(directory, index.range.number) / PICTURES_FOLDER
    for name in index.files:
        source, target = pictures / name, directory / name
        try:
            source.replace(target)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.exists():
                source.replace(target)
            elif not target.exists():
                raise GenerationError(
                    f"{name} of shard {index.range.number} is gone from {directory}: somebody "
                    "removed it; remove the folder and generate anew"
                ) from None
