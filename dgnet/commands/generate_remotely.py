"""`dgnet generate --server`: submits a job, follows it, and brings what it made into a folder.

The job belongs to the server: whoever stops following it stops nothing, and may come back with its
id.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer
from rich.progress import Progress, TaskID

from dgnet.client import Client, DGNetError
from dgnet.commands.failures import CommandError, InputError
from dgnet.commands.interruption import sigterm_interrupts
from dgnet.commands.progress import progress_bar
from dgnet.commands.remote import as_failure, connected
from dgnet.commands.talk import answer, say
from dgnet.jobs.addresses import without_secrets
from dgnet.jobs.generation.jobs import FINAL_STATES
from dgnet.jobs.generation.manifest import CARD
from dgnet.jobs.generation.spec import merged, spec_from
from dgnet.jobs.views import GenerationView
from dgnet.service.archives import ArchiveError, UnpackLimits, unpack

# The user asked this server for its files: only what would leave the folder is refused.
_LIMITS = UnpackLimits(max_bytes=2**62, max_ratio=2**40, max_members=2**40, max_depth=16)
_NOT_YET_UPLOADED = "ds_not_yet_uploaded"


@dataclass(frozen=True, kw_only=True)
class JobServer:
    """Which server, and how a user gets back to a job of it."""

    url: str
    api_key: str | None
    model: str | None = None
    """That new jobs are for; its default one if None."""

    def way_back(self, job_id: str, output: Path | None) -> str:
        server = without_secrets(self.url)
        return f"dgnet generate --server {server} --job {job_id} -o {output or 'DIR'}"


def submit(
    server: JobServer,
    values: dict[str, Any],
    *,
    where: str,
    data: Path | None,
    dataset: str | None,
    output: str | None,
    follow: bool,
    as_json: bool = False,
) -> None:
    """Upload `data` if there is any, submit the spec, and see it through if `follow`."""
    target = _target(output, follow=follow)
    if output is not None and target is None:
        values = merged(values, {"output": {"destination": output}})
    if data is not None:
        values = _with_source(values, _NOT_YET_UPLOADED)
    elif dataset is not None:
        values = _with_source(values, dataset)
    spec_from(values, where=where)  # before anything is sent
    with connected(server.url, server.api_key) as client:
        if data is not None:
            values = _with_source(values, _upload(client, data, values["source"]))
        try:
            job = client.jobs.submit(values, model=server.model)
        except DGNetError as error:
            raise as_failure(error, where) from error
        with _leaving_it_running(server, job.id, target):
            # Whoever does not follow it needs its name.
            tell = say if follow else typer.echo
            tell(f"job {job.id} at {without_secrets(server.url)}", err=as_json)
            if follow:
                _see_through(client, server, job.id, target, as_json=as_json)
            elif as_json:
                answer(job.model_dump(mode="json"))
            else:
                say(f"to fetch what it makes: {server.way_back(job.id, None)}")


def come_back(
    server: JobServer,
    job_id: str,
    *,
    output: str | None,
    follow: bool,
    resume: bool,
    as_json: bool = False,
) -> None:
    """To a job that was submitted before."""
    target = _target(output, follow=follow)
    with connected(server.url, server.api_key) as client:
        try:
            job = client.jobs.resume(job_id) if resume else client.jobs.get(job_id)
        except DGNetError as error:
            raise as_failure(error, job_id) from error
        if follow:
            with _leaving_it_running(server, job_id, target):
                _see_through(client, server, job_id, target, as_json=as_json)
        elif as_json:
            answer(job.model_dump(mode="json"))
        else:
            typer.echo(f"{job_id} is {job.state}: {_counts(job)}")


def _target(output: str | None, *, follow: bool) -> Path | None:
    """The folder that the files come into; None if they stay with the server or go to a URL."""
    if output is not None and "://" in output:
        return None
    if not follow:
        if output is not None:
            raise InputError("--no-follow fetches nothing: leave --output out, or follow")
        return None
    if output is None:
        raise InputError("no output: give --output, or --no-follow to leave the set on the server")
    target = Path(output)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} is not empty; expected an empty or a new folder")
    return target


def _with_source(values: dict[str, Any], dataset: str) -> dict[str, Any]:
    """The spec with a data set of the server in place of a folder here."""
    source = {name: value for name, value in values.get("source", {}).items() if name != "folder"}
    return {**values, "source": {**source, "dataset": dataset}}


def _upload(client: Client, data: Path, source: dict[str, Any]) -> str:
    with progress_bar() as bar:
        task = bar.add_task(f"uploading {data.name} (bytes)", total=None)
        try:
            dataset = client.datasets.upload(
                data,
                layout=source.get("layout"),
                pattern=source.get("pattern"),
                junk=source.get("junk"),
                distractors=source.get("distractors"),
                progress=lambda sent, total: bar.update(task, completed=sent, total=total),
            )
        except (DGNetError, OSError) as error:
            if isinstance(error, OSError):
                raise InputError(f"cannot read {data}: {error.strerror}") from error
            raise as_failure(error, str(data)) from error
    say(f"data set {dataset.id} uploaded: {dataset.files} files", err=True)
    return dataset.id


def _see_through(
    client: Client, server: JobServer, job_id: str, target: Path | None, *, as_json: bool
) -> None:
    """Follow to the end, fetch, and tell what came of it."""
    job = _followed(client, job_id)
    if job.state != "done":
        raise _unfinished(server, job)
    if target is not None:
        _fetch(client, job_id, target)
    where = target or job.spec["output"]["destination"] or without_secrets(server.url)
    if as_json:
        answer(job.model_dump(mode="json"))
    else:
        say(f"{_counts(job)}, in {where}")
        for reason, number in sorted(job.dropped.items()):
            say(f"dropped, {reason}: {number}")
    if job.unreadable:
        typer.echo(f"warning: {job.unreadable} pictures could not be read", err=True)
    if not job.kept:
        raise CommandError(f"no composite was kept; {CARD} in {where} tells why")


def _followed(client: Client, job_id: str) -> GenerationView:
    """The job at its end."""
    with progress_bar() as bar:
        task = bar.add_task("composites", total=None)
        try:
            for job in client.jobs.follow(job_id):
                _show(bar, task, job)
                if job.state in FINAL_STATES:
                    return job
        except DGNetError as error:
            raise as_failure(error, job_id) from error
    raise AssertionError("a job is followed to its end")


def _show(bar: Progress, task: TaskID, job: GenerationView) -> None:
    rate = "" if job.rate is None else f", {job.rate:.0f}/s"
    bar.update(
        task,
        description=f"composites ({job.state}{rate}, {job.kept} kept)",
        completed=job.made,
        total=job.planned or None,
    )


def _fetch(client: Client, job_id: str, target: Path) -> None:
    """The files of a job appear as a whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as work:
            archive, folder = Path(work) / "set.tar", Path(work) / "set"
            with progress_bar() as bar:
                task = bar.add_task("fetching (bytes)", total=None)
                client.jobs.download_archive(
                    job_id,
                    archive,
                    progress=lambda got, total: bar.update(task, completed=got, total=total),
                )
            folder.mkdir()
            unpack(archive, folder, _LIMITS)
            folder.replace(target)
    except DGNetError as error:
        raise as_failure(error, job_id) from error
    except ArchiveError as error:
        raise CommandError(f"{job_id}: {error}") from error
    except OSError as error:
        raise CommandError(f"cannot write {target}: {error.strerror}") from error


def _counts(job: GenerationView) -> str:
    return f"{job.kept} of {job.made} composites kept"


def _unfinished(server: JobServer, job: GenerationView) -> CommandError:
    reason = f": {job.error.detail}" if job.error else ""
    return CommandError(
        f"{job.id} is {job.state}{reason}. To carry it on: {server.way_back(job.id, None)} --resume"
    )


@contextmanager
def _leaving_it_running(server: JobServer, job_id: str, target: Path | None) -> Generator[None]:
    """Ctrl-C and SIGTERM tell how to come back."""
    try:
        with sigterm_interrupts():
            yield
    except KeyboardInterrupt:
        raise CommandError(
            f"no longer following {job_id}, which goes on at {without_secrets(server.url)}; "
            f"to come back: {server.way_back(job_id, target)}"
        ) from None
