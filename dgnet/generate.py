"""`dgnet generate`: a whole data set of composites, resumable, from a spec file or from options."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dgnet import local
from dgnet.failures import CommandError, InputError, needs_extra
from dgnet.interruption import sigterm_interrupts
from dgnet.options import (
    CheckpointOption,
    DeviceOption,
    LayoutOption,
    PatternOption,
    PrecisionOption,
)
from dgnet.progress import progress_bar
from worker.generation.errors import GenerationError
from worker.generation.spec import (
    GenerationSpec,
    OutputLayout,
    Pairing,
    PictureFormat,
    SourceSplit,
    merged,
    read_spec_file,
    spec_from,
)

if TYPE_CHECKING:
    from worker.generation.job import Progress


def generate(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="[SPEC] [DATA]",
            help="A spec file (.yaml, .json), or the folder of a data set in any layout of "
            "docs/data.md, or both. Options win over the spec.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="New or empty folder to write to.")
    ],
    count: Annotated[int | None, typer.Option(help="Composites to make.")] = None,
    per_identity: Annotated[
        int | None, typer.Option(help="In place of --count: composites a person.")
    ] = None,
    pairing: Annotated[
        Pairing | None,
        typer.Option(help="Whose clothes on whom; cross_identity (other persons) if absent."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Draws the pairs; 0 if absent.")] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            metavar="NAME",
            help="appearance, structure, teacher_top_k=K, uniform or two_labels; repeat for more.",
        ),
    ] = None,
    minimum_identity_consistency: Annotated[
        float | None,
        typer.Option(help="Drop composites whose embedding's cosine with the appearance is lower."),
    ] = None,
    minimum_teacher_confidence: Annotated[
        float | None, typer.Option(help="Drop those whose most probable class is less probable.")
    ] = None,
    minimum_realism_percentile: Annotated[
        float | None,
        typer.Option(help="Drop those that the discriminator ranks lower among real pictures."),
    ] = None,
    near_duplicates: Annotated[
        int | None,
        typer.Option(metavar="BITS", help="Drop those so near to a kept one of the same person."),
    ] = None,
    top_up: Annotated[
        int | None, typer.Option(help="Make at most so many more in place of dropped ones.")
    ] = None,
    output_layout: Annotated[
        OutputLayout | None, typer.Option(help="Of what is written; market1501 if absent.")
    ] = None,
    picture_format: Annotated[
        PictureFormat | None, typer.Option("--format", help="Of the pictures; jpg if absent.")
    ] = None,
    quality: Annotated[int | None, typer.Option(help="Of JPEG; 95 if absent.")] = None,
    shard_size: Annotated[
        int | None, typer.Option(help="Composites published together; 1024 if absent.")
    ] = None,
    layout: LayoutOption = None,
    pattern: PatternOption = None,
    split: Annotated[
        SourceSplit | None, typer.Option(help="Pictures to pair; train if absent.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Carry on the job that the output folder holds.")
    ] = False,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Rows on the device at once; suits it if absent.")
    ] = None,
    threads: Annotated[
        int, typer.Option(min=1, max=64, help="That read pictures, and as many that write.")
    ] = 4,
) -> None:
    """Make composites in bulk, with manifest, data card and contact sheet.

    A job that was interrupted or killed is carried on by the same command with --resume and ends
    with the same files.
    """
    options: dict[str, Any] = {
        "source": {"layout": layout, "pattern": pattern, "split": split},
        "count": count,
        "per_identity": per_identity,
        "pairing": pairing,
        "seed": seed,
        "labels": labels or None,
        "keep": {
            "minimum_identity_consistency": minimum_identity_consistency,
            "minimum_teacher_confidence": minimum_teacher_confidence,
            "minimum_realism_percentile": minimum_realism_percentile,
            "near_duplicates": near_duplicates,
        },
        "top_up": top_up,
        "output": {
            "layout": output_layout,
            "picture_format": picture_format,
            "quality": quality,
            "shard_size": shard_size,
        },
    }
    spec = _spec(inputs, options)
    with needs_extra("generate"):
        from worker.generation.job import Job, run_job
    try:
        with needs_extra("generate"):
            loaded, predictor = local.load_networks(
                checkpoint, device=device, precision=precision, max_batch=batch_size
            )
            job = Job.of(spec, loaded, predictor)
            with _interruptible(output), progress_bar() as bar:
                task = bar.add_task("composites", total=None)
                start = time.monotonic()

                def report(progress: Progress) -> None:
                    rate = _rate(progress, time.monotonic() - start)
                    bar.update(
                        task,
                        description=f"composites ({rate:.0f}/s, {progress.kept} kept)",
                        completed=progress.made,
                        total=progress.planned,
                    )

                done = run_job(job, output, resume=resume, threads=threads, report=report)
    except GenerationError as error:
        raise InputError(str(error)) from error
    _tell(done, output, time.monotonic() - start)
    if not done.kept:
        raise CommandError(f"no composite was kept; {output / 'card.md'} tells why")


def _spec(inputs: list[Path], options: dict[str, Any]) -> GenerationSpec:
    """Of a spec file and a data set, either or both, and options."""
    files = [path for path in inputs if path.suffix.lower() in (".yaml", ".yml", ".json")]
    folders = [path for path in inputs if path not in files]
    if len(files) > 1 or len(folders) > 1:
        raise InputError(
            f"got {len(files)} spec files and {len(folders)} folders; expected at most one of each"
        )
    if folders:
        options["source"]["folder"] = str(folders[0])
    try:
        with needs_extra("generate"):
            values = read_spec_file(files[0]) if files else {}
        amounts = ("count", "per_identity")
        if any(options[name] is not None for name in amounts):  # the option's wins over the file's
            values = {name: value for name, value in values.items() if name not in amounts}
        return spec_from(merged(values, options), where=str(files[0]) if files else "the options")
    except GenerationError as error:
        raise InputError(str(error)) from error


@contextmanager
def _interruptible(output: Path) -> Generator[None]:
    """Ctrl-C and SIGTERM end a job with what to do next; published shards stay."""
    from worker.generation.job import shards_done

    try:
        with sigterm_interrupts():
            yield
    except KeyboardInterrupt:
        raise CommandError(
            f"generation into {output} was interrupted; the {shards_done(output)} shards that are "
            "done are kept: run the same command with --resume"
        ) from None


def _rate(progress: Progress, seconds: float) -> float:
    """Composites a second of this run."""
    return (progress.made - progress.made_before) / max(seconds, 1e-9)


def _tell(progress: Progress, output: Path, seconds: float) -> None:
    made_now = progress.made - progress.made_before
    typer.echo(f"{progress.kept} of {progress.made} composites kept, in {output}")
    if progress.made_before:
        typer.echo(f"{progress.made_before} of them were made by an earlier run")
    for reason, number in sorted(progress.dropped.items()):
        typer.echo(f"dropped, {reason}: {number}")
    for path, reason in sorted(progress.unreadable.items()):
        typer.echo(f"warning: {path} could not be read and was skipped: {reason}", err=True)
    if made_now:
        typer.echo(f"{seconds:.1f} s, {_rate(progress, seconds):.1f} composites/s; by stage:")
        for stage, spent in progress.stages.items():
            typer.echo(f"  {stage:<18} {spent:8.2f} s")
