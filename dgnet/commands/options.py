"""Options that several commands share, so that they read and behave the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dgnet.commands.failures import InputError
from dgnet.jobs.contract import Scene
from dgnet.model.data.layouts import LayoutName

Precision = Literal["auto", "fp32", "bf16"]

CheckpointOption = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        envvar="DGNET_CHECKPOINT",
        metavar="DIR",
        help="Folder of the checkpoint; the weights that ship if absent.",
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device", envvar="DGNET_DEVICE", metavar="NAME", help="auto, cpu, cuda or cuda:N."
    ),
]
PrecisionOption = Annotated[
    Precision,
    typer.Option("--precision", envvar="DGNET_PRECISION", help="Arithmetic of the networks."),
]
Compiling = Literal["auto", "on", "off"]
CompileOption = Annotated[
    Compiling,
    typer.Option(
        "--compile",
        envvar="DGNET_COMPILE",
        help="Compile the networks before the first picture, on a card as CUDA graphs: takes "
        "minutes, saves launches. auto: on a card alone.",
    ),
]
SceneOption = Annotated[
    Scene | None,
    typer.Option(
        "--scene",
        help="What no swap changes: keep the structure picture's own pixels, or generate them, "
        "which passes none on. Kept if absent, where the checkpoint has a mask.",
    ),
]
RedisUrlOption = Annotated[
    str | None,
    typer.Option(
        "--redis-url", envvar="DGNET_REDIS_URL", metavar="URL", help="Queue, redis://HOST:PORT/DB."
    ),
]
ServerOption = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help="Ask this server instead of computing here."),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="With --server: id or version of the model that is asked, its default one if absent.",
    ),
]
RemoteOption = Annotated[
    str, typer.Option("--server", metavar="URL", help="Address, such as http://127.0.0.1:8000.")
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that are there already.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
ApiKeyOption = Annotated[
    str | None,
    typer.Option(
        "--api-key", envvar="DGNET_API_KEY", metavar="KEY", help="Bearer key of the server."
    ),
]
MinimumIdentityConsistencyOption = Annotated[
    float | None,
    typer.Option(
        "--minimum-identity-consistency",
        help="Drop composites whose embedding's cosine with the appearance is lower.",
    ),
]
MinimumTeacherConfidenceOption = Annotated[
    float | None,
    typer.Option(
        "--minimum-teacher-confidence",
        help="Drop those whose most probable class is less probable.",
    ),
]
MinimumRealismPercentileOption = Annotated[
    float | None,
    typer.Option(
        "--minimum-realism-percentile",
        help="Drop those that the discriminator ranks lower among real pictures.",
    ),
]
MinimumJudgeSimilarityOption = Annotated[
    float | None,
    typer.Option(
        "--minimum-judge-similarity",
        help="Drop those whose cosine with the appearance is lower by the judge.",
    ),
]
LayoutOption = Annotated[
    LayoutName | None,
    typer.Option("--layout", help="Layout of the data set; found out from its names if absent."),
]
JunkOption = Annotated[
    list[str] | None,
    typer.Option(
        "--junk",
        metavar="PERSON",
        help="What the data set calls junk, which evaluation ignores; -1 if absent, none for "
        "nobody. May be repeated.",
    ),
]
DistractorsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--distractors",
        metavar="PERSON",
        help="What the data set calls distractors; 0 if absent, none for nobody, as where persons "
        "are numbered from 0. May be repeated.",
    ),
]
PatternOption = Annotated[
    str | None,
    typer.Option(
        "--pattern",
        metavar="REGEX",
        help="Regular expression for paths below the data set, with a group (?P<person>...) and, "
        "if cameras are known, (?P<camera>...).",
    ),
]


def require_server(server: str | None, model: str | None) -> None:
    """InputError for a model of a server without a server."""
    if server is None and model is not None:
        raise InputError("--model chooses among a server's: give --server, or --checkpoint here")
