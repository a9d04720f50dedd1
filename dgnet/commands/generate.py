"""`dgnet generate`: a whole data set of composites, resumable, from a spec file or from options."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dgnet.commands import local
from dgnet.commands.destinations import Target
from dgnet.commands.failures import CommandError, InputError, needs_extra
from dgnet.commands.interruption import sigterm_interrupts
from dgnet.commands.judge_options import JudgeOption, load_judge
from dgnet.commands.options import (
    ApiKeyOption,
    CheckpointOption,
    CompileOption,
    DeviceOption,
    DistractorsOption,
    JsonOption,
    JunkOption,
    LayoutOption,
    MinimumIdentityConsistencyOption,
    MinimumJudgeSimilarityOption,
    MinimumRealismPercentileOption,
    MinimumTeacherConfidenceOption,
    ModelOption,
    PatternOption,
    PrecisionOption,
    SceneOption,
    ServerOption,
    require_server,
)
from dgnet.commands.progress import progress_bar
from dgnet.commands.talk import answer, first_named, say
from dgnet.jobs.generation.errors import GenerationError, UploadError
from dgnet.jobs.generation.manifest import CARD
from dgnet.jobs.generation.spec import (
    GenerationSpec,
    OutputLayout,
    Pairing,
    PictureFormat,
    merged,
    read_spec_file,
    spec_from,
)
from dgnet.layouts import SplitName

if TYPE_CHECKING:
    from dgnet.generation.local_run import Progress


PERSONS_NAMED = 5
"""Of those who are left with nothing."""


def generate(
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[SPEC] [DATA]",
            help="A spec file (.yaml, .json), or the folder of a data set in any layout of "
            "docs/data.md, or both. Options win over the spec.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR|URL",
            help="New or empty folder to write to, or a URL such as s3://bucket/prefix; the spec's "
            "output.destination if absent.",
        ),
    ] = None,
    count: Annotated[int | None, typer.Option(help="Composites to make.")] = None,
    per_identity: Annotated[
        int | None, typer.Option(help="In place of --count: composites a person.")
    ] = None,
    pairing: Annotated[
        Pairing | None,
        typer.Option(help="Whose clothes on whom; cross_identity (other persons) if absent."),
    ] = None,
    scene: SceneOption = None,
    seed: Annotated[int | None, typer.Option(help="Draws the pairs; 0 if absent.")] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            metavar="NAME",
            help="appearance, structure, teacher_top_k=K, uniform or two_labels; repeat for more.",
        ),
    ] = None,
    scores: Annotated[
        list[str] | None,
        typer.Option(
            "--score",
            metavar="NAME",
            help="Of every composite, in the manifest: identity_consistency, teacher_confidence, "
            "realism_percentile or judge_similarity; repeat for more, none for none. "
            "identity_consistency if absent.",
        ),
    ] = None,
    minimum_identity_consistency: MinimumIdentityConsistencyOption = None,
    minimum_teacher_confidence: MinimumTeacherConfidenceOption = None,
    minimum_realism_percentile: MinimumRealismPercentileOption = None,
    minimum_judge_similarity: MinimumJudgeSimilarityOption = None,
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
    quality: Annotated[int | None, typer.Option(help="Of JPEG and WebP; 95 if absent.")] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="HEIGHTxWIDTH", help="Of the pictures, in pixels; the network's if absent."
        ),
    ] = None,
    shard_size: Annotated[
        int | None, typer.Option(help="Composites published together; 1024 if absent.")
    ] = None,
    layout: LayoutOption = None,
    pattern: PatternOption = None,
    junk: JunkOption = None,
    distractors: DistractorsOption = None,
    split: Annotated[
        SplitName | None, typer.Option(help="Pictures to pair; train if absent.")
    ] = None,
    source_name: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What the pictures are called, for the data card."),
    ] = None,
    source_license: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Under which they were given, for the data card, such as CC-BY-4.0.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Carry on the job that the output folder holds.")
    ] = False,
    work: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where a set for a URL is made first; in the user's cache if absent.",
        ),
    ] = None,
    keep_work: Annotated[
        bool, typer.Option("--keep-work", help="Keep that folder when all has arrived at the URL.")
    ] = False,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    model: ModelOption = None,
    dataset: Annotated[
        str | None,
        typer.Option(metavar="ID", help="With --server: take the pictures from its data set."),
    ] = None,
    job: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="With --server: come back to a job; --resume carries it on."
        ),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option(help="With --server: show progress and fetch the set, or leave at once."),
    ] = True,
    checkpoint: CheckpointOption = None,
    judge: JudgeOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    compiling: CompileOption = "auto",
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Rows on the device at once; suits it if absent.")
    ] = None,
    threads: Annotated[
        int, typer.Option(min=1, max=64, help="That read pictures, and as many that write.")
    ] = 4,
    codes_mib: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="MIB",
            help="Memory for codes that are kept between shards; a quarter of what is free if "
            "absent.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make composites in bulk, with manifest, data card and contact sheet.

    A job that was interrupted or killed is carried on by the same command with --resume and ends
    with the same files. With --server the job is made there: DATA (a folder or an archive) is
    uploaded, and the set is fetched into the output folder.
    """
    options: dict[str, Any] = {
        "source": {
            "layout": layout,
            "pattern": pattern,
            "split": split,
            "junk": junk,
            "distractors": distractors,
            "name": source_name,
            "license": source_license,
        },
        "count": count,
        "per_identity": per_identity,
        "pairing": pairing,
        "scene": scene,
        "seed": seed,
        "labels": labels or None,
        "scores": scores or None,
        "keep": {
            "minimum_identity_consistency": minimum_identity_consistency,
            "minimum_teacher_confidence": minimum_teacher_confidence,
            "minimum_realism_percentile": minimum_realism_percentile,
            "minimum_judge_similarity": minimum_judge_similarity,
            "near_duplicates": near_duplicates,
        },
        "top_up": top_up,
        "output": {
            "layout": output_layout,
            "picture_format": picture_format,
            "quality": quality,
            "size": size,
            "shard_size": shard_size,
        },
    }
    asked = Asked.of(inputs or [], options)
    require_server(server, model)
    if server is not None:
        from dgnet.commands import generate_remotely

        if job is not None and model is not None:
            raise InputError(f"{job} has its model already: leave --model out")

        place = generate_remotely.JobServer(url=server, api_key=api_key, model=model)
        try:
            if job is not None:
                generate_remotely.come_back(
                    place, job, output=output, follow=follow, resume=resume, as_json=as_json
                )
            else:
                generate_remotely.submit(
                    place,
                    asked.values,
                    where=asked.where,
                    data=asked.data,
                    dataset=dataset,
                    output=output,
                    follow=follow,
                    as_json=as_json,
                )
        except GenerationError as error:
            raise InputError(str(error)) from error
        return
    if dataset is not None or job is not None or not follow:
        raise InputError("--dataset, --job and --no-follow are for a server: give --server")
    spec = asked.spec()
    target = Target.of(output or spec.output.destination, work=work, keep_work=keep_work)
    with needs_extra("generate"):
        from dgnet.generation.job import Job
        from dgnet.generation.local_run import run_job
    try:
        with needs_extra("generate"):
            loaded, predictor = local.load_networks(
                checkpoint,
                device=device,
                precision=precision,
                max_batch=batch_size,
                compiling=compiling,
            )
            asked_judge = load_judge(judge, device=device) if spec.needs_judge else None
            made = Job.of(spec, loaded, predictor, judge=asked_judge)
            for warning in made.listing.warnings:
                typer.echo(f"warning: {warning}", err=True)
            if target.take_folder(made.identity(), resume=resume):
                say(f"{target} holds the complete set already")
                return
            with _interruptible(target.folder), progress_bar() as bar:
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

                done = run_job(
                    made, target.folder, resume=resume, threads=threads, codes_mib=codes_mib,
                    report=report,
                )  # fmt: skip
            seconds = time.monotonic() - start
            if as_json:
                answer(_figures(done, target, seconds))
            _tell(done, target, seconds, talk=not as_json)
            target.upload()
    except GenerationError as error:
        raise InputError(str(error)) from error
    except UploadError as error:
        raise CommandError(f"{error}. What is done is kept in {target.folder}: --resume") from error
    if not done.kept:
        raise CommandError(f"no composite was kept; {target}/{CARD} tells why")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What spec file and options ask for together; options win."""

    values: dict[str, Any]
    where: str
    """What a message calls it."""
    data: Path | None
    """The data set on the command line."""

    @classmethod
    def of(cls, inputs: list[Path], options: dict[str, Any]) -> Asked:
        files = [path for path in inputs if path.suffix.lower() in (".yaml", ".yml", ".json")]
        data = [path for path in inputs if path not in files]
        if len(files) > 1 or len(data) > 1:
            raise InputError(
                f"got {len(files)} spec files and {len(data)} folders; expected at most one of each"
            )
        try:
            with needs_extra("generate"):
                values = read_spec_file(files[0]) if files else {}
        except GenerationError as error:
            raise InputError(str(error)) from error
        amounts = ("count", "per_identity")
        if any(options[name] is not None for name in amounts):  # the option's wins over the file's
            values = {name: value for name, value in values.items() if name not in amounts}
        return cls(
            values=merged(values, options),
            where=str(files[0]) if files else "the options",
            data=data[0] if data else None,
        )

    def spec(self) -> GenerationSpec:
        """The spec of a job on this machine; raises InputError for what cannot be made."""
        folder = None if self.data is None else str(self.data)
        try:
            return spec_from(merged(self.values, {"source": {"folder": folder}}), where=self.where)
        except GenerationError as error:
            raise InputError(str(error)) from error


@contextmanager
def _interruptible(output: Path) -> Generator[None]:
    """Ctrl-C and SIGTERM end a job with what to do next; published shards stay."""
    from dgnet.generation.local_run import shards_done

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


def _figures(progress: Progress, target: Target, seconds: float) -> dict[str, Any]:
    return {
        "output": str(target),
        "planned": progress.planned,
        "made": progress.made,
        "made_before": progress.made_before,
        "kept": progress.kept,
        "dropped": progress.dropped,
        "unreadable": progress.unreadable,
        "changed": sorted(progress.changed),
        "persons_without": progress.persons_without,
        "seconds": round(seconds, 3),
    }


def _tell(progress: Progress, target: Target, seconds: float, *, talk: bool) -> None:
    """Warnings always, the rest as `talk`."""
    for path, reason in sorted(progress.unreadable.items()):
        typer.echo(f"warning: {path} could not be read and was skipped: {reason}", err=True)
    for path in sorted(progress.changed):
        typer.echo(f"warning: {path} was replaced while the set was made, see {CARD}", err=True)
    if without := progress.persons_without:
        typer.echo(
            f"warning: every composite of {len(without)} persons was dropped: "
            f"{first_named(without, PERSONS_NAMED)}; lower the filters or give --top-up",
            err=True,
        )
    if not talk:
        return
    made_now = progress.made - progress.made_before
    say(f"{progress.kept} of {progress.made} composites kept, in {target.folder}")
    if progress.made_before:
        say(f"{progress.made_before} of them were made by an earlier run")
    for reason, number in sorted(progress.dropped.items()):
        say(f"dropped, {reason}: {number}")
    if made_now:
        say(f"{seconds:.1f} s, {_rate(progress, seconds):.1f} composites/s; by stage:")
        for stage, spent in progress.stages.items():
            say(f"  {stage:<18} {spent:8.2f} s")
        for role, codes in progress.codes.items():
            say(
                f"{role} codes: {codes.encoded} made, {codes.from_earlier_shards} kept from "
                "earlier shards"
            )
