"""`dgnet push` and `dgnet pull`: a set that was made is brought to a URL, or from one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from dgnet.commands.destinations import Target
from dgnet.commands.failures import CommandError, InputError, needs_extra
from dgnet.commands.interruption import sigterm_interrupts
from dgnet.commands.progress import progress_bar
from dgnet.jobs.generation.errors import GenerationError, UploadError
from dgnet.jobs.generation.manifest import JOB_FILE, MANIFEST
from dgnet.jobs.generation.spec import url_problem

if TYPE_CHECKING:
    from dgnet.generation.upload.pulling import PullProgress

AGAIN = "run the same command again"

SetUrl = Annotated[
    str,
    typer.Argument(
        metavar="URL", help="Such as hf://datasets/OWNER/NAME, s3://bucket/prefix or file:///mnt/x."
    ),
]


def push(
    folder: Annotated[
        Path, typer.Argument(metavar="SET", help="Folder of a set that `dgnet generate` made.")
    ],
    url: SetUrl,
) -> None:
    """Put a set to a URL: every file verified, the manifest last.

    What has arrived is not sent again, so the same command carries on what was interrupted. A
    data set of Hugging Face's hub that is not there yet is made, private.
    """
    _check(url)
    try:
        with needs_extra("generate"):
            from dgnet.generation.upload.uploading import take_destination

            take_destination(url, job_of_set(folder), resume=True)
            Target(folder=folder, url=url).upload(again=AGAIN)
    except GenerationError as error:
        raise InputError(str(error)) from error
    except UploadError as error:
        raise CommandError(f"{error}. What arrived is kept: {AGAIN}") from error


def pull(
    url: SetUrl,
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="New or empty folder, or one that has a part of this set."
        ),
    ],
) -> None:
    """Fetch a set from a URL: every picture has the sha256 of the manifest, which comes last.

    What is there and right is not fetched again, so the same command carries on what was
    interrupted, and mends a set of which something was lost.
    """
    _check(url)
    try:
        with needs_extra("generate"):
            from dgnet.generation.upload.pulling import pull as pull_set

            with sigterm_interrupts(), progress_bar() as bar:
                task = bar.add_task("files fetched", total=None)

                def report(progress: PullProgress) -> None:
                    bar.update(task, completed=progress.done, total=progress.files)

                done = pull_set(url, folder, report=report)
    except KeyboardInterrupt:
        raise CommandError(
            f"the download from {url} was interrupted; what arrived is kept: {AGAIN}"
        ) from None
    except GenerationError as error:
        raise InputError(str(error)) from error
    except UploadError as error:
        raise CommandError(f"{error}. What arrived is kept: {AGAIN}") from error
    typer.echo(
        f"{done.files} files with pictures in {folder}, {done.fetched} of them fetched now "
        f"({done.bytes_fetched / 1e6:.1f} MB); each is what the manifest says"
    )


def _check(url: str) -> None:
    if problem := url_problem(url):
        raise InputError(f"the URL cannot be used: {problem}")


def job_of_set(folder: Path) -> dict[str, Any]:
    """What the set's job file says; InputError where the folder holds no complete set."""
    if not (folder / MANIFEST).is_file():
        raise InputError(
            f"{folder} holds no complete set: it has no {MANIFEST}; expected a folder that `dgnet "
            "generate` has written to its end"
        )
    try:
        job: object = json.loads((folder / JOB_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / JOB_FILE} cannot be read: {type(error).__name__}") from error
    if not isinstance(job, dict):
        raise InputError(f"{folder / JOB_FILE} is no JSON object; the set is damaged")
    return cast("dict[str, Any]", job)
