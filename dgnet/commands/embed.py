"""`dgnet embed`: pictures to vectors whose dot product is the similarity of the persons.

The file holds `paths` (N), `embeddings` (N, D) float32 of unit length, and `model_version`.

Legend: N pictures, D embedding values.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from dgnet.arrays import Floats
from dgnet.commands.failures import InputError
from dgnet.commands.options import (
    ApiKeyOption,
    CheckpointOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    Precision,
    PrecisionOption,
    ServerOption,
    require_server,
)
from dgnet.commands.outputs import write_arrays
from dgnet.commands.pictures import find_pictures, read_pictures
from dgnet.commands.progress import track
from dgnet.commands.talk import answer, say

EMBED_BATCH = 32


def embed(
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGES...", help="Pictures or folders of pictures.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, .npz.")],
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    model: ModelOption = None,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Write the embeddings of pictures."""
    if output.suffix != ".npz":
        raise InputError(f"cannot write {output}: expected a name ending in .npz")
    require_server(server, model)
    paths = find_pictures(images)
    if server is not None:
        from dgnet.commands.remote import embed_pictures

        embeddings, model_version = embed_pictures(
            paths, server=server, api_key=api_key, model=model
        )
    else:
        embeddings, model_version = embed_here(
            paths, checkpoint=checkpoint, device=device, precision=precision
        )
    write_arrays(
        output,
        paths=np.array([str(path) for path in paths]),
        embeddings=embeddings,
        model_version=np.array(model_version),
    )
    pictures, values = embeddings.shape
    if as_json:
        version = {"model_version": model_version}
        answer({"file": output, "pictures": pictures, "values": values, **version})
    else:
        say(f"wrote {output} ({pictures} x {values} values)")


def embed_here(
    paths: Sequence[Path], *, checkpoint: Path | None, device: str, precision: Precision
) -> tuple[Floats, str]:
    """Embeddings (N, D), computed on this machine, and the version of the model that made them."""
    from dgnet.commands.local import load_predictor

    predictor = load_predictor(checkpoint, device=device, precision=precision)
    from dgnet.model.predictor import rows_named

    batches: list[Floats] = []
    for start in track(range(0, len(paths), EMBED_BATCH), "Embedding"):
        batch = paths[start : start + EMBED_BATCH]
        pictures = read_pictures(batch, height=predictor.height, width=predictor.width)
        with rows_named(lambda batch=batch: batch):
            batches.append(predictor.embed(pictures))
    return np.concatenate(batches), predictor.model_version
