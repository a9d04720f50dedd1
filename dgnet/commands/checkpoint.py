"""`dgnet checkpoint`: published files in, what is known of a checkpoint out, packing to ship."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from dgnet.commands.failures import InputError, needs_extra

app = typer.Typer(no_args_is_help=True, help="Import, look at and pack checkpoints.")

OutputOption = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="Checkpoint folder to write.")
]


@app.command("import")
def import_published_files(
    generator: Annotated[
        Path, typer.Option(metavar="GEN.pt", help="Published generator: E_s, G and the MLPs.")
    ],
    appearance: Annotated[
        Path, typer.Option(metavar="ID.pt", help="Published appearance encoder and its heads.")
    ],
    output: OutputOption,
    discriminator: Annotated[
        Path | None, typer.Option(metavar="DIS.pt", help="Published discriminator.")
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(metavar="NET.pth", help="Published teacher (baseline).")
    ] = None,
    teacher_last_stride: Annotated[
        int, typer.Option(min=1, max=2, help="Stride of the teacher's last stage, 1 or 2.")
    ] = 2,
    data_name: Annotated[
        str | None, typer.Option(help="What the weights were trained on, for the model card.")
    ] = None,
    data_license: Annotated[
        str | None, typer.Option(help="License of weights and data, for the model card.")
    ] = None,
) -> None:
    """Make a checkpoint of the published implementation's files; nothing is unpickled."""
    with needs_extra("worker"):
        from dgnet.model.published_files import PublishedFiles, import_published
    files = PublishedFiles(
        generator=generator,
        appearance=appearance,
        discriminator=discriminator,
        teacher=teacher,
        teacher_last_stride=teacher_last_stride,
    )
    known = {"name": data_name, "license": data_license}
    try:
        metadata = import_published(
            files, output, data={key: value for key, value in known.items() if value is not None}
        )
    except ValueError as error:
        raise InputError(str(error)) from error
    typer.echo(
        f"wrote {output} (version {metadata.model_version}, {metadata.config.identities} "
        f"identities: {', '.join(metadata.networks)})"
    )


@app.command("info")
def show_info(
    checkpoint: Annotated[
        Path | None,
        typer.Argument(
            envvar="DGNET_CHECKPOINT",
            metavar="[DIR]",
            help="Checkpoint folder; the weights that ship if absent.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what is known of a checkpoint: sizes, training, data and its license, metrics."""
    with needs_extra("worker"):
        from dgnet.model.checkpoints import DEFAULT_CHECKPOINT, TENSORS_FILE, read_metadata
    folder = DEFAULT_CHECKPOINT if checkpoint is None else checkpoint
    try:
        metadata = read_metadata(folder)
        size_bytes = (folder / TENSORS_FILE).stat().st_size
    except (ValueError, OSError) as error:
        raise InputError(str(error)) from error
    if as_json:
        typer.echo(json.dumps(metadata.to_json(), indent=2))
        return
    typer.echo(f"{folder}: version {metadata.model_version}, {size_bytes / 1e6:.1f} MB")
    for line in _lines(metadata.to_json()):
        typer.echo(f"  {line}")


@app.command("pack")
def pack(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="Checkpoint folder to copy.")],
    output: OutputOption,
    half: Annotated[
        bool, typer.Option("--half", help="Keep weights in half precision: half the size.")
    ] = False,
) -> None:
    """Copy a checkpoint for shipping, with everything that is known of it."""
    with needs_extra("worker"):
        from dgnet.model.checkpoints import TENSORS_FILE, pack_checkpoint
    try:
        metadata = pack_checkpoint(source, output, half=half)
    except ValueError as error:
        raise InputError(str(error)) from error
    size_bytes = (output / TENSORS_FILE).stat().st_size
    typer.echo(f"wrote {output} (version {metadata.model_version}, {size_bytes / 1e6:.1f} MB)")


def _lines(values: dict[str, Any], names: tuple[str, ...] = ()) -> Iterator[str]:
    """One line for each value, named by its path."""
    for name, value in values.items():
        path = (*names, name)
        if isinstance(value, dict):
            yield from _lines(value, path)  # pyright: ignore[reportUnknownArgumentType]
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            yield f"{'.'.join(path)}: {shown}"
