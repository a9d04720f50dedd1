"""Options that name a judge: an embedding network that had no part in making composites."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dgnet.commands.failures import InputError, needs_extra

if TYPE_CHECKING:
    from dgnet.model.judge.judge import Judge

Channels = Literal["rgb", "bgr"]

JudgeOption = Annotated[
    str | None,
    typer.Option(
        "--judge",
        envvar="DGNET_JUDGE",
        metavar="DIR|FILE.onnx|shipped",
        help="Ask this network too: a folder of `dgnet train judge`, an ONNX file, or `shipped`.",
    ),
]
JudgeSizeOption = Annotated[
    str | None,
    typer.Option(metavar="HxW", help="Of an ONNX judge's pictures, such as 256x128."),
]
JudgeMeanOption = Annotated[
    str | None,
    typer.Option(
        metavar="R,G,B", help="Of an ONNX judge: taken off pictures in 0..1; ImageNet's if absent."
    ),
]
JudgeStdOption = Annotated[
    str | None,
    typer.Option(
        metavar="R,G,B", help="Of an ONNX judge: what that is divided by; ImageNet's if absent."
    ),
]
JudgeChannelsOption = Annotated[
    Channels | None, typer.Option(help="Order of an ONNX judge's channels; rgb if absent.")
]
JudgeOutputOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Output of an ONNX judge; its first one if absent."),
]


def load_judge(
    source: str | None,
    *,
    device: str,
    size: str | None = None,
    mean: str | None = None,
    std: str | None = None,
    channels: Channels | None = None,
    output: str | None = None,
) -> Judge | None:
    """The judge of these options, if any; raises InputError for what cannot be loaded."""
    said = {
        "--judge-size": size,
        "--judge-mean": mean,
        "--judge-std": std,
        "--judge-channels": channels,
        "--judge-output": output,
    }
    given = [option for option, value in said.items() if value is not None]
    if source is None:
        if given:
            raise InputError(f"{given[0]} is said of a judge; name one with --judge")
        return None
    with needs_extra("worker"):
        from dgnet.model.judge.judge import JudgeError
        from dgnet.model.judge.onnx import OnnxInput
        from dgnet.model.judge.opening import open_judge
    plain = OnnxInput()
    try:
        wanted = OnnxInput(
            size=None if size is None else _size(size),
            mean=plain.mean if mean is None else _triple("--judge-mean", mean),
            std=plain.std if std is None else _triple("--judge-std", std),
            channels=channels or plain.channels,
            output=output,
        )
        with needs_extra("onnx"):
            return open_judge(source, wanted if given else None, device=device)
    except JudgeError as error:
        raise InputError(str(error)) from error


def _size(text: str) -> tuple[int, int]:
    if not (sides := re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)):
        raise InputError(f"--judge-size {text}; expected HEIGHTxWIDTH in pixels, such as 256x128")
    return int(sides[1]), int(sides[2])


def _triple(option: str, text: str) -> tuple[float, float, float]:
    try:
        first, second, third = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"{option} {text}; expected three numbers such as 0.485,0.456,0.406"
        ) from None
    return first, second, third
