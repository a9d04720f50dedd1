"""`dgnet datasets`: data sets of a server, which its jobs take their pictures from.

`dgnet data check` looks at one on this machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dgnet.commands.failures import CommandError, InputError
from dgnet.commands.jobs import asked, print_table
from dgnet.commands.options import (
    ApiKeyOption,
    DistractorsOption,
    JsonOption,
    JunkOption,
    LayoutOption,
    PatternOption,
    RemoteOption,
)
from dgnet.commands.progress import counted
from dgnet.commands.talk import answer, say
from dgnet.jobs.views import DatasetView

app = typer.Typer(no_args_is_help=True, help="Data sets of a server.")

DatasetId = Annotated[str, typer.Argument(metavar="ID", help="Of the data set, ds_...")]
NameOption = Annotated[str | None, typer.Option(help="What people call it.")]


@app.command("list")
def list_datasets(
    server: RemoteOption, api_key: ApiKeyOption = None, as_json: JsonOption = False
) -> None:
    """Print the data sets of a server, newest first."""
    with asked(server, api_key) as client:
        datasets = client.datasets.list()
    if as_json:
        answer([dataset.model_dump(mode="json") for dataset in datasets])
        return
    rows = [
        (dataset.id, dataset.name or "", dataset.state, dataset.folder, dataset.error or "")
        for dataset in datasets
    ]
    print_table(("id", "name", "state", "folder", "error"), rows)


@app.command("show")
def show_dataset(
    dataset_id: DatasetId,
    server: RemoteOption,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what is known of a data set."""
    _show(_got(dataset_id, server, api_key), as_json=as_json)


@app.command("upload")
def upload_dataset(
    source: Annotated[
        Path, typer.Argument(metavar="DATA", help="Folder, zip, tar or gzipped tar.")
    ],
    server: RemoteOption,
    name: NameOption = None,
    layout: LayoutOption = None,
    pattern: PatternOption = None,
    junk: JunkOption = None,
    distractors: DistractorsOption = None,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send pictures to a server, which checks them."""
    if not source.exists():
        raise InputError(f"{source} does not exist: expected a folder or an archive of pictures")
    with asked(server, api_key, str(source)) as client, counted("uploading (bytes)") as progress:
        dataset = client.datasets.upload(
            source,
            name=name,
            layout=layout,
            pattern=pattern,
            junk=junk,
            distractors=distractors,
            progress=progress,
        )
    _tell(dataset, as_json=as_json)


@app.command("register")
def register_dataset(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Below the server's data root.")],
    server: RemoteOption,
    name: NameOption = None,
    layout: LayoutOption = None,
    pattern: PatternOption = None,
    junk: JunkOption = None,
    distractors: DistractorsOption = None,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a folder that lies on the server a data set; nothing is copied."""
    with asked(server, api_key, folder) as client:
        dataset = client.datasets.register(
            folder, name=name, layout=layout, pattern=pattern, junk=junk, distractors=distractors
        )
    _tell(dataset, as_json=as_json)


@app.command("check")
def check_dataset(
    dataset_id: DatasetId,
    server: RemoteOption,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what the server's check found; exit 1 if the set cannot be used or has errors."""
    dataset = _got(dataset_id, server, api_key)
    report = dataset.report
    if report is None:
        raise CommandError(f"{dataset_id} is {dataset.state}: {dataset.error or 'no report yet'}")
    if as_json:
        answer(report)
    else:
        for split, counts in report.get("splits", {}).items():
            shown = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
            typer.echo(f"{split:<12} {shown}")
        for finding in report.get("findings", ()):
            typer.echo(f"{finding['severity']:<8} {finding['rule']}: {finding['message']}")
    if errors := report.get("counts", {}).get("error"):
        raise CommandError(f"{dataset_id}: the check found errors ({errors})")


@app.command("delete")
def delete_dataset(
    dataset_ids: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Of the data sets, ds_...")
    ],
    server: RemoteOption,
    api_key: ApiKeyOption = None,
) -> None:
    """Remove uploads, forget folders; not those that an unfinished job uses."""
    for dataset_id in dataset_ids:
        with asked(server, api_key, dataset_id) as client:
            client.datasets.delete(dataset_id)
        say(f"{dataset_id} is deleted")


def _got(dataset_id: str, server: str, api_key: str | None) -> DatasetView:
    with asked(server, api_key, dataset_id) as client:
        return client.datasets.get(dataset_id)


def _tell(dataset: DatasetView, *, as_json: bool) -> None:
    """Its id is what the next command needs."""
    if as_json:
        _show(dataset, as_json=True)
    else:
        typer.echo(f"{dataset.id} is {dataset.state}")


def _show(dataset: DatasetView, *, as_json: bool) -> None:
    values: dict[str, Any] = dataset.model_dump(mode="json")
    if as_json:
        answer(values)
        return
    for name, value in values.items():
        if value is not None and name != "report":
            typer.echo(f"{name:<12} {value}")
