"""`dgnet evaluate retrieval`: how well a checkpoint finds the people of a data set again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dgnet.arrays import Embeddings
from dgnet.commands import local
from dgnet.commands.failures import InputError, needs_extra
from dgnet.commands.options import (
    CheckpointOption,
    DeviceOption,
    DistractorsOption,
    JunkOption,
    LayoutOption,
    PatternOption,
    Precision,
    PrecisionOption,
)
from dgnet.commands.outputs import write_bytes, write_figures
from dgnet.commands.progress import track
from dgnet.pictures.encoding import encode_picture

if TYPE_CHECKING:
    from dgnet.model.data.picture import Picture
    from dgnet.model.evaluation.retrieval.report import Embed, MeasuredRetrieval
    from dgnet.model.predictor import Predictor


def evaluate_retrieval(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Data set with query and gallery, any layout of docs/data.md."
        ),
    ],
    layout: LayoutOption = None,
    pattern: PatternOption = None,
    junk: JunkOption = None,
    distractors: DistractorsOption = None,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    multi_query: Annotated[
        bool,
        typer.Option("--multi-query", help="Search with all pictures of a query's person at once."),
    ] = False,
    rerank: Annotated[
        bool, typer.Option("--rerank", help="Re-rank by k-reciprocal neighbors (20, 6, 0.3).")
    ] = False,
    fine_weight: Annotated[
        float | None,
        typer.Option(min=0, help="Weight of the embedding's fine half; the model's 0.5 if absent."),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep embeddings here and take them from here."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write every figure as JSON.")
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw some queries with their ten best pictures."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws the queries of the picture.")] = 0,
) -> None:
    """Print rank-1, rank-5, rank-10 and mAP under both conventions, and mINP."""
    if picture is not None and picture.suffix.lower() != ".png":
        raise InputError(f"cannot write {picture}: expected a name ending in .png")
    with needs_extra("train"):
        from dgnet.model.data.layouts import read_dataset
        from dgnet.model.data.picture import DatasetError
        from dgnet.model.devices import choose_device
        from dgnet.model.evaluation.retrieval.fine_weight import FineWeightError
        from dgnet.model.evaluation.retrieval.preflight import PreflightError
        from dgnet.model.evaluation.retrieval.report import RetrievalConfig, measure_retrieval
        from dgnet.model.evaluation.retrieval.reranking import Reranking
    predictor = local.load_predictor(checkpoint, device=device, precision=precision)
    try:
        dataset = read_dataset(data, layout, pattern, junk=junk, distractors=distractors)
        measured = measure_retrieval(
            dataset,
            _embedder(predictor, data, cache=cache, device=device, precision=precision),
            RetrievalConfig(
                multi_query=multi_query,
                rerank=Reranking() if rerank else None,
                fine_weight=fine_weight,
            ),
            choose_device(device),
        )
        drawn = _drawn(measured, seed) if picture else None
    except (DatasetError, FineWeightError, PreflightError) as error:
        raise InputError(str(error)) from error
    report = measured.report
    typer.echo(
        f"{report.data.query} queries of {report.data.persons} persons, {report.data.gallery} "
        f"gallery pictures ({report.data.distractors} distractors, {report.data.junk} junk)\n"
    )
    typer.echo(report.to_table())
    for warning in report.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if json_file is not None:
        used = local.arithmetic(predictor)
        write_figures(json_file, report.to_json(), predictor.model_version, used)
    if picture is not None and drawn is not None:
        write_bytes(picture, drawn)


def _embedder(
    predictor: Predictor, root: Path, *, cache: Path | None, device: str, precision: Precision
) -> Embed:
    """Embeds on the device, or takes what the cache has, and says so where it was broken."""
    from dgnet.model.devices import autocast_dtype, choose_device
    from dgnet.model.evaluation.retrieval.embedding import embed_pictures
    from dgnet.model.evaluation.retrieval.embedding_cache import EmbeddingCache

    def computed(pictures: Sequence[Picture], title: str) -> Embeddings:
        return embed_pictures(predictor, pictures, title=f"Embedding {title}", progress=track)

    if cache is None:
        return computed
    used = choose_device(device)
    kept = EmbeddingCache(
        directory=cache,
        model=str(predictor.card.get("sha256") or predictor.model_version),
        precision=f"{autocast_dtype(precision, used) or 'float32'} on {used.type}",
    )

    def cached(pictures: Sequence[Picture], title: str) -> Embeddings:
        embeddings, state = kept.embeddings(pictures, root, lambda: computed(pictures, title))
        if state == "replaced":
            path = kept.path_of(pictures, root)
            typer.echo(f"note: {path} was broken; embedded the {title} pictures again", err=True)
        return embeddings

    return cached


def _drawn(measured: MeasuredRetrieval, seed: int) -> bytes:
    from dgnet.model.evaluation.sheets.ranked_results import draw_queries, ranked_results

    sheet = ranked_results(
        measured.similarity,
        measured.query,
        measured.gallery,
        measured.dataset.query,
        measured.dataset.gallery,
        draw_queries(measured.rankings, seed),
    )
    return encode_picture(sheet, "PNG")
