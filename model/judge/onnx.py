"""Anybody's embedding network as a judge: an ONNX file, run by onnxruntime on the CPU.

The file says in which order it takes channels and pixels, and mostly of which size; what it cannot
say (normalization, RGB or BGR) is `OnnxInput`'s.

B pictures of H x W pixels, uint8 (B, H, W, 3) RGB; D embedding values.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dgnet.arrays import AnyFloats, Embeddings, Floats, Pixels
from dgnet.files import file_sha256
from dgnet.model.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from dgnet.model.evaluation.retrieval.retrieval_set import row_lengths
from dgnet.model.judge.judge import JudgeError, resized
from dgnet.paths import local_path

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_MOST_AT_ONCE = 32
_SHORTEST = 1e-12

Triple = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class OnnxInput:
    """How a network wants its pictures: (picture / 255 - mean) / std."""

    size: tuple[int, int] | None = None
    """Height and width in pixels; what the file says if absent."""
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    """Both in the order of `channels`."""
    channels: Literal["rgb", "bgr"] = "rgb"
    output: str | None = None
    """Name of the output that is the embedding; the first one if absent."""

    def __post_init__(self) -> None:
        if min(self.std) <= 0:
            raise JudgeError(f"std {self.std} of the judge's input; expected numbers above 0")


class OnnxJudge:
    """An embedding network in an ONNX file."""

    def __init__(self, file: str | Path, given: OnnxInput | None = None) -> None:
        """Raises JudgeError for what is no such network; needs onnxruntime."""
        onnxruntime: Any = importlib.import_module("onnxruntime")  # it has no types
        file = local_path(file)
        if not file.is_file():
            raise JudgeError(f"{file}: no such file; expected an embedding network in ONNX")
        self._given = given or OnnxInput()
        self.name, self.version = file.name, file_sha256(file)[:12]
        options: Any = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # warnings about the network are its maker's
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its own exceptions have no common base
            raise JudgeError(
                f"{file} is not a network that onnxruntime can run: {error}"
            ) from error
        self._input, self._type, self._channels_last, self._batch, size = self._asked_for()
        self.height, self.width = size
        names = [output.name for output in self._session.get_outputs()]
        self._output = self._given.output or names[0]
        if self._output not in names:
            raise JudgeError(
                f"{file} has no output {self._output!r}; expected one of {', '.join(names)}"
            )

    def embed(self, images: Pixels) -> Embeddings:
        """(B, D), of length 1."""
        prepared = self._prepared(resized(images, self.height, self.width))
        found = np.concatenate(
            [
                self._run(prepared[start : start + self._batch])
                for start in range(0, len(prepared), self._batch)
            ]
        )
        lengths = row_lengths(found)[:, None]
        return np.asarray(found / np.maximum(lengths, _SHORTEST), np.float32)

    def _prepared(self, images: Pixels) -> AnyFloats:
        given = self._given
        ordered = images if given.channels == "rgb" else images[..., ::-1]
        mean, std = (np.array(values, np.float32) for values in (given.mean, given.std))
        values = (ordered.astype(np.float32) / 255 - mean) / std  # (B, H, W, 3)
        if not self._channels_last:
            values = values.transpose(0, 3, 1, 2)
        prepared: AnyFloats = np.ascontiguousarray(values).astype(self._type, copy=False)
        return prepared

    def _run(self, batch: AnyFloats) -> Floats:
        """(b, D); a network of a fixed batch gets the last rows again to fill it up."""
        missing = self._batch - len(batch) if self._batch_is_fixed else 0
        filled = np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)])
        try:
            (raw,) = self._session.run([self._output], {self._input: filled})
        except Exception as error:
            raise JudgeError(f"{self.name} cannot be run on {filled.shape}: {error}") from error
        found = np.asarray(raw, np.float32)
        if found.ndim < 2 or len(found) != len(filled) or found[0].size != found.shape[1]:
            raise JudgeError(
                f"output {self._output!r} of {self.name} is {found.shape} for {len(filled)} "
                "pictures; expected one row of values a picture (--judge-output names another)"
            )
        return found.reshape(len(found), -1)[: len(batch)]

    def _asked_for(self) -> tuple[str, Any, bool, int, tuple[int, int]]:
        """Name, type, whether channels come last, pictures at once, height and width."""
        inputs: list[Any] = self._session.get_inputs()
        shape = [side if isinstance(side, int) and side > 0 else None for side in inputs[0].shape]
        kind = inputs[0].type
        if len(inputs) != 1 or len(shape) != 4 or kind not in _TYPES:
            raise JudgeError(
                f"{self.name} takes {len(inputs)} inputs, the first {kind} {inputs[0].shape}; "
                "expected one of float pictures (B, 3, H, W) or (B, H, W, 3)"
            )
        if 3 not in (shape[1], shape[3]):
            raise JudgeError(
                f"{self.name} takes {inputs[0].shape}; expected three channels, (B, 3, H, W) or "
                "(B, H, W, 3)"
            )
        channels_last = shape[1] != 3
        stated = (shape[1], shape[2]) if channels_last else (shape[2], shape[3])
        self._batch_is_fixed = shape[0] is not None
        return (
            inputs[0].name,
            _TYPES[kind],
            channels_last,
            shape[0] or _MOST_AT_ONCE,
            self._size(stated),
        )

    def _size(self, stated: tuple[int | None, int | None]) -> tuple[int, int]:
        given = self._given.size
        if given is None:
            height, width = stated
            if height is None or width is None:
                raise JudgeError(
                    f"{self.name} takes pictures of any size: say which it was trained on, such as "
                    "--judge-size 256x128 (height x width)"
                )
            return height, width
        if any(own not in (None, wanted) for own, wanted in zip(stated, given, strict=True)):
            raise JudgeError(
                f"{self.name} takes pictures of {stated[0]}x{stated[1]}, --judge-size is "
                f"{given[0]}x{given[1]}; expected the same, or no --judge-size"
            )
        return given
