"""`dgnet evaluate generation`: how good composites are as a set, beside real pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from dgnet.commands import local
from dgnet.commands.failures import InputError, needs_extra
from dgnet.commands.options import (
    CheckpointOption,
    DeviceOption,
    DistractorsOption,
    JunkOption,
    LayoutOption,
    PatternOption,
    PrecisionOption,
    SceneOption,
)
from dgnet.commands.outputs import write_figures
from dgnet.commands.progress import track
from dgnet.jobs.generation.manifest import JOB_FILE, MANIFEST, read_rows
from dgnet.layouts import SplitName

if TYPE_CHECKING:
    from dgnet.model.evaluation.generation.measuring import OptionalMeasures
    from dgnet.model.predictor import Predictor


def evaluate_generation(
    data: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Data set of real people, any layout of docs/data.md."),
    ],
    layout: LayoutOption = None,
    pattern: PatternOption = None,
    junk: JunkOption = None,
    distractors: DistractorsOption = None,
    split: Annotated[
        SplitName | None,
        typer.Option(
            help="Whose pictures take part; if absent, those that a set of `dgnet generate` was "
            "made of, else query and gallery together."
        ),
    ] = None,
    generated: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Measure the composites of this folder, in any layout, instead of making some.",
        ),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Triples with the true composite, where there are any."),
    ] = None,
    checkpoint: CheckpointOption = None,
    scene: SceneOption = None,
    composites: Annotated[
        int, typer.Option(min=2, help="Random cross-identity pairs; real pictures at most double.")
    ] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Draws pictures, pairs and halves.")] = 0,
    inception_weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Inception weights of torch-fidelity, for FID."),
    ] = None,
    alexnet_weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="AlexNet weights of torchvision, for LPIPS."),
    ] = None,
    download_weights: Annotated[
        bool,
        typer.Option("--download-weights", help="Fetch what FID and LPIPS lack from its makers."),
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write every figure as JSON.")
    ] = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
) -> None:
    """Print FID, distance of embeddings, diversity, identity and realism beside real pictures."""
    if generated is not None and truth is not None:
        raise InputError(
            "--truth compares what the checkpoint makes of its triples, --generated measures "
            "composites that are there: give one of them"
        )
    if generated is not None and scene is not None:
        raise InputError(
            "--scene is about composites that are made here, --generated measures some that are "
            "there: give one of them"
        )
    with needs_extra("train"):
        from dgnet.model.data.layouts import read_dataset
        from dgnet.model.data.picture import DatasetError
        from dgnet.model.evaluation.generation.measuring import measure_generation
        from dgnet.model.evaluation.generation.report import GenerationConfig
        from dgnet.model.evaluation.retrieval.preflight import PreflightError
    predictor = local.load_predictor(checkpoint, device=device, precision=precision, scene=scene)
    optional = _optional_measures(
        predictor, inception_weights, alexnet_weights, download=download_weights
    )
    try:
        dataset = read_dataset(data, layout, pattern, junk=junk, distractors=distractors)
        composites_there = None if generated is None else read_dataset(generated)
        told = None if generated is None else _manifest_of(generated, dataset.root)
        if told is not None and split is None:
            split = told.split
            typer.echo(f"note: measured on {split}, which the set was made of", err=True)
        for there in (dataset, composites_there):
            for warning in there.warnings if there else ():
                typer.echo(f"warning: {warning}", err=True)
        report = measure_generation(
            dataset,
            predictor,
            GenerationConfig(composites=composites, seed=seed),
            optional=optional,
            split=split,
            generated=composites_there,
            made_of=None if told is None else told.made_of,
            truth_dir=truth,
            progress=track,
        )
    except (DatasetError, PreflightError) as error:
        raise InputError(str(error)) from error
    found = report.data
    made = "made, scene kept" if predictor.scene == "keep" else "made, scene generated"
    source = made if found.generated is None else f"from {found.generated}"
    typer.echo(
        f"{found.composites} composites {source}, {found.real} of {found.real_available} real "
        f"pictures of {found.persons} persons ({found.split})\n"
    )
    typer.echo(report.to_table())
    for sentence in report.left_out:
        typer.echo(f"note: {sentence}", err=True)
    for warning in report.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if json_file is not None:
        figures = report.to_json()
        if found.generated is None:
            figures["scene"] = predictor.scene
        used = local.arithmetic(predictor)
        write_figures(json_file, figures, predictor.model_version, used)


@dataclass(frozen=True, kw_only=True)
class _Manifest:
    """What a set of `dgnet generate` tells of itself."""

    split: SplitName
    made_of: dict[Path, tuple[Path, Path]]


def _manifest_of(folder: Path, source: Path) -> _Manifest | None:
    """None for a folder of other composites; InputError for a set that is damaged."""
    if not (folder / MANIFEST).is_file() or not (folder / JOB_FILE).is_file():
        return None
    try:
        split = json.loads((folder / JOB_FILE).read_bytes())["spec"]["source"]["split"]
        if split not in get_args(SplitName):
            raise ValueError(f"{split!r} is no split")
        made_of = {
            folder / row.written.file: (source / row.appearance.path, source / row.structure.path)
            for row in read_rows(folder / MANIFEST)
            if row.written is not None
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder} has a {MANIFEST} that cannot be understood ({type(error).__name__}: "
            f"{error}); expected a set as `dgnet generate` wrote it, or remove the file"
        ) from error
    return _Manifest(split=split, made_of=made_of)


def _optional_measures(
    predictor: Predictor, inception: Path | None, alexnet: Path | None, *, download: bool
) -> OptionalMeasures:
    """What can be measured here; a file that was given and is not the right one is wrong input."""
    from dgnet.model.evaluation.generation.inception import InceptionFeatures
    from dgnet.model.evaluation.generation.measuring import OptionalMeasures
    from dgnet.model.evaluation.generation.perceptual import PerceptualDistance
    from dgnet.model.evaluation.generation.weight_files import FigureLeftOut, WeightFileError

    left_out: list[str] = []
    features = distance = realism = None
    try:
        features = InceptionFeatures.load(inception, predictor.device, download=download)
    except FigureLeftOut as missing:
        left_out.append(str(missing))
    except WeightFileError as error:
        raise InputError(str(error)) from error
    try:
        distance = PerceptualDistance.load(alexnet, predictor.device, download=download)
    except FigureLeftOut as missing:
        left_out.append(str(missing))
    except WeightFileError as error:
        raise InputError(str(error)) from error
    if predictor.has_discriminator:
        realism = predictor.realism
    else:
        left_out.append("realism is left out: the checkpoint carries no discriminator")
    return OptionalMeasures(
        realism=realism, inception=features, perceptual=distance, left_out=tuple(left_out)
    )
