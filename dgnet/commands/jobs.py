"""`dgnet jobs`: generation jobs of a server, looked at, stopped, carried on, fetched, deleted.

`dgnet generate --server` submits one; here are those that there are.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from dgnet.client import Client, DGNetError
from dgnet.commands import generate_remotely
from dgnet.commands.failures import CommandError
from dgnet.commands.options import ApiKeyOption, JsonOption, RemoteOption
from dgnet.commands.remote import as_failure, connected
from dgnet.commands.talk import answer, say
from dgnet.jobs.views import GenerationView

app = typer.Typer(no_args_is_help=True, help="Generation jobs of a server.")

JobId = Annotated[str, typer.Argument(metavar="ID", help="Of the job, gen_...")]
JobIds = Annotated[list[str], typer.Argument(metavar="ID...", help="Of the jobs, gen_...")]


@app.command("list")
def list_jobs(
    server: RemoteOption,
    api_key: ApiKeyOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Of jobs, newest first.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Print the jobs of a server, newest first."""
    with asked(server, api_key) as client:
        jobs = list(client.jobs.list(limit=limit))
    if as_json:
        answer([job.model_dump(mode="json") for job in jobs])
        return
    rows = [
        (
            job.id,
            job.name or "",
            job.state,
            f"{job.made} of {job.planned}",
            str(job.kept),
            _why(job),
        )
        for job in jobs
    ]
    print_table(("id", "name", "state", "made", "kept", "error"), rows)


@app.command("show")
def show_job(
    job_id: JobId, server: RemoteOption, api_key: ApiKeyOption = None, as_json: JsonOption = False
) -> None:
    """Print what is known of a job; exit 1 if it failed."""
    with asked(server, api_key, job_id) as client:
        job = client.jobs.get(job_id)
    if as_json:
        answer(job.model_dump(mode="json"))
    else:
        for name, value in _facts(job).items():
            typer.echo(f"{name:<10} {value}")
    if job.state == "failed":
        raise CommandError(f"{job_id} is failed: {_why(job)}")


@app.command("cancel")
def cancel_job(job_ids: JobIds, server: RemoteOption, api_key: ApiKeyOption = None) -> None:
    """Stop jobs within a batch; what is published stays, and resume carries on from there."""
    _each(job_ids, server, api_key, lambda client, job: f"is {client.jobs.cancel(job).state}")


@app.command("resume")
def resume_job(job_ids: JobIds, server: RemoteOption, api_key: ApiKeyOption = None) -> None:
    """Carry on jobs that failed or were cancelled."""
    _each(job_ids, server, api_key, lambda client, job: f"is {client.jobs.resume(job).state}")


@app.command("delete")
def delete_job(job_ids: JobIds, server: RemoteOption, api_key: ApiKeyOption = None) -> None:
    """Delete jobs and what they made."""

    def delete(client: Client, job_id: str) -> str:
        client.jobs.delete(job_id)
        return "is deleted"

    _each(job_ids, server, api_key, delete)


@app.command("fetch")
def fetch_job(
    job_id: JobId,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="New or empty folder.")
    ],
    server: RemoteOption,
    api_key: ApiKeyOption = None,
) -> None:
    """Bring what a job made into a folder, waiting for its end if need be."""
    place = generate_remotely.JobServer(url=server, api_key=api_key)
    generate_remotely.come_back(place, job_id, output=str(output), follow=True, resume=False)


@contextmanager
def asked(server: str, api_key: str | None, what: str | None = None) -> Generator[Client]:
    """A client whose failures are a command's, and say of what they are."""
    with connected(server, api_key) as client:
        try:
            yield client
        except DGNetError as error:
            raise as_failure(error, what) from error


def print_table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Columns on stdout, never cut: a line is as long as it has to be."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def _each(
    names: list[str], server: str, api_key: str | None, act: Callable[[Client, str], str]
) -> None:
    for name in names:
        with asked(server, api_key, name) as client:
            outcome = act(client, name)
        say(f"{name} {outcome}")


def _why(job: GenerationView) -> str:
    return job.error.detail if job.error else ""


def _facts(job: GenerationView) -> dict[str, str]:
    dropped = ", ".join(f"{reason}: {count}" for reason, count in sorted(job.dropped.items()))
    facts = {
        "id": job.id,
        "name": job.name,
        "state": job.state,
        "created": job.created.isoformat(timespec="seconds"),
        "finished": job.finished and job.finished.isoformat(timespec="seconds"),
        "expires": job.expires and job.expires.isoformat(timespec="seconds"),
        "made": f"{job.made} of {job.planned}",
        "kept": job.kept,
        "dropped": dropped,
        "unreadable": job.unreadable or None,
        "shards": f"{job.shards_done} of {job.shards}",
        "model": job.model_version,
        "error": _why(job),
    }
    return {name: str(value) for name, value in facts.items() if value not in (None, "")}
